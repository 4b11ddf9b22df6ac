"""Excel files against rows that are known, whatever the file says of itself; and files that are none."""

import io
import random
import re
import zipfile

import pytest

from hfcls.data.excel_files import MOST_ELEMENTS, SMALL, excel_records
from hfcls.data.table_files import read_records

openpyxl = pytest.importorskip("openpyxl")

ROWS = [("text", "label"), *((f"股市 {number}", "ab"[number % 2]) for number in range(6))]
SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def members():
    """The files in an Excel file of ROWS."""
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    with zipfile.ZipFile(content) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _pack(path, members) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


def _records(path) -> list[tuple]:
    return [cells for _, cells in excel_records(path)]


@pytest.mark.parametrize("dimension", [b'<dimension ref="A1:B3"/>', b'<dimension ref="A1"/>', b""])
def test_rows_are_counted_not_believed(dimension, members, tmp_path):
    members[SHEET] = re.sub(rb"<dimension[^>]*/>", dimension, members[SHEET])
    assert _records(_pack(tmp_path / "r.xlsx", members)) == ROWS


def test_escapes_are_characters(tmp_path):
    book = openpyxl.Workbook()
    for row in (["text", "label"], ["one_x000D_\ntwo_x0009_three", "snake_x005F_x000D_case"], ["_xyz_", None]):
        book.active.append(row)
    book.save(tmp_path / "r.xlsx")
    assert _records(tmp_path / "r.xlsx")[1:] == [("one\r\ntwo\tthree", "snake_x000D_case"), ("_xyz_", None)]


def test_ragged_rows(tmp_path):
    book = openpyxl.Workbook()
    for row in (["text", "label"], [], ["short"], ["long", "a", "b"]):
        book.active.append(row)
    book.save(tmp_path / "r.xlsx")
    records = excel_records(str(tmp_path / "r.xlsx"))
    assert [next(records), next(records)] == [(1, ("text", "label")), (3, ("short", None))]
    with pytest.raises(ValueError, match=r"r.xlsx:4: 3 cells, the header has 2"):
        next(records)


def test_two_columns_of_one_name(tmp_path):
    book = openpyxl.Workbook()
    for row in (["text", "label", "text "], ["a", "b", "c"]):
        book.active.append(row)
    book.save(tmp_path / "r.xlsx")
    with pytest.raises(ValueError, match="column 'text' is there twice"):
        read_records(str(tmp_path / "r.xlsx"), note=print)


@pytest.mark.parametrize("name", [SHEET, "xl/sharedStrings.xml", "xl/styles.xml"])
def test_a_file_that_unpacks_to_gigabytes_is_not_unpacked(name, members, tmp_path):
    members[name] = members.get(name, b"<sst>") + b" " * (SMALL + 1)
    path = _pack(tmp_path / "r.xlsx", members)
    with pytest.raises(ValueError, match=r"r.xlsx: unpacks to \d+ MB, which is not read; save it as .csv"):
        _records(path)


@pytest.mark.parametrize(
    ("name", "before", "many"),
    [(SHEET, b"</row>", b"<c/>"), (SHEET, b"<sheetData>", b"<col/>"), ("xl/styles.xml", b"</cellXfs>", b"<xf/>")],
)
def test_elements_without_end_are_not_kept(name, before, many, members, tmp_path):
    """Two megabytes, packed to some kilobytes, of which openpyxl makes hundreds."""
    assert before in members[name]
    members[name] = members[name].replace(before, many * (MOST_ELEMENTS + 1) + before, 1)
    with pytest.raises(ValueError, match=r"r.xlsx: a row, or all rows, of millions of elements"):
        _records(_pack(tmp_path / "r.xlsx", members))


def test_many_equal_rows_are_no_bomb(tmp_path):
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for _ in range(20_000):
        sheet.append(["the same text", "a"])
    book.save(tmp_path / "r.xlsx")
    assert len(_records(tmp_path / "r.xlsx")) == 20_000


@pytest.mark.parametrize("seed", range(150))
def test_odd_files_are_read_or_refused_in_one_line(seed, members, tmp_path):
    path = tmp_path / "odd.xlsx"
    _pack(path, members)
    draw, content = random.Random(seed), bytearray(path.read_bytes())
    name = draw.choice([name for name in members if name != "docProps/app.xml"])
    kind = seed % 4
    if kind == 0:
        content = content[: draw.randrange(len(content))]
    elif kind == 1:
        for _ in range(draw.randint(1, 8)):
            content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content)
    if kind == 2:
        del members[name]
        _pack(path, members)
    elif kind == 3:
        pieces = re.findall(rb'<[^>]+>|"[^"]*"|[^<>"]+', members[name])
        place = draw.randrange(len(pieces))
        pieces[place] = draw.choice([b"", b'"-1"', b'"x"', b'"ZZZZ9"', b'<c t="s"><v>x</v></c>', b'"1e400"'])
        _pack(path, members | {name: b"".join(pieces)})
    try:
        _records(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: no whole Excel file; ") or str(error).startswith(f"{path}:")
        assert "\n" not in str(error) and len(str(error).removeprefix(str(path))) < 300
