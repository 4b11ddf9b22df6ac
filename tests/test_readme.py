"""What the READMEs say is there: links, recipes, and the flags in their commands."""

import re
import runpy
from dataclasses import fields
from pathlib import Path

import pytest
from transformers import TrainingArguments

from hfcls.text import recipe as text_recipe
from hfcls.training import arguments

ROOT = Path(__file__).parents[1]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.py"))
PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "recipes").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_every_recipe_has_its_section():
    page = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^## (\w+)$", page, flags=re.MULTILINE)) == RECIPES


def commands(recipe: str) -> set[str]:
    """The commands of a recipe, each in one line: in code blocks, in tables, in its own docstring."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    texts.append((ROOT / "recipes" / f"{recipe}.py").read_text(encoding="utf-8").replace("\\\\\n", "\\\n"))
    joined = "\n".join(texts).replace("\\\n", " ")
    return set(re.findall(rf"^.*(?:\./run\.sh |recipes/|`){recipe}(?:\.py)? +(--[^`\n]*)", joined, flags=re.MULTILINE))


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_flags_of_its_commands_exist(recipe, monkeypatch):
    classes = []

    def recorded(arguments_class, **options):
        classes.append(arguments_class)
        raise SystemExit

    monkeypatch.setattr(arguments, "parse", recorded)
    monkeypatch.setattr(text_recipe, "parse", recorded)
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "recipes" / f"{recipe}.py"), run_name="__main__")
    known = {f"--{f.name}" for f in [*fields(classes[0]), *fields(TrainingArguments)]}
    assert commands(recipe)
    for command in commands(recipe):
        for flag in re.findall(r"--\w+", command.partition(" #")[0]):
            assert flag in known, f"{recipe} {command}"
