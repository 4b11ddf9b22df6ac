"""The comparison against scikit-learn, SciPy and numpy; what cannot be compared is refused and said."""

import csv
import io
import json
import re
from contextlib import redirect_stdout
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from hfcls import cli
from hfcls.errors import InputError
from hfcls.metrics.intervals import bootstrap_intervals
from hfcls.report import write_comparison
from hfcls.report.comparison import compare
from hfcls.report.comparison_figures import styles
from hfcls.report.comparison_page import markdown, render

NAMES = ["财经", "体育", "游戏"]
ROWS = 200
HOSTILE = '<script>alert(1)</script> & "x" | y'


def _history(accuracies, **entry):
    return [
        {"eval_accuracy": accuracy, "step": 10 * epoch, "epoch": float(epoch), **entry}
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]


@pytest.fixture
def make_run(tmp_path):
    def make(
        name: str,
        noise: int,
        *,
        strength: float = 2.0,
        names=NAMES,
        rows: int = ROWS,
        text: str = "第{}条",
        history: list | None = None,
        command: str = "accelerate launch recipes/x.py",
        validation: dict | None = None,
        about: dict | None = None,
        **settings,
    ):
        """A finished run; `noise` seeds the model's errors, the test rows are the same for every run of `rows`.

        `validation` are its scores there; by default it does as well as on test, less a hundredth.
        """
        labels = np.random.default_rng(0).integers(len(names), size=rows)
        logits = np.random.default_rng(noise).normal(size=(rows, len(names)))
        logits[np.arange(rows), labels] += strength
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        predicted = probabilities.argmax(axis=1)
        folder = tmp_path / name
        folder.mkdir(parents=True)
        with open(folder / "predictions.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label", "prediction", *names])
            for row, (label, answer) in enumerate(zip(labels, predicted, strict=True)):
                shares = map(repr, probabilities[row].tolist())
                writer.writerow([text.format(row), names[label], names[answer], *shares])
        split = {"rows": rows, "labels": dict.fromkeys(names, rows // len(names)), "length": None}
        run = {
            "version": 2,
            "task": "x",
            "target": "one_label",
            "chosen_by": "accuracy",
            "command": command,
            "started": "2026-01-31T12:00:00+00:00",
            "seconds": 5.0,
            "model": {"name": "BERT mini", "architecture": "Bert", "base_model": None, "parameters": 4_900_000},
            "language": "zh",
            "labels": list(names),
            "data": {
                "name": "THUCNews",
                "source": "titles",
                "splits": {"train": split, "test": split},
                "max_length": 32,
                "covered": None,
                "notes": [],
            },
            "settings": {"learning_rate": 1e-3, "seed": 1, "optim": "adamw"} | settings,
            "versions": {"torch": "2.13.0"},
            "hardware": {"cpu": "Xeon", "cores": 2, "memory_gb": 24, "gpus": []},
            "precision": "float32",
            "processes": 1,
        } | (about or {})
        areas = [roc_auc_score(labels == index, probabilities[:, index]) for index in range(len(names))]
        results = {
            "test_accuracy": accuracy_score(labels, predicted),
            "test_f1": f1_score(labels, predicted, average="macro"),
            "test_roc_auc": float(np.mean(areas)),
            "train_runtime": 75.0,
            "train_samples_per_second": 1235.7,
        }
        if validation is None:
            validation = {"accuracy": results["test_accuracy"] - 0.01}
        results |= {f"eval_{metric}": value for metric, value in validation.items()}
        contents = {"run": run, "all_results": results}
        if history is not None:
            contents["trainer_state"] = {"log_history": history, "best_global_step": None}
        for file_name, content in contents.items():
            (folder / f"{file_name}.json").write_text(json.dumps(content), encoding="utf-8")
        return folder

    return make


class Page(HTMLParser):
    """Tables as rows of text, by section; all text; the tags."""

    def __init__(self, source: str):
        super().__init__()
        self.tables, self.text, self.tags, self.section, self._open = {}, "", [], "", []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag != "meta":
            self._open.append(tag)
        if tag == "section":
            self.section = dict(attributes)["id"]
            self.tables[self.section] = []
        elif tag == "tr":
            self.tables[self.section].append([])
        elif tag in ("td", "th"):
            self.tables[self.section][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += data
        if "td" in self._open or "th" in self._open:
            self.tables[self.section][-1][-1] += data


def test_scores_intervals_and_the_order(make_run):
    comparison = compare([make_run("weak", 1, strength=1.0), make_run("strong", 2, strength=3.0)])
    assert [one.name for one in comparison.runs] == ["strong", "weak"]
    header, *rows = Page(render(comparison)).tables["runs"]
    assert header[:5] == ["run", "validation accuracy", "test accuracy, 95 % interval", "", "p against chosen"]
    for one, row in zip(comparison.runs, rows, strict=True):
        assert row[1] == f"{one.results['eval_accuracy']:.4f}"
        for name, cell in (("accuracy", row[2]), ("f1", row[-5])):
            low, high = one.scores.intervals[name]
            assert cell == f"{one.results[f'test_{name}']:.4f} {low:.4f} – {high:.4f}"
        assert row[-4] == f"{one.results['test_roc_auc']:.4f}"
        assert row[-3:] == ["1 min 15 s", "1,236", "4,900,000"]


def test_the_run_that_is_best_on_test_is_not_chosen_for_that(make_run):
    lucky = make_run("lucky", 1, strength=3.0, validation={"accuracy": 0.8})
    better = make_run("better", 2, strength=2.0, validation={"accuracy": 0.9}, learning_rate=1.0)
    comparison = compare([lucky, better])
    assert [one.name for one in comparison.runs] == ["better", "lucky"]
    assert comparison.runs[1].scores.accuracy > comparison.runs[0].scores.accuracy
    assert comparison.chosen is comparison.runs[0] and comparison.groups[0].runs == [comparison.chosen]
    assert comparison.runs[1].p_value is not None and comparison.chosen.p_value is None
    source, tables = render(comparison), markdown(comparison)
    assert re.search(r'<tr class="chosen"><th scope="row" title="better">', source)
    accuracy = f"{comparison.chosen.scores.accuracy:.4f}"
    assert f"<title>2 runs: {accuracy} test accuracy of the one chosen on validation</title>" in source
    assert f"Chosen: better, by its validation accuracy of 0.9000; its test accuracy is {accuracy}" in " ".join(
        Page(source).text.split()
    )
    assert "Chosen: better, by its validation accuracy of 0.9000." in tables
    assert "best" not in tables and "lucky" not in re.findall("Chosen: .*", tables)[0]


def test_runs_without_a_validation_score_come_last_and_nothing_is_chosen_among_them(make_run):
    evaluated = make_run("evaluated", 1, strength=9.0, validation={}, about={"chosen_by": None})
    trained = [make_run(name, seed, learning_rate=seed) for name, seed in (("a", 2), ("b", 3))]
    comparison = compare([evaluated, *trained])
    *ranked, last = comparison.runs
    assert {one.name for one in ranked} == {"a", "b"} and last.name == "evaluated" and last.p_value is not None
    assert [last.unranked, *(one.unranked for one in ranked)] == ["no validation score", "", ""]
    assert comparison.groups[-1].runs == [last] and styles(comparison)["evaluated"] == "other"
    page = Page(render(comparison))
    assert "evaluated is not ranked: no validation score." in page.text
    assert page.tables["runs"][-1][1] == "–"
    assert "Not ranked: evaluated (no validation score)." in markdown(comparison)

    comparison = compare([evaluated])
    assert comparison.chosen is None and comparison.criterion is None
    page = Page(render(comparison))
    assert "No run has a validation score, so none is chosen" in page.text
    assert "p against chosen" not in page.tables["runs"][0]
    assert "none is chosen: test scores choose nothing" in markdown(comparison)


def test_a_loss_is_best_where_it_is_lowest(make_run):
    by_loss = {"about": {"chosen_by": "loss", "greater_is_better": False}}
    low = make_run("low", 1, strength=1.5, validation={"loss": 0.2, "accuracy": 0.7}, **by_loss)
    high = make_run(
        "high", 2, validation={"loss": 0.3, "accuracy": 0.9}, history=_history([0.5], eval_loss=3.5), **by_loss
    )
    comparison = compare([high, low])
    assert [one.name for one in comparison.runs] == ["low", "high"]
    source = render(comparison)
    assert "<h3>Validation loss</h3>" in source and "<title>1: 3.5000</title>" in source


def test_the_metric_that_most_were_chosen_by_ranks(make_run):
    scores = [{"accuracy": 0.7, "f1": 0.9}, {"accuracy": 0.8, "f1": 0.6}, {"accuracy": 0.9, "f1": 0.5}]
    metrics = ["f1", "accuracy", "f1"]
    folders = [
        make_run(name, seed, validation=validation, about={"chosen_by": metric}, learning_rate=seed)
        for seed, (name, validation, metric) in enumerate(zip("abc", scores, metrics, strict=True), start=1)
    ]
    comparison = compare(folders)
    assert [one.name for one in comparison.runs] == ["a", "b", "c"] and comparison.criterion.metric == "f1"
    page = Page(render(comparison))
    assert "b chose its checkpoint by accuracy, yet is ranked by validation macro F1 like the others." in page.text
    assert page.tables["runs"][0][1] == "validation macro F1" and page.tables["runs"][1][1] == "0.9000"
    assert "Ranked by validation macro F1 too, though chosen by accuracy: b." in markdown(comparison)


def test_other_validation_rows_are_not_ranked(make_run):
    def about(rows):
        split = {"rows": ROWS, "labels": dict.fromkeys(NAMES, 60)}
        splits = {"train": split, "validation": {"rows": rows, "labels": {NAMES[0]: rows}}, "test": split}
        return {"data": {"name": "THUCNews", "source": "titles", "splits": splits, "max_length": 32}}

    folders = [make_run(f"few{seed}", seed, about=about(10), validation={"accuracy": 1.0}) for seed in (1,)]
    folders += [make_run(f"all{seed}", seed, about=about(600), seed=seed) for seed in (2, 3)]
    comparison = compare(folders)
    assert [one.unranked for one in comparison.runs] == ["", "", "other validation rows: 10 instead of 600"]
    assert comparison.runs[-1].name == "few1" and comparison.runs[-1].p_value is not None


def test_rows_with_several_labels(tmp_path):
    folders = []
    for name, validation, third in (("a", 0.5, '["x"]'), ("b", 0.6, "[]")):
        folder = tmp_path / name
        folder.mkdir()
        rows = [('["x"]', '["x"]', 0.9, 0.1), ("[]", "[]", 0.2, 0.1), ('["x", "y"]', third, 0.3, 0.4)]
        with open(folder / "predictions.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text", "label", "prediction", "x", "y"], *(["t", *row] for row in rows)])
        run = {
            "version": 2,
            "task": "tags",
            "target": "label_sets",
            "chosen_by": "accuracy",
            "command": "x",
            "started": "2026-01-31",
            "seconds": 1.0,
            "model": {"name": name, "architecture": "x", "base_model": None, "parameters": 1},
            "labels": ["x", "y"],
            "data": {"name": "d", "source": "s", "splits": {"test": {"rows": 3, "labels": {"x": 2, "y": 1}}}},
            "settings": {},
            "versions": {},
            "hardware": {"cpu": "one"},
            "precision": "float32",
            "processes": 1,
        }
        results = {"test_accuracy": 2 / 3, "test_f1": 0.5 if third != "[]" else 1 / 3, "eval_accuracy": validation}
        results |= {"test_roc_auc": 1.0}
        for file_name, content in (("run", run), ("all_results", results)):
            (folder / f"{file_name}.json").write_text(json.dumps(content), encoding="utf-8")
        folders.append(folder)
    comparison = compare(folders)
    assert [one.name for one in comparison.runs] == ["b", "a"]
    assert comparison.runs[0].correct.tolist() == [True, True, False]
    page = Page(render(comparison))
    assert "confusion" not in page.tables and page.tables["runs"][1][2].startswith("0.6667 ")
    assert "| b | 0.6000 |" in markdown(comparison)


def test_p_value_against_the_exact_binomial_test(make_run):
    folders = [make_run("a", 1, strength=2.2), make_run("b", 2), make_run("c", 3, strength=2.1)]
    comparison = compare(folders)
    chosen = comparison.chosen
    assert chosen is comparison.runs[0]
    assert (chosen.p_value, chosen.unranked) == (None, "")
    for one in comparison.runs[1:]:
        only_one = int((one.correct & ~chosen.correct).sum())
        only_chosen = int((chosen.correct & ~one.correct).sum())
        exact = binomtest(only_one, only_one + only_chosen).pvalue
        assert one.p_value == pytest.approx(exact, abs=0.02)  # chi-square from 25 discordant rows on
        assert one.unranked == ""


def test_only_what_differs_is_a_setting(make_run):
    a = make_run("a", 1, learning_rate=1e-3, truncation="head")
    b = make_run("b", 2, learning_rate=3e-4, truncation="head", about={"precision": "bf16"})
    c = make_run(
        "c", 3, warmup_steps=0.1, command="x --fp16 --adam_beta2=0.9 --output_dir c --seed 1 --truncation head"
    )
    comparison = compare([a, b, c])
    settings = {one.name: one.settings for one in comparison.runs}
    assert comparison.settings == ["learning_rate", "precision", "warmup_steps", "fp16", "adam_beta2"]
    assert settings["b"] == {
        "learning_rate": 3e-4,
        "precision": "bf16",
        "warmup_steps": None,
        "fp16": None,
        "adam_beta2": None,
    }
    assert (settings["c"]["fp16"], settings["c"]["adam_beta2"]) == ("True", "0.9")
    assert "The runs differ in learning_rate, precision," in Page(render(comparison)).text


def test_the_model_is_named_once(make_run):
    tiny = {"model": {"name": "BERT tiny", "architecture": "Bert", "base_model": None, "parameters": 1}}
    runs = [make_run("a", 1, from_scratch="mini"), make_run("b", 2, from_scratch="tiny", about=tiny)]
    assert compare(runs).settings == ["model"]
    runs.append(make_run("c", 3, from_scratch="other"))
    assert compare(runs).settings == ["model", "from_scratch"]


def test_means_over_seeds(make_run):
    folders = [
        make_run(f"{rate}_{seed}", 10 * seed + index, strength=2 + index, learning_rate=rate, seed=seed)
        for index, rate in enumerate([1e-3, 3e-4])
        for seed in (1, 2, 3)
    ]
    other_machine = {"hardware": {"cpu": "EPYC", "cores": 2, "memory_gb": 24, "gpus": []}}
    folders.append(make_run("3e-4_4", 44, strength=3, learning_rate=3e-4, seed=4, about=other_machine))
    folders.append(make_run("alone", 50, learning_rate=1e-5))
    comparison = compare(folders)
    groups = comparison.groups
    assert [group.settings for group in groups if len(group.runs) > 1] == [
        {"learning_rate": 3e-4},
        {"learning_rate": 1e-3},
    ]
    assert [len(group.runs) for group in groups if len(group.runs) > 1] == [4, 3]
    best = groups[0]
    for name in ("accuracy", "f1", "roc_auc"):
        values = [one.results[f"test_{name}"] for one in best.runs]
        assert best.means[name] == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    validation = [one.results["eval_accuracy"] for one in best.runs]
    assert best.validation == pytest.approx((np.mean(validation), np.std(validation, ddof=1)))
    row = Page(render(comparison)).tables["seeds"][1]
    ranked = f"{best.validation[0]:.4f} ± {best.validation[1]:.4f}"
    assert row[:4] == ["0.0003", "4", ranked, f"{best.means['accuracy'][0]:.4f} ± {best.means['accuracy'][1]:.4f}"]
    assert f"| 0.0003 | 4 | {ranked} | {best.means['accuracy'][0]:.4f} ± {best.means['accuracy'][1]:.4f} |" in markdown(
        comparison
    )


def test_no_means_without_seeds(make_run):
    comparison = compare([make_run("a", 1), make_run("b", 2, learning_rate=0.1)])
    assert "seeds" not in Page(render(comparison)).tables
    assert "Mean" not in markdown(comparison)


def test_what_cannot_be_tested_is_said(make_run):
    folders = [
        make_run("a", 1),
        make_run("b", 2),
        make_run("fewer", 3, rows=120, strength=9.0, seed=2),
        make_run("texts", 4, text="Zeile {}", seed=3),
        make_run("classes", 5, names=["财经", "体育", "科技"], seed=4),
    ]
    comparison = compare(folders)
    assert comparison.chosen.name in "ab"  # the highest score is of a run with test rows of its own
    found = {one.name: (one.p_value, one.unranked) for one in comparison.runs}
    assert found["fewer"] == (None, "other test rows: 120 instead of 200")
    assert found["texts"] == (None, "other test rows: as many, but not the same texts and labels in the same order")
    assert found["classes"] == (None, "other classes: without 游戏 and with 科技")
    assert all(len(group.runs) == 1 for group in comparison.groups if group.runs[0].name not in "ab")
    page = Page(render(comparison))
    for name in ("fewer", "texts", "classes"):
        assert f"{name} is not ranked: {found[name][1]}." in page.text
        assert f"Not ranked: {name} ({found[name][1]})." in markdown(comparison)
    assert {row[4] for row in page.tables["runs"][1:]} >= {"chosen", "other test rows", "other classes"}


def test_classes_in_another_order_are_the_same_classes(make_run):
    a, b = make_run("a", 1), make_run("b", 1)
    with open(b / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = [[*row[:3], row[4], row[5], row[3]] for row in csv.reader(file)]
    with open(b / "predictions.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    run = json.loads((b / "run.json").read_text(encoding="utf-8"))
    (b / "run.json").write_text(json.dumps(run | {"labels": rows[0][3:]}), encoding="utf-8")
    comparison = compare([a, b])
    assert comparison.runs[1].p_value == 1.0
    assert "in the order" not in Page(render(comparison)).text


def test_curves(make_run):
    last_is_repeated = [*_history([0.5, 0.7, 0.6]), {"eval_accuracy": 0.7, "step": 30, "epoch": 3.0}]
    a = make_run("a", 1, history=last_is_repeated)
    b = make_run("b", 2, history=[{"loss": 1.0, "step": 5}, *_history([0.4, float("nan"), 0.8])], learning_rate=1e-2)
    page = render(compare([a, b, make_run("untrained", 3, learning_rate=1e-1)]))
    points = sorted(re.findall(r"<title>(\d): (0\.\d+)</title>", page))
    assert points == [("1", "0.4000"), ("1", "0.5000"), ("2", "0.7000"), ("3", "0.6000"), ("3", "0.8000")]
    assert page.count('<path class="line"') == 2
    assert "epoch</text>" in page
    steps = [{"eval_accuracy": 0.5, "step": 7}]
    assert "step</text>" in render(compare([a, make_run("steps", 4, history=steps)]))
    assert "none of the runs has an evaluation" in render(compare([make_run("none", 5)]))


def test_sixty_runs_stay_small(make_run):
    folders = [
        make_run(f"{rate}_{seed}", seed, rows=60, learning_rate=rate, seed=seed, history=_history([0.5, 0.6]))
        for rate in range(30)
        for seed in (1, 2)
    ]
    page = render(compare(folders))
    assert len(Page(page).tables["runs"]) == 61
    assert page.count('aria-label="Confusion matrix"') == 24
    assert "Shown are 24 of 30" in page
    assert len(page) < 300_000
    assert len(set(re.findall(r'<g class="(\w+)"', page))) == 6  # five colours and grey


def test_confusion_is_drawn_for_each_setting(make_run):
    folders = [make_run("a", 1), make_run("b", 2, seed=2), make_run("c", 3, learning_rate=1.0)]
    page = render(compare(folders))
    assert page.count('aria-label="Confusion matrix"') == 2
    assert "in the order 财经, 体育, 游戏" in page
    assert "Of runs that differ in the seed only, the first of the table is shown." in page


def test_nothing_of_a_run_is_taken_for_html_or_moves_the_cursor(make_run):
    about = {"model": {"name": HOSTILE + "\x1b[2J\n", "architecture": "x", "base_model": HOSTILE, "parameters": 1}}
    names = [HOSTILE, "b\u202e", "c"]
    folders = [
        make_run("<b>bold", 1, names=names, about=about, history=_history([0.5])),
        make_run("plain", 2, command=f"x --note {HOSTILE}", **{HOSTILE: HOSTILE}),
    ]
    comparison = compare(folders)
    source = render(comparison)
    page = Page(source)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "b\u202e"})
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in page.text
    assert "\u202e" not in source
    assert "http" not in re.sub(r"http-equiv", "", source)
    table = markdown(comparison)
    assert "\x1b" not in table
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.split("\n\n")[0].splitlines()}) == 1


def test_tables_on_a_terminal_without_chinese(make_run, tmp_path):
    folders = [make_run("体育\x1b[2J", 1), make_run("b", 2, learning_rate=1.0)]
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with pytest.raises(SystemExit) as end, redirect_stdout(out):
        cli.main(["compare", *map(str, folders), "--markdown", "--output", str(tmp_path / "compare.html")])
    out.flush()
    printed = out.buffer.getvalue().decode("ascii")
    assert end.value.code == 0 and r"\u4f53" in printed
    assert "\x1b" not in printed and "comparison: " in printed


def test_names_are_paths_below_what_they_share(make_run):
    comparison = compare([make_run("x/seed1", 1), make_run("y/z/seed1", 2)])
    assert sorted(one.name for one in comparison.runs) == ["x/seed1", "y/z/seed1"]


def test_the_command_writes_the_page_and_prints_the_table(make_run, tmp_path, capsys):
    folders = [make_run("a", 1), make_run("b", 2, learning_rate=1e-2)]
    output = tmp_path / "new" / "compare.html"
    with pytest.raises(SystemExit) as end:
        cli.main(["compare", *map(str, folders), "--output", str(output), "--markdown"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert printed == f"{markdown(compare(folders))}\n\ncomparison: {output}\n"
    assert output.read_text(encoding="utf-8") == render(compare(folders))


def test_the_report_is_written_anew(make_run, capsys):
    folder = make_run("a", 1)
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(folder)])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"report: {folder / 'report.html'}\n"
    low, _ = bootstrap_intervals(*_labels_and_predictions(folder), 3)["accuracy"]
    assert f"{low:.4f}" in (folder / "report.html").read_text(encoding="utf-8")


def _labels_and_predictions(folder):
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [np.array([NAMES.index(row[column]) for row in rows]) for column in ("label", "prediction")]


def test_runs_that_cannot_be_read(make_run, tmp_path):
    folder = make_run("a", 1)
    with pytest.raises(InputError, match="a: is given twice"):
        compare([folder, f"{folder}/."])
    with pytest.raises(InputError, match="run.json: No such file"):
        compare([folder, tmp_path / "nowhere"])
    with pytest.raises(InputError, match="Is a directory"):
        write_comparison([folder], tmp_path)
    (folder / "all_results.json").write_text('{"test_accuracy": 0.1, "test_f1": 0.1, "test_roc_auc": 0.1}')
    with pytest.raises(InputError, match="stale"):
        compare([folder])
