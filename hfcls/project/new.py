"""A task of one's own, written from the one in `my_task`, which is code like any other and tested as such."""

import keyword
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from hfcls.errors import InputError

TEMPLATE = "my_task"


def write_task(name: str) -> str:
    """Writes the folder `name` with corpus, model, recipe, test, README and a sample, and returns it.

    Raises:
        InputError: it cannot be the name of modules, is that of a module, or something lies there already.
    """
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise InputError(f"{name}: modules are called so, too: give ASCII letters, digits and _, such as my_task")
    if name in sys.modules or find_spec(name) is not None:
        raise InputError(f"{name}: there is a module of that name, or a folder, already: give another name")
    folder = Path(name)
    if folder.exists():
        raise InputError(f"{name}: is there already: give another name")
    try:
        folder.mkdir()
        for source in files("hfcls.project").joinpath(TEMPLATE).iterdir():
            if source.is_file():
                text = source.read_text(encoding="utf-8").replace("MyTask", _class_name(name))
                (folder / source.name.replace(TEMPLATE, name)).write_text(text.replace(TEMPLATE, name), "utf-8")
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}: call it from a folder that can be written to") from error
    return name


def _class_name(name: str) -> str:
    """
    >>> _class_name("support_tickets")
    'SupportTickets'
    """
    return "".join(word[:1].upper() + word[1:] for word in name.split("_")) or "Task"
