"""Training, predict and check read the same rows of a file, say the same of it, and refuse it in the same words."""

import gzip
import io
import json
import re
import tracemalloc
import zipfile

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

from hfcls.audit.sources import load_tables
from hfcls.data.table import Table
from hfcls.errors import InputError
from hfcls.inference.text_files import TextFile

TEXTS = [f"第{row}行，说了什么" for row in range(40)]
LABELS = ["球队", "股市"] * 20


def separated(separator=",", end="\n", texts=TEXTS, header="text{}label", quote=""):
    lines = [f"{quote}{text}{quote}{separator}{label}" for text, label in zip(texts, LABELS, strict=True)]
    return end.join([header.format(separator), *lines, ""])


def objects(texts=TEXTS):
    return [{"text": text, "label": label} for text, label in zip(texts, LABELS, strict=True)]


def json_lines(rows, end="\n"):
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in rows)


def zstd(content):
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def parquet(texts=TEXTS, kind=None, **options):
    table = pyarrow.table({"text": pyarrow.array(texts, kind), "label": pyarrow.array(LABELS)})
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, **options)
    return file.getvalue()


def excel(dimension=None, texts=TEXTS, header=("text", "label")):
    """`dimension`: what the sheet says of its size; None: what openpyxl writes; "": nothing."""
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in [header, *zip(texts, LABELS, strict=True)]:
        book.active.append(row)
    book.save(file)
    if dimension is None:
        return file.getvalue()
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode()
            if name.endswith("sheet1.xml"):
                content = re.sub(r"<dimension[^>]*/>", dimension, content)
            new.writestr(name, content)
    return changed.getvalue()


QUOTE_BEGINS = [
    f'"{text}' if row % 20 == 3 else f'{text} "so"' if row % 20 == 9 else text for row, text in enumerate(TEXTS)
]
ODD_TEXTS = [text.replace("什么", "\u2028\x85\x0b\x0c") for text in TEXTS]

SAME = {
    "plain.csv": separated().encode(),
    "bom.csv": separated().encode("utf-8-sig"),
    "gb.csv": separated().encode("gb18030"),
    "crlf.csv": separated(end="\r\n", quote='"').encode(),
    "mac.csv": separated(end="\r").encode(),
    "blank.csv": separated(end="\n\n").encode(),
    "blanks.csv": separated(end="\r\n\r").encode(),
    "lines.csv": separated(texts=[f"{text}\n\r{text}" for text in TEXTS], quote='"').encode(),
    "UPPER.CSV": separated().encode(),
    "nul.csv": separated(texts=[text.replace("说", "\0") for text in TEXTS]).encode(),
    "odd.csv": separated(texts=ODD_TEXTS).encode(),
    "packed.csv.gz": gzip.compress(separated().encode("gb18030")),
    "packed.csv.zst": zstd(separated().encode()),
    "plain.tsv": separated("\t").encode(),
    "mac.tsv": separated("\t", "\r").encode(),
    "quoted.tsv": separated("\t", quote='"').encode(),
    "unquoted.tsv": separated("\t", texts=QUOTE_BEGINS).encode(),
    "quoted_tab.tsv": separated("\t", texts=[f"{text}\t{text}" for text in TEXTS], quote='"').encode(),
    "commas.tsv": separated("\t", texts=[f'{text}, "und" so' for text in TEXTS]).encode(),
    "packed.tsv.gz": gzip.compress(separated("\t").encode()),
    "plain.jsonl": json_lines(objects()).encode(),
    "gb.jsonl": json_lines(objects()).encode("gb18030"),
    "mac.jsonl": json_lines(objects(), "\r").encode(),
    "blank.jsonl": json_lines(objects(), "\n \n\n").encode(),
    "odd.jsonl": json_lines(objects(ODD_TEXTS)).encode(),
    "numbers.jsonl": json_lines([{"text": 2.0, "label": "股市"}, *objects()]).encode(),
    "null.jsonl": json_lines([{"text": None, "label": "股市"}, *objects()]).encode(),
    "packed.jsonl.gz": gzip.compress(json_lines(objects()).encode()),
    "packed.jsonl.zst": zstd(json_lines(objects()).encode()),
    "lines.json": json_lines(objects()).encode(),
    "list.json": json.dumps(objects(), indent=1).encode(),
    "list.json.gz": gzip.compress(("\n\n" + json.dumps(objects())).encode()),
    "plain.parquet": parquet(),
    "groups.parquet": parquet(row_group_size=7),
    "bytes.parquet": parquet([text.encode() for text in TEXTS], pyarrow.binary()),
    "missing.parquet": parquet([None, *TEXTS[1:]]),
    "plain.xlsx": excel(),
    "small.xlsx": excel('<dimension ref="A1:B20"/>'),
    "sizeless.xlsx": excel(""),
    "escaped.xlsx": excel(texts=[f"{text}_x000D_\n_x0009_说_x4E2D_" for text in TEXTS]),
}

ALTERED = ("lines.csv", "nul", "odd", "unquoted", "quoted_tab", "commas", "numbers", "missing", "escaped")

REFUSED = {
    "extra_comma.csv": (separated().replace("球队\n", "球队,\n"), "extra_comma.csv:2: 3 cells, the header has 2"),
    "every_row.csv": (
        separated().replace("队\n", "队,1\n").replace("市\n", "市,1\n"),
        "csv:2: 3 cells, the header has 2",
    ),
    "short.tsv": (separated("\t").replace("\t球队\n", "\n"), "short.tsv:2: 1 cells, the header has 2"),
    "open.csv": (separated().replace("第7行", '"第7行'), "open.csv:9: "),
    "twice.csv": (separated(header="text{0}label{0}label"), "column 'label' is there twice"),
    "twice.xlsx": (excel(header=("text", "text")), "column 'text' is there twice"),
    "semicolons.csv": (separated(";"), "no ',' in the header"),
    "list.jsonl": (
        json_lines([{"text": ["a"], "label": "球队"}]),
        "list.jsonl:1: the text is ['a']; give each row one",
    ),
    "dict.jsonl": (json_lines([{"text": {"a": 1}, "label": "x"}]), "dict.jsonl:1: the text is {'a': 1}; give each row"),
    "half.jsonl": ('{"text": "\\ud83d", "label": "x"}\n', "half.jsonl:1: the text holds half a surrogate pair"),
    "torn.jsonl": ('{"text": "a", "label": "x"}\n{"te', "torn.jsonl:2: no JSON"),
    "torn.json": ('[{"text": "a", "label": "x"}, {"te', "torn.json: no JSON"),
    "scalars.json": ("[1, 2]", "scalars.json:1: no object"),
    "list.parquet": (
        parquet([[text] for text in TEXTS]),
        "list.parquet:1: the text is ['第0行，说了什么']; give each row",
    ),
    "binary.parquet": (parquet([b"\xff\xfe"] * 40), "binary.parquet:1: the text is bytes that are no UTF-8"),
    "torn.parquet": (parquet()[:-30], "torn.parquet: no whole Parquet file"),
    "torn.csv.gz": (gzip.compress(separated().encode())[:-20], "torn.csv.gz: not whole"),
    "torn.csv.zst": (zstd(separated().encode())[:-20], "torn.csv.zst: not whole"),
    "plain.csv.gz": (separated(), "plain.csv.gz: not whole"),
    "western.csv": (
        separated(texts=["cafés vécus"] * 40).encode("cp1252", "replace"),
        "it looks like Windows-1252 (cp1252)",
    ),
    "big5.csv": ("text,label\n" + "歷史學家認為這個國家的經濟發展與環境變遷有關,a\n" * 9, "it looks like Big5 (big5)"),
    "sixteen.csv": (separated().encode("utf-16"), "sixteen.csv:1: UTF-16, by its first bytes; save it as UTF-8"),
    "wide.xlsx": (excel(texts=TEXTS, header=("text",)), "wide.xlsx:2: 2 cells, the header has 1"),
}


def trained(path):
    config = Table(data_dir=str(path), cache_dir=str(path.parent / "cache")).config
    rows = [(row["line"], row["text"]) for split in config.splits.values() for row in split]
    return [text for _, text in sorted(rows)], [note for note in config.notes if "left out" not in note]


def checked(path):
    corpus = load_tables(str(path), text_column="text", label_column="label")
    return [text.strip() for text in corpus.contents if text.strip()], list(corpus.notes)


def predicted(path):
    texts = TextFile(str(path))
    rows = [row[texts.text].strip() for row in texts]
    assert texts.bytes_read == texts.size
    return [text for text in rows if text], texts.notes


@pytest.mark.parametrize("name", SAME)
def test_the_same_rows_and_notes(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(SAME[name])
    rows, notes = trained(path)
    assert checked(path) == predicted(path) == (rows, notes)
    assert len(rows) == 40 + (name == "numbers.jsonl") - (name == "missing.parquet")
    if not name.startswith(ALTERED):
        assert rows == TEXTS
    assert len(notes) == (name.startswith("gb") or name in ("packed.csv.gz", "unquoted.tsv"))


@pytest.mark.parametrize("name", REFUSED)
def test_the_same_refusals(name, tmp_path):
    path, (content, message) = tmp_path / name, REFUSED[name]
    encoding = "big5" if name == "big5.csv" else "utf-8"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    said = set()
    for read in (trained, checked, predicted):
        with pytest.raises((ValueError, InputError)) as error:
            read(path)
        said.add(str(error.value))
    assert len(said) == 1 and message in said.pop()


def test_texts_are_those_that_were_written(tmp_path):
    texts = {
        name: predicted(write(tmp_path, name)) for name in ("unquoted.tsv", "escaped.xlsx", "lines.csv", "mac.csv")
    }
    assert texts["unquoted.tsv"][0] == QUOTE_BEGINS
    assert re.search(r"unquoted.tsv:5: a cell begins with a quote", texts["unquoted.tsv"][1][0])
    assert texts["escaped.xlsx"][0] == [f"{text}\r\n\t说中" for text in TEXTS]
    assert texts["lines.csv"][0] == [f"{text}\n\r{text}" for text in TEXTS]
    assert texts["mac.csv"][0] == TEXTS


def write(folder, name):
    (folder / name).write_bytes(SAME[name])
    return folder / name


def test_quotes_of_tsv(tmp_path):
    """What opens a quote is a character, though another line is ragged; in the last cell it may go over lines."""
    path = tmp_path / "t.tsv"
    path.write_text('text\tlabel\n"Great\tx\na\tb\tc\nfoo bar"\ty\n')
    with pytest.raises(InputError, match=r"t\.tsv:3: 3 cells, the header has 2; take '\\t' out of the cells"):
        predicted(path)
    path.write_text('label\ttext\nx\t"one\ntwo"\ny\tthree\n')
    assert predicted(path) == (["one\ntwo", "three"], [])
    path.write_text('label\ttext\nx\t"one\ny\ttwo"\nx\tthree\n')
    rows, (note,) = predicted(path)
    assert rows == ['"one', 'two"', "three"] and f"{path}:2: a cell begins with a quote" in note


def test_a_file_of_zeros_is_refused_before_it_fills_the_memory(tmp_path):
    for name in ("t.csv.gz", "t.tsv.gz", "t.jsonl.gz", "t.txt.gz"):
        with gzip.open(tmp_path / name, "wb") as file:
            for _ in range(100):
                file.write(bytes(2**20))
        tracemalloc.start()
        with pytest.raises(InputError, match=f"{name}:1: longer than 67,108,864 characters; break the line"):
            predicted(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 2**29
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["t.csv.gz", "t.tsv", "t.jsonl.zst", "t.parquet"])
def test_memory_of_predict_does_not_grow_with_the_file(name, tmp_path):
    def peak(rows):
        texts = ["x" * 1000] * rows
        if name == "t.parquet":
            pyarrow.parquet.write_table(pyarrow.table({"text": texts}), tmp_path / name, row_group_size=500)
        else:
            lines = json_lines([{"text": text} for text in texts]) if "json" in name else "\n".join(["text", *texts])
            pack = gzip.compress if name.endswith("gz") else zstd if name.endswith("zst") else bytes
            (tmp_path / name).write_bytes(pack(lines.encode()))
        del texts
        tracemalloc.start()
        assert sum(1 for _ in TextFile(str(tmp_path / name))) == rows
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1000)
    assert peak(20_000) < 2 * peak(2000)


def test_an_escape_that_is_meant(tmp_path):
    """Excel writes _x005F_ before what only looks like an escape."""
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in [("text", "label"), ("a_x005F_x000D_b", "x"), ("a_x005F_b", "x")]:
        book.active.append(row)
    book.save(content)
    (tmp_path / "t.xlsx").write_bytes(content.getvalue())
    assert predicted(tmp_path / "t.xlsx")[0] == ["a_x000D_b", "a_b"]


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "café vécu"), ("big5", "這個國家"), ("utf-16", "中é")])
def test_an_encoding_that_is_named(encoding, text, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(separated(texts=[text] * 40).replace("球队", "a").replace("股市", "b").encode(encoding))
    config = Table(data_dir=str(path), encoding=encoding).config
    assert {row["text"] for split in config.splits.values() for row in split} == {text}
    assert {row[0] for row in TextFile(str(path), encoding=encoding)} == {text}
    assert set(load_tables(str(path), text_column="text", label_column="label", encoding=encoding).contents) == {text}
    for read in (Table, TextFile):
        with pytest.raises(ValueError, match="--encoding klingon: no encoding of that name"):
            read(data_dir=str(path), encoding="klingon") if read is Table else read(str(path), encoding="klingon")


def test_what_is_in_no_encoding_is_guessed_at(tmp_path):
    """Accents before spaces are no GB18030 at all."""
    (tmp_path / "t.csv").write_bytes("text,label\nvélo à part,x\n".encode("cp1252"))
    for read in (trained, predicted):
        with pytest.raises(
            ValueError, match=r"t\.csv:2: neither UTF-8 nor GB18030; it looks like Windows-1252 \(cp1252\); "
        ):
            read(tmp_path / "t.csv")


def test_files_of_texts(tmp_path):
    for name, end in (("a.txt", "\n"), ("b.txt", "\r\n"), ("c.txt", "\r")):
        (tmp_path / name).write_bytes(end.join(["", *TEXTS]).encode())
        assert [row[0] for row in TextFile(str(tmp_path / name))] == ["", *TEXTS]
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress("一\n二".encode()))
    assert [row[0] for row in TextFile(str(tmp_path / "d.txt.gz"), "any")] == ["一", "二"]
