"""What all pages are made with: templates whose every printed value is escaped, and how values are written in them."""

import statistics
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

# What must not reach a page as it is: control characters, surrogates, noncharacters, and the marks that reorder what
# follows them (Unicode Standard Annex 9). Each becomes U+FFFD, so that it is seen.
_UNSEEN = dict.fromkeys(
    [
        *(code for code in range(0x20) if chr(code) not in "\t\n\r"),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
        0xFFFE,
        0xFFFF,
    ],
    "\N{REPLACEMENT CHARACTER}",
)


@cache
def environment(folder: Path) -> Environment:
    """The templates of `folder` and of this room. Whatever they print is made visible and escaped, wherever it comes
    from.
    """
    templates = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    templates.filters |= {
        "count": lambda value: f"{value:,}",
        "score": lambda value: "–" if value is None else f"{value:.4f}",
        "spread": _spread,
        "percent": lambda value: f"{100 * value:.1f} %",
        "short": lambda value: f"{value:,.4g}" if isinstance(value, float) else value,
        "duration": duration,
        "moment": _moment,
    }
    return templates


def _visible(value):
    return value.translate(_UNSEEN) if isinstance(value, str) and not isinstance(value, Markup) else value


def _spread(values: list[float]) -> str:
    """Mean ± standard deviation."""
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}" if len(values) > 1 else "–"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _moment(started: str) -> str:
    """An ISO 8601 time for a reader; anything else as it is."""
    try:
        return datetime.fromisoformat(started).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return started
