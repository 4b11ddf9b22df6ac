"""What is read of the card of a dataset; needs Python alone, and lies beside exported models of cards."""

import html
import re

_NOISE = re.compile(
    r"\A\s*---\n.*?\n---\n|<!--.*?-->|</?[a-zA-Z][^<>]*>|\]\([^()\s]*\)"
    r"|\[(?:More Information Needed|Needs More Information)\]|[*`|\[\]]+",
    re.DOTALL,
)


def clean_card(card: str) -> str:
    """A card without metadata, HTML, addresses of links and most of its Markdown: headings keep their #.

    >>> clean_card("\\n\\t# Card <b>of</b> [it](http://x.y/z)\\n\\n- **Homepage:**")
    '# Card of it\\n- Homepage:'
    """
    lines = html.unescape(_NOISE.sub(" ", card)).splitlines()
    return "\n".join(shortened for line in lines if (shortened := " ".join(line.split())))
