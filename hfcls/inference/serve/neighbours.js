// The rows of a file that are nearest to what was typed, where the server has some.
const SHOWN_NEIGHBOURS = 5;

const askNeighbours = (text) => (info.neighbours && text ? askJSON("neighbours", { text, count: SHOWN_NEIGHBOURS }) : Promise.resolve([]));

function neighbourList(found) {
  if (!found.length) return [];
  const rows = found.map((one) => make("li", "", make("span", "share", one.similarity.toFixed(2)), make("div", "", make("span", "label", name(one.label)), make("p", "", one.text))));
  for (const row of rows) row.querySelector("p").dir = "auto";
  const part = make("section", "", make("h2", "", words().neighbours), make("p", "note", words().nearest(number(info.neighbours))));
  part.append(make("ol", "neighbours", ...rows));
  return [part];
}
