"""The geometry of pictures and what they show."""

import math
import re

import numpy as np
import pytest

from hfcls.pages.figures import Line, histogram, line_plot, shade_paths, span, thin
from hfcls.report.plots import roc_curves, training_curves
from hfcls.report.run import load_run
from hfcls.report.scores import CURVE_POINTS, compute_scores


def _plot(x, y, *, x_range=(0, 10), y_range=(0, 1), **options):
    line = Line("a", "s1", np.array(x, float), np.array(y, float))
    return line_plot("A", [line], x_label="x", x_range=x_range, y_range=y_range, **options)


def _points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_a_line_is_drawn_to_scale():
    plot = _plot([0, 5, 10], [0, 0.5, 1], width=158, height=158)  # 100 by 100 inside the margins
    left, bottom = plot.left, plot.height - plot.bottom
    assert _points(plot.lines[0][2]) == [(left, bottom), (left + 50, bottom - 50), (left + 100, bottom - 100)]


def test_a_gap_breaks_the_line():
    path = _plot([0, 1, 2, 3], [0.1, math.nan, 0.3, 0.4]).lines[0][2]
    assert re.sub(r"[\d. ]", "", path) == "MML"


def test_a_single_point_is_a_dot():
    assert len(_plot([3], [0.5]).lines[0][3]) == 1


@pytest.mark.parametrize("ends", [(0, 1), (0, 12600), (0.9871, 0.9989), (-3, 3), (1e-7, 3e-7), (2, 10**9), (5, 5.5)])
def test_ticks_are_few_round_and_inside(ends):
    plot = _plot([ends[0]], [0.5], x_range=ends)
    values = [float(text.replace(",", "")) for _, text in plot.x_ticks]
    assert 2 <= len(values) <= 6
    assert all(ends[0] <= value * (1 + 1e-9) and value <= ends[1] * (1 + 1e-9) for value in values)
    steps = np.diff(values)
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert f"{steps[0]:e}"[0] in "125"


def test_span_never_has_zero_width():
    assert span([3.0, math.nan, 3.0], low=0) == pytest.approx((2.676, 3.324), abs=0.1)
    low, high = span([1.0], low=0, high=1)
    assert low < high == 1
    assert span([0.0], low=0)[0] < span([0.0], low=0)[1]


def test_thinning_keeps_order_ends_and_limit():
    values = np.arange(10_000)
    thinned = thin(values, 300)
    assert len(thinned) == 300
    assert (thinned[0], thinned[-1]) == (0, 9999)
    assert (np.diff(thinned) > 0).all()
    assert thin(values[:300], 300).tolist() == list(range(300))


def test_histogram_bars_are_as_high_as_their_counts():
    plot = histogram("L", [0, 10, 20, 30], [4, 8, 0], x_label="tokens", mark=(60, "max_length 60"))
    heights = [height for _, _, _, height, _ in plot.bars]
    assert heights[0] * 2 == pytest.approx(heights[1], abs=0.2)
    assert heights[2] == 0
    assert plot.mark[0] == plot.width - plot.right  # the axis reaches to it


def test_shades_cover_each_occupied_cell_once():
    confusion = np.array([[3, 1, 0, 0], [0, 5, 0, 1], [0, 0, 0, 0]])
    paths = shade_paths(confusion, size=400)
    cells = {(style, place) for style, _, path in paths for place in re.findall(r"M([\d.]+ [\d.]+)h", path)}
    assert cells == {("right", "0.0 0.0"), ("wrong", "100.0 0.0"), ("right", "100.0 100.0"), ("wrong", "300.0 100.0")}
    opacity = {style: level for style, level, path in paths if "M100.0 100.0" in path}
    assert opacity == {"right": 1.0}  # sqrt(5 / 6) is in the highest of eight levels


def _entry(step, **values):
    return {"step": step, **values}


def test_training_curves_show_every_evaluation_and_mark_the_chosen_one():
    history = [
        _entry(10, loss=2.0),
        _entry(10, eval_accuracy=0.5),
        _entry(20, eval_accuracy=0.7),
        _entry(30, eval_accuracy=0.6),
    ]
    history.append(_entry(30, eval_accuracy=0.7))  # the chosen one again, at the end of training
    accuracy, loss = training_curves(history, best_step=20)
    assert (accuracy.title, loss.title) == ("Accuracy", "Loss")
    (_, _, path, dots), *others = accuracy.lines
    assert not others
    assert [tip for _, _, tip in dots] == ["10: 0.5000", "20: 0.7000", "30: 0.6000"]
    assert accuracy.mark == (_points(path)[1][0], "chosen: 0.7000")
    assert loss.mark[1] == "chosen"  # it has no validation loss


def test_what_is_not_finite_is_not_drawn():
    history = [_entry(10, loss=None, eval_loss=math.nan), _entry(20, loss=math.inf), _entry(30, loss="text")]
    assert training_curves(history, best_step=None) == []
    assert training_curves([], best_step=None) == []


def test_thousands_of_loss_values_are_thinned():
    history = [_entry(step, loss=1 / step) for step in range(1, 20_001)]
    (loss,) = training_curves(history, best_step=None)
    assert len(_points(loss.lines[0][2])) == 1000


def test_two_classes_share_one_roc_curve(make_run):
    run = load_run(make_run(names=("negative", "positive")))
    plot = roc_curves(compute_scores(run.predictions, run.classes))
    assert [line[0].split(" (")[0] for line in plot.lines] == ["by chance", "positive"]


def test_roc_curves_colour_the_weakest_classes_and_stay_small(make_run):
    run = load_run(make_run(names=tuple("abcdefg"), rows=20_000))
    scores = compute_scores(run.predictions, run.classes)
    plot = roc_curves(scores)
    assert all(len(_points(path)) <= CURVE_POINTS + 1 for _, _, path, _ in plot.lines)
    weakest = sorted(scores.classes, key=lambda one: one.roc_auc)[:4]
    coloured = [name for name, style, _, _ in plot.lines if style in ("s2", "s3", "s4", "s5")]
    assert coloured == [f"{one.name} ({one.roc_auc:.4f})" for one in reversed(weakest)]
    assert plot.lines[-1][0] == f"macro mean ({scores.roc_auc:.4f})"
