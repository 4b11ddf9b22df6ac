"use strict";

const FORMATS = { csv: "text/csv", tsv: "text/tab-separated-values", jsonl: "application/jsonl", txt: "text/plain" };
const FIRST_BARS = 10, LONGEST_CUT = 600, PREVIEW_ROWS = 6;

const at = (id) => document.getElementById(id);
let language = /^zh/i.test(navigator.language) ? "zh" : "en";
let info = null;
let showAgain = () => {};  // draws the last answer, in the language of now

const words = () => WORDS[language];
const number = (value) => value.toLocaleString(language);
const percent = (value) => `${(100 * value).toFixed(1)} %`;

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function name(text) {  // of a class: in any script, whatever stands beside it
  return make("bdi", "", text);
}

async function ask(path, options = {}) {
  const key = sessionStorage.getItem("hfcls-key");
  const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Error(words().no_server);
  }
  if (response.ok) return response;
  if (response.status === 401) {
    at("key_form").hidden = false;
    throw new Error(key ? words().wrong_key : words().key);
  }
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.error ?? `${response.status} ${response.statusText}`);
}

const askJSON = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }).then((r) => r.json());

async function during(work) {  // shows that something is at work, and what went wrong with it
  const answer = at("answer");
  at("problem").hidden = true;
  answer.setAttribute("aria-busy", "true");
  for (const button of document.querySelectorAll("button.main")) button.disabled = true;
  try {
    showAgain = await work();
    showAgain();
    answer.hidden = false;
    answer.scrollIntoView({ block: "nearest" });
  } catch (error) {
    at("problem").textContent = error.message;
    at("problem").hidden = false;
    answer.hidden = true;
  } finally {
    answer.removeAttribute("aria-busy");
    for (const button of document.querySelectorAll("button.main")) button.disabled = false;
  }
}

function verdict(predictions) {
  const line = make("p", "verdict");
  const several = predictions.some((one) => "predicted" in one);
  const chosen = several ? predictions.filter((one) => one.predicted) : predictions.slice(0, 1);
  if (!predictions.length) line.append(words().nothing);
  else if (!chosen.length) line.append(words().none);
  for (const one of chosen) line.append(make("span", "chip", name(one.label), ...(several ? [] : [make("span", "share", scoreText(one.score))])));
  return line;
}

const isShare = () => info.problem_type !== "regression";
const scoreText = (score) => (isShare() ? percent(score) : score.toPrecision(4));

function bars(predictions) {
  const several = predictions.some((one) => "predicted" in one);
  const list = make("ol", "bars");
  predictions.forEach((one, place) => {
    const track = make("span", "track");
    track.style.setProperty("--v", isShare() ? Math.min(1, Math.max(0, one.score)) : 0);
    const threshold = several && info.thresholds && info.thresholds[info.model_type.classifier.label2id[one.label]];
    if (threshold) {
      const mark = make("i");
      mark.style.setProperty("--t", threshold);
      track.append(mark);
    }
    const item = make("li", (several ? one.predicted : place === 0) ? "on" : "", make("span", "name", name(one.label)), track, make("span", "share", scoreText(one.score)));
    item.hidden = place >= FIRST_BARS;
    list.append(item);
  });
  if (predictions.length <= FIRST_BARS) return [list];
  const more = make("button", "more", words().all(number(predictions.length)));
  more.type = "button";
  more.addEventListener("click", () => {
    for (const item of list.children) item.hidden = false;
    more.remove();
  });
  return [list, more];
}

function readText(text, unread, marks) {  // places count characters, JavaScript's strings halves of them
  const characters = Array.from(text);
  const slice = (start, end) => characters.slice(start, end).join("");
  const block = make("p", "read marked");
  block.dir = "auto";
  const largest = Math.max(...marks.map((mark) => Math.abs(mark.weight)), 0);
  const weights = new Map(marks.map((mark) => [mark.begin, mark.weight]));
  const edges = new Set([0, characters.length, ...unread, ...marks.flatMap((mark) => [mark.begin, mark.end])]);
  const places = [...edges].sort((first, second) => first - second);
  places.slice(1).forEach((end, number) => {
    const start = places[number];
    if (unread[0] <= start && start < unread[1]) return block.append(make("del", "", make("span", "hint", words().cut), shortened(slice, start, end)));
    const weight = weights.get(start);
    if (!weight) return block.append(slice(start, end));
    const mark = make("mark", weight > 0 ? "for" : "against", slice(start, end));
    mark.style.setProperty("--v", Math.abs(weight) / largest);
    mark.title = (weight > 0 ? "+" : "") + weight.toFixed(3);
    block.append(mark);
  });
  return block;
}

function shortened(slice, start, end) {
  if (end - start <= LONGEST_CUT) return slice(start, end);
  const half = LONGEST_CUT / 2;
  return slice(start, start + half) + words().left_out(number(end - start - LONGEST_CUT)) + slice(end - half, end);
}

function readPart(asked, unread, explained) {
  const text = asked.pair ? `${asked.text}\n${asked.pair}` : asked.text;
  const length = Array.from(text).length, cut = unread[1] - unread[0];
  const part = make("section", "", make("h2", "", words().read));
  part.append(make("p", "note", cut ? words().part(percent((length - cut) / length)) : words().whole));
  if (explained) part.append(make("p", "note", words().marks(explained.label, explained.logit.toFixed(2), explained.rest.toFixed(2))));
  if (cut || explained) part.append(readText(text, unread, explained ? explained.marks : []));
  if (info.explains && text && !explained) {
    const why = make("button", "why", words().why);
    why.type = "button";
    why.addEventListener("click", () => during(() => explainText(asked)));
    part.append(why);
  }
  return part;
}

async function classifyText() {
  const pair = at("pair_label").hidden ? "" : at("pair").value;
  const asked = { text: at("text").value, ...(pair ? { pair } : {}) };
  const [found, near] = await Promise.all([askJSON("read", asked), askNeighbours(asked.text)]);
  return () => at("answer").replaceChildren(verdict(found.predictions), ...bars(found.predictions), readPart(asked, found.unread), ...neighbourList(near));
}

async function explainText(asked) {
  const [found, explained, near] = await Promise.all([askJSON("read", asked), askJSON("explain", asked), askNeighbours(asked.text)]);
  return () => at("answer").replaceChildren(verdict(found.predictions), ...bars(found.predictions), readPart(asked, found.unread, explained), ...neighbourList(near));
}

async function classifyPicture(file) {
  const predictions = await ask("predict", { method: "POST", headers: { "content-type": file.type || "application/octet-stream" }, body: file }).then((r) => r.json());
  const picture = make("img", "seen");
  picture.alt = file.name;
  picture.src = URL.createObjectURL(file);
  picture.addEventListener("load", () => picture.classList.toggle("tiny", picture.naturalWidth < 100));
  return () => at("answer").replaceChildren(make("div", "beside", picture, make("figure", "", verdict(predictions), ...bars(predictions))));
}

async function classifyFile(file) {
  const ending = file.name.split(".").pop().toLowerCase();
  if (!(ending in FORMATS)) throw new Error(`${file.name} ${words().format}`);
  const query = new URLSearchParams({ text_column: at("text_column").value });
  if (!at("pair_column_label").hidden && at("pair_column").value) query.set("text_pair_column", at("pair_column").value);
  const progress = make("p", "note", words().working);
  at("answer").replaceChildren(progress);
  at("answer").hidden = false;
  const response = await ask(`predict_file?${query}`, { method: "POST", headers: { "content-type": FORMATS[ending] }, body: file });
  const chunks = [], reader = response.body.getReader();
  for (let rows = 0, piece; !(piece = await reader.read()).done; chunks.push(piece.value)) {
    rows += piece.value.reduce((sum, byte) => sum + (byte === 10), 0);
    progress.textContent = `${words().working} ${words().rows(number(rows))}`;
  }
  const answers = new Blob(chunks), address = URL.createObjectURL(answers);
  const table = ending === "jsonl" ? jsonTable(await answers.text()) : csvTable(await answers.text());
  return () => {
    const link = make("a", "download", words().save);
    link.href = address;
    link.download = file.name.replace(/\.[^.]*$/, "") + (ending === "jsonl" ? ".answers.jsonl" : ".answers.csv");
    const count = make("p", "verdict", words().rows(number(table.length - 1)));
    at("answer").replaceChildren(count, make("p", "", link), preview(table));
  };
}

function preview([header, ...rows]) {
  const table = make("table", "", make("thead", "", make("tr", "", ...header.map((cell) => make("th", "", name(cell))))));
  table.append(make("tbody", "", ...rows.slice(0, PREVIEW_ROWS).map((row) => make("tr", "", ...row.map((cell) => make("td", "", name(cell)))))));
  return make("div", "preview scroll", table);
}

function jsonTable(text) {
  const rows = text.trim().split("\n").map((line) => JSON.parse(line));
  return [Object.keys(rows[0]), ...rows.map((row) => Object.values(row).map((cell) => (typeof cell === "string" ? cell : JSON.stringify(cell))))];
}

function csvTable(text) {  // as Python's csv writes it
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === "\r\n") rows.push([]);
    else if (end === "") break;
  }
  return rows.slice(0, -1);
}

async function search() {
  const found = await askJSON("search", { query: at("query").value });
  return () => at("answer").replaceChildren(make("ol", "results", ...found.map((one) => {
    const picture = make("img");
    picture.alt = one.picture;
    ask(`pictures/${one.index}`).then((r) => r.blob()).then((blob) => (picture.src = URL.createObjectURL(blob)));
    return make("li", "", picture, name(one.picture), make("div", "note", `${words().score} ${one.score.toFixed(3)}`));
  })));
}

const takesPictures = () => info.input === "image";
const take = (file) => file && during(() => (takesPictures() ? classifyPicture(file) : classifyFile(file)));

function lead() {
  if (info.input === "retrieval") return words().pictures(number(info.pictures));
  const count = number(Object.keys(info.model_type.classifier.id2label).length);
  const facts = [info.thresholds ? words().labels(count) : words().classes(count)];
  if (info.input === "text" && info.max_input_length) {
    const keeps = words().keeps[info.long_texts];
    facts.push(words().reads(number(info.max_input_length)) + (keeps ? (language === "zh" ? "，" : ", ") + keeps : ""));
  }
  return facts.join(" · ");
}

function say() {  // everything in the language of now
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  at("language").lang = language === "zh" ? "en" : "zh-CN";
  at("language").textContent = words().other;
  for (const node of document.querySelectorAll("[data-say]")) node.textContent = words()[node.dataset.say];
  at("about").textContent = words().about;
  if (!info) return;
  if (info.takes_pairs !== false) at("text_label").textContent = words().first;
  at("drop_text").textContent = takesPictures() ? words().drop_picture : words().drop_file;
  at("lead").textContent = lead();
  if (!at("answer").hidden) showAgain();
}

async function begin() {
  info = await ask("info").then((response) => response.json());
  at("key_form").hidden = at("problem").hidden = true;
  at("model").textContent = info.model_id;
  document.title = `${info.model_id} · hfcls`;
  at("text_form").hidden = info.input !== "text";
  at("file_form").hidden = info.input === "retrieval";
  at("search_form").hidden = !info.pictures;
  at("columns").hidden = takesPictures();
  at("pair_label").hidden = at("pair_column_label").hidden = info.takes_pairs === false;
  if (info.takes_pairs === null) at("pair_column").value = "";
  at("drop").classList.toggle("picture", takesPictures());
  at("file_form").classList.toggle("only", takesPictures());
  at("file").accept = takesPictures() ? "image/*" : ".csv,.tsv,.jsonl,.txt";
  say();
  if (info.input === "retrieval" && !info.pictures) return;
  at(info.input === "text" ? "text" : info.input === "retrieval" ? "query" : "file").focus();
}

const tryToBegin = () => begin().catch((error) => {
  at("problem").textContent = error.message;
  at("problem").hidden = false;
});

at("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  say();
});
at("key_form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("hfcls-key", at("key").value);
  tryToBegin();
});
at("text_form").addEventListener("submit", (event) => {
  event.preventDefault();
  during(classifyText);
});
at("text_form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("text_form").requestSubmit();
});
at("search_form").addEventListener("submit", (event) => {
  event.preventDefault();
  during(search);
});
at("file_form").addEventListener("submit", (event) => event.preventDefault());
at("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = "";  // so that the same file can be chosen again
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
  });
}
document.addEventListener("drop", (event) => info && info.input !== "retrieval" && take(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => info && takesPictures() && take(event.clipboardData.files[0]));
say();
tryToBegin();
