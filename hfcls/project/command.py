"""`hfcls new` and `hfcls recipes` on the command line."""

import argparse
from typing import Any

from hfcls.terminal import print_lines


def add_new(verbs: Any) -> None:
    """Adds the verb to the subparsers of `hfcls`."""
    summary = "begin a task of your own: a folder with corpus, model, recipe and test that runs as it is"
    parser = verbs.add_parser("new", help=summary, description=summary)
    parser.set_defaults(run=_new)
    parser.add_argument("name", metavar="NAME", help="of the folder and of the modules in it: letters, digits and _")


def add_recipes(verbs: Any) -> None:
    """Adds the verb to the subparsers of `hfcls`."""
    summary = "copy the recipes of hfcls into a folder, to be run and changed there"
    parser = verbs.add_parser("recipes", help=summary, description=summary)
    parser.set_defaults(run=_recipes)
    parser.add_argument("folder", metavar="DIR", nargs="?", default="recipes", help="made if need be [recipes]")


def _new(options: argparse.Namespace) -> int:
    from hfcls.project.new import write_task

    folder = write_task(options.name)
    print_lines(
        f"{folder}: corpus, model, recipe and test; as it is, it trains on a sample\n\n"
        f"  cd {folder}\n"
        f"  python {folder}.py                                  # trains, tests, writes outputs/{folder}/report.html\n"
        f"  hfcls predict outputs/{folder} 'where is my parcel' --trust_remote_code\n"
        f"  python -m pytest                                   # what README.md says holds\n"
    )
    return 0


def _recipes(options: argparse.Namespace) -> int:
    from hfcls.project.recipes import copy_recipes

    copied = copy_recipes(options.folder)
    print_lines(f"{options.folder}: {', '.join(copied)}\nrun one: python {options.folder}/thucnews_bert.py --help")
    return 0
