"""What is said in Chinese is what is said in English: the same commands, the same figures, the same sections."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


def test_the_pages_of_the_recipes_agree():
    english, chinese = read("recipes/README.md"), read("recipes/README.zh-CN.md")
    titles = [re.findall(r"^## ([a-z_]+)$", page, flags=re.MULTILINE) for page in (english, chinese)]
    assert titles[0] == titles[1]
    for title in titles[0]:
        parts = [page.split(f"\n## {title}\n")[1].split("\n## ")[0] for page in (english, chinese)]
        assert not set(re.findall(NUMBERS, parts[1])) - set(re.findall(NUMBERS, parts[0])), title
        codes = [{line for block in blocks(part) for line in block.splitlines()} for part in parts]
        prose = [re.sub(r"```.*?```", "", part, flags=re.DOTALL) for part in parts]
        inline = [{" ".join(code.split()) for code in re.findall(r"`([^`]+)`", part)} for part in prose]
        codes = [code | others for code, others in zip(codes, inline, strict=True)]
        commands = {line for line in codes[1] if "--" in line and " " in line}
        assert not commands - codes[0], title


@pytest.mark.parametrize("name, most", [("README.md", 150), ("README.zh-CN.md", 150)])
def test_a_readme_is_read_in_one_sitting(name, most):
    assert len(read(name).splitlines()) <= most
