"""What saving a model in fewer digits did to its test scores."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rounding:
    """Weights that were trained in float32, and rounded to be saved.

    Attributes:
        dtype: what they are saved in, "float16".
        before: test scores of the float32 weights, name → value; those in all_results.json are of the rounded ones.
    """

    dtype: str
    before: dict[str, float]

    def comparison(self, results: Mapping[str, float | None]) -> str:
        """What is to be said beside `results`, those of all_results.json, a sentence without its full stop."""
        scores = ", ".join(
            f"{name.replace('_', ' ')} {results[f'test_{name}']:.4f} ({value:.4f} before)"
            for name, value in self.before.items()
            if results.get(f"test_{name}") is not None
        )
        return f"saved in {self.dtype}, and measured so, computed in float32: {scores}"
