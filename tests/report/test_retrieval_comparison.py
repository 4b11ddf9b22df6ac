"""Retrieval runs side by side: what all_results.json says, with intervals from the definition of Wilson's."""

import json
import re

import numpy as np
import pytest

from hfcls import cli, sweep
from hfcls.errors import InputError
from hfcls.report import write_comparison
from hfcls.report.retrieval_comparison import METRICS, compare
from hfcls.report.retrieval_comparison_page import markdown, render
from tests.report.test_comparison import HOSTILE, Page

TEXTS, IMAGES = 100, 600


@pytest.fixture
def make_run(tmp_path):
    def make(name, recall, *, images=IMAGES, test=True, validation=True, history=None, about=None, **settings):
        """A finished run; `recall` is that at 1 on test, the others follow from it; `validation` that on validation: by
        default the same, False where there is none."""

        folder = tmp_path / name
        folder.mkdir(parents=True)
        split = {"rows": TEXTS, "images": images, "pairs": images, "labels": {}}
        length = {"unit": "tokens", "mean": 9.0, "std": 1.0, "min": 5, "median": 9.0, "max": 12}
        split |= {"length": length | {"edges": [5, 12], "counts": [TEXTS]}}
        split |= {"answered": {"texts": TEXTS, "images": images}}
        run = {
            "version": 2,
            "task": "muge_clip",
            "target": "pairs",
            "chosen_by": "recall_at_1",
            "command": "accelerate launch recipes/muge_clip.py",
            "started": "2026-01-31T12:00:00+00:00",
            "seconds": 5.0,
            "model": {"name": "Chinese-CLIP", "architecture": "x", "base_model": None, "parameters": 188_000_000},
            "language": "zh",
            "labels": [],
            "data": {
                "name": "MUGE",
                "source": "MUGE",
                "splits": dict.fromkeys(("train", "validation", "test"), split),
                "max_length": 52,
                "covered": 1.0,
                "notes": [],
            },
            "settings": {"learning_rate": 5e-5, "seed": 1} | settings,
            "versions": {"torch": "2.13.0"},
            "hardware": {"cpu": "Xeon", "cores": 2, "memory_gb": 24, "gpus": []},
            "precision": "float32",
            "processes": 1,
        } | (about or {})
        results = {"train_runtime": 75.0, "train_samples_per_second": 1235.7}
        chosen_by = recall if validation is True else validation
        for start, first in (("test_", recall if test else False), ("eval_", chosen_by)):
            for way in ("", "image_to_text_") if first else ():
                values = [first, round(first**0.5, 2), round(first**0.25, 2)]  # shares of 100 texts
                results |= {f"{start}{way}recall_at_{k}": value for k, value in zip((1, 5, 10), values, strict=True)}
                results[f"{start}{way}mean_recall"] = sum(values) / 3
        contents = {"run": run, "all_results": results, "examples": {"queries": []}}
        if history is not None:
            contents["trainer_state"] = {"log_history": history, "best_global_step": None}
        for file_name, content in contents.items():
            (folder / f"{file_name}.json").write_text(json.dumps(content), encoding="utf-8")
        return folder

    return make


def _history(recalls):
    return [
        {
            "eval_recall_at_1": recall,
            "eval_accuracy": recall,
            "eval_image_to_text_recall_at_1": recall / 2,
            "eval_mean_recall": recall,
            "eval_loss": 3 - recall,
            "step": 10 * epoch,
            "epoch": float(epoch),
        }
        for epoch, recall in enumerate(recalls)
    ]


def _wilson(share, n, z=1.959963985):
    """The ends are where the difference to `share` is z standard errors of the end itself: its definition."""
    ends = np.roots([1 + z**2 / n, -(2 * share + z**2 / n), share**2])
    return tuple(sorted(ends))


def test_recalls_intervals_and_the_order(make_run):
    comparison = compare([make_run("weak", 0.25), make_run("strong", 0.36, learning_rate=1e-4)])
    assert [one.name for one in comparison.runs] == ["strong", "weak"] and comparison.chosen.name == "strong"
    header, strong, weak = Page(render(comparison)).tables["runs"]
    assert header[:3] == ["run", "validation recall at 1", "text to image at 1"]
    assert header[3:6] == ["", "learning_rate", "text to image at 5"]
    for row, recall in ((strong, 0.36), (weak, 0.25)):
        assert row[1] == f"{recall:.4f}"
        shown = [row[2], *row[5:12]]
        expected = [recall, round(recall**0.5, 2), round(recall**0.25, 2)]
        for place, value in enumerate([*expected, np.mean(expected)] * 2):
            low, high = _wilson(value, TEXTS if place < 4 else IMAGES)
            interval = "" if place in (3, 7) else f" {low:.4f} – {high:.4f}"
            assert shown[place] == f"{value:.4f}{interval}"
    assert strong[4] == "0.0001" and strong[12:] == ["1 min 15 s", "1,236", "188,000,000"]
    assert comparison.settings == ["learning_rate"]


def test_means_over_seeds(make_run):
    folders = [make_run(f"{rate}_{seed}", 0.2 + rate + seed / 100, learning_rate=rate, seed=seed)
               for rate in (0.1, 0.2) for seed in (1, 2, 3)]  # fmt: skip
    comparison = compare(folders)
    assert [group.settings for group in comparison.groups] == [{"learning_rate": 0.2}, {"learning_rate": 0.1}]
    group = comparison.groups[0]
    for metric in METRICS:
        values = [one.results[f"test_{metric}"] for one in group.runs]
        assert group.means[metric] == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    row = Page(render(comparison)).tables["seeds"][1]
    assert row[:4] == ["0.2", "3", "0.4200 ± 0.0100", "0.4200 ± 0.0100"] and len(row) == 3 + len(METRICS)
    assert "| 0.2 | 3 | 0.4200 ± 0.0100 | 0.4200 ± 0.0100 |" in markdown(comparison)


def test_curves_of_both_ways_and_the_loss(make_run):
    a = make_run("a", 0.3, history=_history([0.1, 0.2, 0.3]))
    b = make_run("b", 0.4, history=_history([0.1, 0.4]), learning_rate=1e-4)
    page = render(compare([a, b, make_run("untrained", 0.2, learning_rate=None)]))
    for title in (
        "Recall at 1, text to image",
        "Recall at 1, image to text",
        "Mean recall, text to image",
        "Validation loss",
    ):
        assert f"<h3>{title}</h3>" in page
    assert page.count('<path class="line"') == 8
    assert {("0", "0.1000"), ("1", "0.4000"), ("2", "0.1500"), ("2", "2.7000")} <= set(
        re.findall(r"<title>(\d): (\d\.\d+)</title>", page)
    )
    assert "none of the runs has an evaluation" in render(compare([make_run("none", 0.1)]))


def test_unknown_test_answers_leave_validation(make_run):
    comparison = compare([make_run("a", 0.3, test=False), make_run("b", 0.2)])
    assert comparison.split == "validation"
    page = Page(render(comparison))
    assert "the recalls on validation, by which the checkpoints were chosen" in page.text
    assert "Recall on validation" in markdown(comparison)
    with pytest.raises(InputError, match="c: has no recall on validation"):
        compare([make_run("c", 0.3, validation=False), make_run("d", 0.3, test=False)])


def test_other_test_pictures_are_not_compared(make_run):
    comparison = compare([make_run("a", 0.3), make_run("b", 0.2), make_run("few", 0.9, images=50)])
    assert comparison.chosen.name == "a"
    message = "other test rows: 100 texts and 50 pictures of MUGE instead of 100 texts and 600 pictures of MUGE"
    assert f"few is not ranked: {message}." in Page(render(comparison)).text
    assert f"Not ranked: few ({message})." in markdown(comparison)
    assert len(comparison.groups) == 2


def test_the_run_that_is_best_on_test_is_not_chosen_for_that(make_run):
    folders = [make_run("lucky", 0.9, validation=0.2), make_run("better", 0.3, validation=0.4, learning_rate=1.0)]
    folders.append(make_run("evaluated", 0.95, validation=False, about={"chosen_by": None}))
    comparison = compare(folders)
    assert [one.name for one in comparison.runs] == ["better", "lucky", "evaluated"]
    assert comparison.chosen.name == "better" and comparison.groups[0].runs == [comparison.chosen]
    source = render(comparison)
    assert re.search(r'<tr class="chosen"><th scope="row" title="better">', source)
    assert "<title>3 runs: 0.3000 test recall at 1 of the one chosen on validation</title>" in source
    assert "evaluated is not ranked: no validation score." in Page(source).text
    tables = markdown(comparison)
    assert "Chosen: better, by its validation recall at 1 of 0.4000." in tables and "best" not in tables


def test_classifiers_and_runs_of_another_version_are_refused(make_run, tmp_path, capsys):
    folder = make_run("a", 0.3)
    classifier = make_run("classifier", 0.3)
    run = json.loads((classifier / "run.json").read_text())
    (classifier / "run.json").write_text(json.dumps(run | {"target": "one_label", "labels": ["x"]}))
    with pytest.raises(SystemExit) as end:
        cli.main(["compare", str(folder), str(classifier)])
    assert end.value.code == 2
    line = f"error: {folder} searches pictures, {classifier} has one class a row: compare runs of one kind\n"
    assert capsys.readouterr().err == line
    run = json.loads((folder / "run.json").read_text())
    del run["data"]["splits"]["test"]["answered"]
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match="splits: test: 'answered' is missing: run again"):
        write_comparison([folder], tmp_path / "page.html")


def test_the_command_writes_the_page_and_nothing_of_a_run_is_taken_for_html(make_run, tmp_path, capsys):
    about = {"model": {"name": HOSTILE, "architecture": "x", "base_model": None, "parameters": 1}}
    folders = [make_run("<b>bold", 0.3, about=about, history=_history([0.1])), make_run("plain", 0.2)]
    with pytest.raises(SystemExit) as end:
        cli.main(["compare", *map(str, folders), "--output", str(tmp_path / "page.html"), "--markdown"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{markdown(compare(folders))}\n\ncomparison: {tmp_path / 'page.html'}\n"
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(source)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "b<"}) and HOSTILE in page.text
    assert "http" not in source.replace("http-equiv", "")


RECIPE = """
import shutil, sys
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
shutil.copytree(f"made/{flags['--seed']}", flags["--output_dir"], dirs_exist_ok=True)
open(f"{flags['--output_dir']}/report.html", "w").close()
"""


def test_a_sweep_ends_in_the_page(make_run, tmp_path, monkeypatch, capsys):
    for seed in (1, 2):
        make_run(f"made/{seed}", 0.2 + seed / 10, seed=seed)
    (tmp_path / "recipe.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    assert sweep.run_sweep("recipe.py", ["--seed", "1,2"], "out") == 0
    printed = capsys.readouterr().out
    assert "seed=1: validation recall at 1 0.3000 after" in printed
    assert "| 2 | 0.3500 ± 0.0707 | 0.3500 ± 0.0707 |" in printed and "comparison: out/comparison.html" in printed
    assert "Over seeds" in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
