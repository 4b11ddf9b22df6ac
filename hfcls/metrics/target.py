"""What is predicted: one label a row, a set of labels, or which picture a text describes."""

import numpy as np

from hfcls.metrics.label_sets import LabelSets
from hfcls.metrics.one_label import OneLabel
from hfcls.metrics.pairs import Pairs

Target = OneLabel | LabelSets | Pairs


def target_of(kind: str, names: list[str], thresholds: list[float] | None = None) -> Target:
    """The target that a record of a run names.

    Args:
        kind: `one_label`, `label_sets` or `pairs`.
        names: of the classes.
        thresholds: (classes,) of `label_sets`, if they were fitted.

    Raises:
        ValueError: another kind.
    """
    if kind == LabelSets.kind:
        return LabelSets(names, None if thresholds is None else np.array(thresholds))
    if kind == OneLabel.kind:
        return OneLabel(names)
    if kind == Pairs.kind:
        return Pairs()
    raise ValueError(f"{kind!r} is no kind of target: one_label, label_sets or pairs")
