"""The page as a browser reads it: parsed, compared with scikit-learn, and safe whatever the corpus holds."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from hfcls.metrics.intervals import bootstrap_intervals
from hfcls.report import write_report
from hfcls.report.run import load_run
from tests.report.conftest import STATE

TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "main",
    "section",
    "footer",
    "nav",
    "a",
    "div",
    "span",
}
TAGS |= {"p", "b", "h1", "h2", "h3", "ul", "ol", "li", "dl", "dt", "dd", "bdi", "pre", "code", "details", "summary"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"}
TAGS |= {"svg", "g", "line", "rect", "path", "circle", "text"}


class Page(HTMLParser):
    """Tags, attributes, the text of each section and its tables' cells; fails where the tags are not balanced."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open, self.tags, self.attributes = [], set(), []
        self.sections, self.tables = {"": ""}, {"": []}
        self.section = ""
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag == "section":
            self.section = dict(attributes)["id"]
            self.sections[self.section], self.tables[self.section] = "", []
        elif tag == "table":
            self.tables[self.section].append([])
        elif tag == "tr":
            self.tables[self.section][-1].append([])
        elif tag in ("td", "th"):
            self.tables[self.section][-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = ""

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            return
        self.sections[self.section] += data
        if "td" in self.open or "th" in self.open:
            self.tables[self.section][-1][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.sections.values()).split())


def _page(folder) -> Page:
    path = write_report(folder)
    assert path == folder / "report.html"
    return Page(path)


def test_header_says_what_was_trained_and_how_well_it_does(make_run):
    folder = make_run(rows=500)
    run, page = load_run(folder), _page(folder)
    intervals = bootstrap_intervals(run.predictions.labels, run.predictions.predicted, 3)
    header = " ".join(page.sections[""].split())
    for name in ("accuracy", "f1"):
        low, high = intervals[name]
        assert f"{run.results[f'test_{name}']:.4f} 95 % interval {low:.4f} – {high:.4f}" in header
    assert f"{run.results['test_roc_auc']:.4f} one-vs-rest, mean of the classes" in header
    assert (
        "BERT mini, from scratch (BertForSequenceClassification, 4,900,000 parameters), trained on 33,590 rows of "
        "THUCNews; measured on 500 test rows in 3 classes. 8 min 32 s in all." in header
    )


def test_confusion_matrix_and_confusions(make_run):
    folder = make_run(rows=500, without_prediction=[1, 2, 3])
    rows = load_run(folder).predictions
    matrix, confusions = _page(folder).tables["confusion"]
    names = ["财经", "体育", "游戏"]
    expected = confusion_matrix(rows.labels, rows.predicted, labels=[0, 1, 2, -1])[:3]
    assert matrix[0] == ["true \\ predicted", *names, "no prediction"]
    assert matrix[1:] == [[name, *map(str, row)] for name, row in zip(names, expected, strict=True)]
    counts = [int(row[2]) for row in confusions[1:]]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == max(expected[i, j] for i in range(3) for j in range(3) if i != j)


def test_classes(make_run):
    folder = make_run(rows=500)
    rows = load_run(folder).predictions
    (table,) = _page(folder).tables["classes"]
    precision, recall, f1, support = precision_recall_fscore_support(rows.labels, rows.predicted)
    for index, row in enumerate(table[1:]):
        area = roc_auc_score(rows.labels == index, rows.probabilities[:, index])
        numbers = [f"{value:.4f}" for value in (precision[index], recall[index], f1[index], area)]
        assert row == [str(index), ["财经", "体育", "游戏"][index], str(support[index]), *numbers]


def test_training_and_its_absence(make_run):
    section = _page(make_run()).sections["training"]
    assert "Chosen: the checkpoint of step 200" in section
    assert "chosen: 0.7400" in section
    assert all(title in section for title in ("Accuracy", "Macro F1", "ROC-AUC", "Loss"))
    assert "Not drawn" not in section


@pytest.mark.parametrize(
    ("command", "reason"),
    [("run.sh x --evaluate_only out", "a finished model was evaluated"), ("run.sh x", "no trainer_state.json")],
)
def test_no_training(make_run, command, reason):
    page = _page(make_run(state=None, about={"command": command}))
    assert reason in page.sections["training"]
    assert "evaluated as it was" in page.text


def test_curves_that_cannot_be_drawn_are_named(make_run):
    history = [{"step": 5, "eval_accuracy": 0.5, "eval_roc_auc": None}, {"step": 5, "eval_loss": 0.1}]
    section = _page(make_run(state={"log_history": history, "best_global_step": None})).sections["training"]
    assert "Not drawn, because trainer_state.json holds no finite value: Macro F1, ROC-AUC." in section
    assert "No checkpoint was chosen" in section


def test_empty_history(make_run):
    page = _page(make_run(state={"log_history": [], "best_global_step": None}))
    assert "holds no finite loss or score" in page.sections["training"]


def test_data_and_run(make_run):
    page = _page(make_run())
    assert page.tables["data"][0][1][:4] == ["train", "33,590", "3", "19.1 tokens"]
    assert page.tables["data"][1][1] == ["财经", "11,196", "100"]
    assert "max_length 34 keeps 99.8 % whole" in page.sections["data"]
    assert "tokens, longer rows in the last bar" in page.sections["data"]
    assert "GB18030 was read" in page.sections["data"]
    for said in ("--from_scratch mini", "5e-05", "2.13.0", "Intel Xeon", "bf16", "812.1"):
        assert said in page.sections["run"]


def test_embedded_sample_is_said(make_run):
    assert "small sample that is part of the package" in _page(make_run(data={"source": "embedded sample"})).text
    assert "small sample" not in _page(make_run()).text


HOSTILE = '<script>alert(1)</script><img src="x" onerror=\'y\'> $\\alpha$ a & b "c" {{ 7*7 }} </style> ]]> --> &lt;'
UNSEEN = "nul \x00 escape \x1b c1 \x9b override \u202eabc isolate \u2066 surrogate \ud800 none \uffff"


def test_nothing_of_the_corpus_is_taken_for_html(make_run):
    names = (f"0 {HOSTILE}", f"1 {HOSTILE}", f"2 {UNSEEN}")
    text = f"{HOSTILE} {UNSEEN}"
    folder = make_run(
        names=names,
        text=lambda row: text,
        about={
            "task": HOSTILE,
            "command": text,
            "language": f'zh" onload="{HOSTILE}',
            "settings": {HOSTILE: HOSTILE},
            "versions": {text: text},
        },
        data={"name": text, "source": HOSTILE, "notes": [text]},
    )
    page = _page(folder)
    assert page.tags <= TAGS
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "srcdoc", "action")]
    for section in ("confusion", "classes", "mistakes", "data", "run"):
        assert HOSTILE in page.sections[section]
    assert HOSTILE in page.sections[""]
    titles = [value for tag, name, value in page.attributes if (tag, name) == ("th", "title")]
    assert f"0 {HOSTILE}" in titles
    assert not re.search(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", page.source
    )
    assert "nul \ufffd escape \ufffd c1 \ufffd override \ufffdabc" in page.sections["mistakes"]


def test_nothing_is_loaded_from_elsewhere(make_run):
    page = _page(make_run(text=lambda row: "see https://example.org/a.js"))
    assert "https://example.org/a.js" in page.sections["mistakes"]
    links = [value for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "data", "poster")]
    assert links
    assert all(link.startswith("#") for link in links)
    targets = [value for _, name, value in page.attributes if name == "id"]
    assert {link[1:] for link in links} <= set(targets)
    assert not re.search(r"url\(|@import|<link|<script", page.source)
    assert not [value for _, name, value in page.attributes if "://" in value]


def test_megabytes_in_a_row_stay_out_of_the_page(make_run):
    folder = make_run(rows=5, labels=[0, 1, 2, 0, 1], text=lambda row: "长文 " * 500_000 * row)
    assert _page(folder) and (folder / "report.html").stat().st_size < 100_000


def test_ids_in_place_of_texts(make_run):
    page = _page(make_run(column="id", text=lambda row: row, data={"max_length": None, "covered": None}))
    assert "predictions.csv has no texts, only ids" in page.sections["mistakes"]
    assert re.search(r"id \d+", page.sections["mistakes"])
    assert "max_length" not in page.sections["data"]


def test_rows_without_a_length(make_run):
    splits = {"test": {"rows": 300, "labels": {"财经": 300}, "length": None}}
    page = _page(make_run(data={"splits": splits}))
    assert page.tables["data"][0][1] == ["test", "300", "1"]
    assert "Lengths in" not in page.text
    assert "trained on THUCNews;" in page.text


def test_a_single_row(make_run):
    page = _page(make_run(rows=1, labels=[0]))
    assert "Only 1 test row:" in page.text
    assert "undefined all test rows are of one class" in page.text
    assert "No ROC curves: all test rows are of one class" in page.text
    assert "Without test rows: 2 of 3 classes." in page.text


def test_a_single_class(make_run):
    page = _page(make_run(names=("only",), rows=50))
    assert page.tables["confusion"][0][1:] == [["only", "50"]]
    assert "None: every test row is right." in page.text
    assert "undefined" in page.text


def test_two_classes(make_run):
    page = _page(make_run(names=("negative", "positive")))
    assert "area under the ROC curve" in page.text
    assert len(page.tables["confusion"]) == 1  # the list of confusions would say it twice


def test_no_row_with_a_prediction(make_run):
    page = _page(make_run(rows=40, without_prediction=range(40)))
    assert "40 test rows have no prediction" in page.text
    assert "None: every wrong row is one without a prediction." in page.text
    assert page.tables["classes"][0][1][3] == "–"


def test_a_hundred_classes(make_run):
    names = tuple(f"类别 {index}" for index in range(100))
    folder = make_run(names=names, rows=1500)
    page = _page(folder)
    (confusions,) = page.tables["confusion"]  # the matrix itself is a picture
    assert 2 <= len(confusions) <= 11
    assert len(page.tables["classes"][0]) == 101
    assert folder.joinpath("report.html").stat().st_size < 1_000_000


def test_undefined_roc_auc_of_some_classes_is_counted(make_run):
    page = _page(make_run(rows=60, labels=[0, 2] * 30))
    assert "one-vs-rest, mean of 2 of 3 classes" in page.text
    assert page.tables["classes"][0][2][-1] == "–"


def test_a_report_is_written_over(make_run):
    folder = make_run()
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(about | {"task": "another"}))
    assert "another" in _page(folder).text


def test_importing_the_report_is_cheap():
    heavy = "{'matplotlib', 'sklearn', 'pandas', 'torch', 'transformers', 'datasets'}"
    code = f"import sys, hfcls.report; print(sorted({heavy} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


@pytest.mark.parametrize("state", [STATE, {"log_history": []}])
def test_what_was_taken_of_the_base_model_is_said(state, make_run):
    loading = ["new: classifier; unused: cls"]
    model = {"name": "x", "architecture": "X", "base_model": "lab/x", "parameters": 1, "loading": loading}
    page = write_report(make_run(about={"model": model}, state=state)).read_text(encoding="utf-8")
    assert "Of the weights of the base model: new: classifier; unused: cls." in page
