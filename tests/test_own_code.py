"""A class in a file that the command line names: which one is taken, and the one line where none can be."""

import pickle
import subprocess
import sys

import pytest

from hfcls import own_code
from hfcls.errors import InputError


class Base:
    pass


FILE = """
from __future__ import annotations
from dataclasses import dataclass
from tests.test_own_code import Base

@dataclass
class Shared(Base):
    size: int = 1

class First(Shared):
    pass
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a module into a folder, which is forgotten after the test."""
    monkeypatch.setitem(sys.modules, "tests.test_own_code", sys.modules[__name__])
    names = []

    def write(text, name="mine_of_test.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        names.append(path.stem)
        return str(path)

    yield write
    for name in names:
        if getattr(sys.modules.get(name), "__file__", "").startswith(str(tmp_path)):
            del sys.modules[name]


def test_takes_the_last_in_a_line_of_classes_or_the_one_named(written):
    path = written(FILE)
    first = own_code.load_class(path, Base, flag="--architecture")
    assert first.__name__ == "First"
    assert own_code.load_class(f"{path}:Shared", Base, flag="--architecture").__name__ == "Shared"
    assert own_code.load_class(f"{path}:First", Base, flag="--architecture") is first  # the file ran once
    assert pickle.loads(pickle.dumps(first(3))).size == 3


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("x = 1", "", "no class in it is a Base"),
        (f"{FILE}\nclass Second(Shared): pass", "", "holds First, Second; name one: .*mine_of_test.py:First"),
        (FILE, ":Third", "no class Third that is a Base; name one of Shared, First"),
        ("import json\n\njson.loads('{')", "", "mine_of_test.py:3: JSONDecodeError"),
        ("x = (\n", "", "mine_of_test.py:1: SyntaxError"),
        ("import no_such_module", "", "mine_of_test.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(written, text, name, message):
    with pytest.raises(InputError, match=message) as raised:
        own_code.load_class(written(text) + name, Base, flag="--architecture")
    assert "\n" not in str(raised.value)
    assert "mine_of_test" not in sys.modules or not text.startswith(("import", "x = ("))  # half a module is forgotten


def test_names_that_are_taken_or_impossible(written, tmp_path):
    for name, message in (("statistics.py", "rename the file"), ("my-model.py", "letters, digits and _")):
        with pytest.raises(InputError, match=message):
            own_code.load_class(written(FILE, name), Base, flag="--dataset")
    with pytest.raises(InputError, match=r"--dataset .*absent\.py: no such file"):
        own_code.load_class(str(tmp_path / "absent.py"), Base, flag="--dataset")


def test_an_edit_within_a_second_is_run(written):
    """Also one of the same length: the interpreter's cache of compiled files tells them apart by second and size."""
    path = written("from tests.test_own_code import Base\nclass Mine(Base):\n    size = 1\n")
    assert own_code.load_class(path, Base, flag="--dataset").size == 1
    del sys.modules["mine_of_test"]
    written("from tests.test_own_code import Base\nclass Mine(Base):\n    size = 2\n")
    assert own_code.load_class(path, Base, flag="--dataset").size == 2


def test_it_needs_no_torch():
    code = "import sys, hfcls.own_code; assert not {'torch', 'transformers'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
