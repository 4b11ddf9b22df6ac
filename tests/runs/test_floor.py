import pytest

from hfcls.report import write_report
from hfcls.runs.card import write_model_card
from hfcls.runs.floor import Floor
from tests.finished_run import write_run
from tests.report.conftest import make_run  # noqa: F401

FLOOR = {"method": "a linear SVM", "accuracy": 0.8, "f1": 0.7, "p_value": 0.01, "seconds": 12.0}


@pytest.mark.parametrize(
    ("accuracy", "f1", "p_value", "verdict"),
    [
        (0.9, 0.8, 0.01, "this model is above it"),
        (0.9, 0.7, 0.01, "this model is above it in accuracy and not in macro F1"),
        (0.7, 0.8, 0.01, "this model is below it"),
        (0.81, 0.8, 0.31, "this model is not above it by more than chance (McNemar's test, p = 0.31)"),
        (0.8, 0.7, 1.0, "this model is not above it by more than chance (McNemar's test, p = 1)"),
    ],
)
def test_verdicts(accuracy, f1, p_value, verdict):
    floor = Floor(**{**FLOOR, "p_value": p_value})
    assert floor.comparison(accuracy, f1) == (
        f"the n-gram floor reaches an accuracy of 0.8000 and a macro F1 of 0.7000 on these rows in 12.0 s: {verdict}"
    )
    assert floor.is_passed(accuracy, f1) == (verdict == "this model is above it")


@pytest.mark.parametrize("accuracy", [0.1, 0.999])
def test_the_page_warns_of_a_model_below_it(accuracy, make_run):  # noqa: F811
    page = write_report(make_run(about={"floor": {**FLOOR, "accuracy": accuracy, "f1": accuracy}})).read_text("utf-8")
    kind = "caution" if accuracy > 0.9 else "note"
    assert f'<p class="{kind}">The n-gram floor reaches an accuracy of {accuracy:.4f}' in page


def test_a_card_says_it_beside_the_results(tmp_path):
    card = write_model_card(write_run(tmp_path, run={"floor": FLOOR})).read_text(encoding="utf-8")
    results = card.partition("## Results")[2].partition("## Limitations")[0]
    assert (
        "The n-gram floor reaches an accuracy of 0.8000" in results
        and "this model is above it. It is a linear SVM" in results
    )
    assert "floor" not in write_model_card(write_run(tmp_path)).read_text(encoding="utf-8")
