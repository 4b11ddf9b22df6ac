"""What a model gets wrong, against a plain sort of the rows."""

import numpy as np
import pytest

from hfcls.report.mistakes import Confusion, confident_mistakes, excerpt, frequent_confusions
from hfcls.report.run import load_run


def test_mistakes_are_the_wrong_rows_of_highest_confidence(make_run):
    rows = load_run(make_run(rows=300, without_prediction=[0, 1])).predictions
    expected = sorted(
        (-probabilities[prediction], row + 1)
        for row, (label, prediction, probabilities) in enumerate(
            zip(rows.labels, rows.predicted, rows.probabilities, strict=True)
        )
        if prediction >= 0 and prediction != label
    )[:20]
    found = confident_mistakes(rows, 20)
    assert [(-one.probability_of_prediction, one.row) for one in found] == expected
    for one in found:
        assert one.label == rows.labels[one.row - 1] != one.prediction == rows.predicted[one.row - 1]
        assert one.probability_of_label == rows.probabilities[one.row - 1, one.label]
        assert one.text == f"第{one.row - 1}条新闻"


def test_confusions_are_sorted_and_leave_missing_predictions_out():
    confusion = np.array([[5, 0, 5, 9], [3, 90, 7, 0], [0, 1, 0, 0]])
    assert frequent_confusions(confusion, 3) == [
        Confusion(1, 2, 7, 0.07),
        Confusion(0, 2, 5, 5 / 19),
        Confusion(1, 0, 3, 0.03),
    ]
    assert len(frequent_confusions(confusion, 10)) == 4
    assert frequent_confusions(np.array([[7, 0]]), 10) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("", ""),
        ("  two\n\tlines ", "two lines"),
        ("字" * 200, "字" * 200),
        ("字" * 201, "字" * 200 + "…"),
        ("word " * 2_000_000, ("word " * 40).rstrip() + "…"),
        (" " * 10_000 + "far away", "…"),
    ],
)
def test_excerpts(text, expected):
    assert excerpt(text) == expected
