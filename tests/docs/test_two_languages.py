"""What is said in Chinese is what is said in English: the same commands, the same figures, the same sections."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = {path.stem for path in (ROOT / "recipes").glob("*.py")}
NUMBERS = r"(?<![\d.])\d\.\d{2,}(?!\d)"  # scores


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    """The code blocks without their comments, which are in the reader's language."""
    found = re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)
    return ["\n".join(re.sub(r"\s*#.*", "", line).rstrip() for line in block.splitlines()) for block in found]


def test_the_readmes_have_the_same_commands_and_figures():
    english, chinese = read("README.md"), read("README.zh-CN.md")
    assert blocks(chinese) == blocks(english)
    assert sorted(re.findall(NUMBERS, chinese)) == sorted(re.findall(NUMBERS, english))
    assert len(re.findall("^## ", chinese, flags=re.MULTILINE)) == len(re.findall("^## ", english, flags=re.MULTILINE))
    for cells in (r"^\| `(\w+)` \|", r"\]\((?!README)([^)]+)\)"):  # recipes, and where links lead
        assert re.findall(cells, chinese, flags=re.MULTILINE) == re.findall(cells, english, flags=re.MULTILINE)


def codes(text: str) -> Counter[str]:
    """What stands as code in sentences and tables, wherever its line is broken."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return Counter(" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose))


def test_the_pages_of_the_recipes_say_the_same_section_by_section():
    english, chinese = (re.split(r"^##+ ", read(f"recipes/README{of}.md"), flags=re.MULTILINE) for of in ("", ".zh-CN"))
    assert len(chinese) == len(english)
    for one, other in zip(english, chinese, strict=True):
        title = one.splitlines()[0]
        assert title not in RECIPES or title == other.splitlines()[0]
        assert blocks(other) == blocks(one), title
        assert Counter(re.findall(NUMBERS, other)) == Counter(re.findall(NUMBERS, one)), title
        assert {code for code in codes(one) if "--" in code} == {code for code in codes(other) if "--" in code}, title
        assert re.findall(r"\]\(([^)#]+)\)", other) == re.findall(r"\]\(([^)#]+)\)", one), title


@pytest.mark.parametrize("name, most", [("README.md", 150), ("README.zh-CN.md", 150)])
def test_a_readme_is_read_in_one_sitting(name, most):
    assert len(read(name).splitlines()) <= most
