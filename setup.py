"""Puts the recipes into the wheel, as data in hfcls/recipes; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

KINDS = (".py", ".ipynb", ".md", ".yaml", ".json")
RECIPES = [str(path) for path in sorted(Path("recipes").rglob("*")) if path.suffix in KINDS]


class WithRecipes(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:  # where they lie beside the package
            for path in RECIPES:
                target = Path(self.build_lib, "hfcls", path)
                self.mkpath(str(target.parent))
                self.copy_file(path, str(target))

    def get_source_files(self):
        return [*super().get_source_files(), *RECIPES]


setup(cmdclass={"build_py": WithRecipes})
