"""The floor of a run: what a simple model reaches, which a larger one should be above."""

from dataclasses import dataclass

CHANCE = 0.05  # a difference of a greater p-value may be one


@dataclass(frozen=True)
class Floor:
    """What a simple model reaches on the test rows of a run, learned from the same training rows.

    Attributes:
        method: what it is, for people.
        accuracy, f1: as all_results.json has them of the run's model.
        p_value: of McNemar's test that both models err equally often on the test rows.
        seconds: to learn and to answer.
    """

    method: str
    accuracy: float
    f1: float
    p_value: float
    seconds: float

    def is_passed(self, accuracy: float, f1: float) -> bool:
        """Whether a model of such scores is above the floor: in accuracy by more than chance, and in macro F1."""
        return accuracy > self.accuracy and self.p_value < CHANCE and f1 > self.f1

    def comparison(self, accuracy: float, f1: float) -> str:
        """What is to be said of a model of such scores, a sentence without its full stop."""
        if self.is_passed(accuracy, f1):
            verdict = "this model is above it"
        elif self.p_value >= CHANCE:
            verdict = f"this model is not above it by more than chance (McNemar's test, p = {self.p_value:.2g})"
        elif accuracy > self.accuracy:
            verdict = "this model is above it in accuracy and not in macro F1"
        else:
            verdict = "this model is below it"
        scores = f"an accuracy of {self.accuracy:.4f} and a macro F1 of {self.f1:.4f}"
        return f"the n-gram floor reaches {scores} on these rows in {self.seconds:.1f} s: {verdict}"
