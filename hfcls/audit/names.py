"""The names of the findings, which help texts list and flags take. It imports nothing heavy."""

from typing import Literal, get_args

FindingName = Literal[
    "duplicate",
    "leakage",
    "conflict",
    "near_duplicate",
    "empty",
    "encoding",
    "html",
    "script",
    "length",
    "balance",
    "giveaway",
    "suspicious",
    "group",
]
FINDINGS = get_args(FindingName)
