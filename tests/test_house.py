"""The plan of the house, held by the code: which room may import which, and how long files and functions get."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the top down: a module imports its own floor and those below it. A room stands for all its modules, but for those
# that are named themselves.
FLOORS = [
    ["cli"],
    ["sweep", "project"],
    ["cards", "retrieval"],
    ["images"],
    ["text"],
    ["training"],
    ["inference"],
    ["report", "audit"],
    ["runs"],
    ["pages"],
    ["training.setup"],  # so that everything above may be typed with it
    ["data", "models", "metrics"],
    ["own_code", "environment", "errors", "terminal"],
]
FOUNDATIONS = ("data", "models", "metrics")  # that do not know each other either
ALONE = ("models",)  # files that are copied beside weights


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "hfcls").with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_name(path): path for path in sorted((ROOT / "hfcls").rglob("*.py")) if path != ROOT / "hfcls" / "__init__.py"
}


def floor_of(module: str) -> int:
    named = [(len(name), -floor) for floor, names in enumerate(FLOORS) for name in names if _within(module, name)]
    assert named, f"{module} has no floor: give its room one in FLOORS"
    return -max(named)[1]


def _within(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def imports(path: Path) -> set[str]:
    """The modules of the house that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("hfcls.") for alias in node.names if alias.name.startswith("hfcls.")}
        elif isinstance(node, ast.ImportFrom) and node.level:
            package = module_name(path).split(".")[: -node.level]
            found.add(".".join([*package, *(node.module or "").split(".")]).strip("."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hfcls":
            base = node.module.removeprefix("hfcls").strip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".strip(".")
                found.add(name if name in MODULES else base)
    return {name for name in found if name}


@pytest.mark.parametrize("module", MODULES)
def test_no_arrow_points_up(module):
    for imported in imports(MODULES[module]):
        assert floor_of(imported) >= floor_of(module), f"{module} imports {imported}, which is above it"
        rooms = module.split(".")[0], imported.split(".")[0]
        if rooms[0] in FOUNDATIONS and rooms[1] in FOUNDATIONS:
            assert rooms[0] == rooms[1], f"{module} imports {imported}: neither of their rooms may know the other"


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] in ALONE])
def test_a_model_file_needs_nothing_of_the_house(module):
    beside = {f"models.{path.stem}" for path in (ROOT / "hfcls" / "models").glob("*.py")}
    assert imports(MODULES[module]) <= beside
    text = MODULES[module].read_text(encoding="utf-8")
    assert "import hfcls" not in text and "from hfcls" not in text  # relative imports are copied along


def test_the_top_folder_shows_the_architecture():
    assert len(list((ROOT / "hfcls").glob("*.py"))) <= 8
    assert {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} <= {
        *(
            "README.md",
            "README.zh-CN.md",
            "CHANGELOG.md",
            "LICENSE",
            "pyproject.toml",
            "setup.py",
            "requirements.lock",
            "run.sh",
        ),
        *("recipes", "hfcls", "tests", "outputs", "hfcls.egg-info", "build", "dist"),
    }


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_are_read_in_one_sitting(module):
    text = MODULES[module].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 320
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{module}:{node.lineno}: {node.name} is longer than 60 lines"


def test_recipes_do_not_repeat_each_other():
    found = {}
    for path in sorted((ROOT / "recipes").glob("*.py")):
        lines = [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        for start in range(len(lines) - 5):
            found.setdefault(tuple(lines[start : start + 6]), set()).add(path.name)
    repeated = {names: lines for lines, files in found.items() if len(files) > 1 for names in [tuple(sorted(files))]}
    assert not repeated, repeated


def test_recipes_are_run_and_never_imported():
    for path in (*(ROOT / "hfcls").rglob("*.py"), *(ROOT / "recipes").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "recipes" for name in names), path
