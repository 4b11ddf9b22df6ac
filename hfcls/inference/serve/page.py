"""The page at /: one HTML file with nothing from elsewhere, and the policy that holds it to that."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from hfcls.pages.templates import environment


@dataclass(frozen=True)
class Page:
    """The HTML, and its Content-Security-Policy, which knows its style and its script by their digests."""

    html: str
    policy: str


def render() -> Page:
    """The page, the same for every model: it asks the server what it serves."""
    html = environment(Path(__file__).parent).get_template("page.html").render()
    style, script = (_digest(html, f"<{tag}>", f"</{tag}>") for tag in ("style", "script"))
    return Page(
        html,
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src 'self' blob: data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )


def _digest(html: str, start: str, end: str) -> str:
    """The digest of the one element between `start` and `end`, as a policy writes it."""
    content = html.partition(start)[2].partition(end)[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
