"""`hfcls check` as a user calls it."""

import json
import re
from pathlib import Path

import pandas
import pytest

from hfcls.audit.audit import as_json, audit
from hfcls.audit.names import FINDINGS
from hfcls.audit.sources import load_tables
from hfcls.cli import main
from hfcls.data import stored_rows, table_rows
from hfcls.data.table import Table
from hfcls.errors import InputError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
HOSTILE = "<script>alert(1)</script>\u202e"


def _main(*words) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in words])
    return exit_.value.code


def _write(frame, path):
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.fixture
def frame():
    texts = [f"text number {row}" for row in range(40)]
    texts[7], texts[9] = texts[2], HOSTILE
    return pandas.DataFrame({"title": texts, "kind": ["x", "y"] * 20})


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_tables(frame, suffix, tmp_path, capsys):
    path = _write(frame, tmp_path / f"table{suffix}")
    page = tmp_path / "audit.html"
    columns = ["--text_column", "title", "--label_column", "kind", "--output", page]
    assert _main("check", path, *columns, "--fail-on", "leakage") == 0
    assert "surplus rows: 1 in train" in capsys.readouterr().out
    done = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert done["findings"]["duplicate"]["rows"] == {"train": [7]}
    assert done["findings"]["conflict"]["found"] == 1
    assert _main("check", path, *columns, "--fail-on", "duplicate,conflict") == 1
    assert capsys.readouterr().err == "failed on duplicate, conflict\n"


def test_every_name_of_a_finding_is_looked_for(frame, tmp_path):
    path = _write(frame.assign(by=range(40), label=frame["kind"], text=frame["title"]), tmp_path / "table.csv")
    assert _main("check", path, "--group_column", "by", "--output", tmp_path / "a.html") == 0
    assert set(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["findings"]) == set(FINDINGS)


def _numbered(separator=",", end="\n", quote=""):
    rows = [f"{quote}第{row}行{quote}{separator}{'xy'[row % 2]}" for row in range(40)]
    return "".join(f"{line}{end}" for line in [f"text{separator}label", *rows])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", _numbered().encode()),
        ("t.csv", _numbered().encode("utf-8-sig")),
        ("t.csv", _numbered().encode("gb18030")),
        ("t.csv", _numbered(end="\r\n", quote='"').encode()),
        ("t.csv", _numbered(end="\r").encode()),
        ("t.csv", _numbered(end="\n\n").encode()),
        ("t.TSV", _numbered("\t").encode()),
        (
            "t.jsonl",
            "".join(f'{{"text": "第{row}行", "label": {row % 2}}}\r\n' for row in range(40)).encode(),
        ),
        ("t.csv", _numbered().replace("第7行,y", "第7行,y,").encode()),
        ("t.csv", _numbered().replace("text,label", "text,label,label").encode()),
        ("t.csv", _numbered().replace("第7行", '"第7行').encode()),
        ("t.jsonl", b'{"text": "a", "label": 1}\n[1]\n'),
    ],
)
def test_tables_are_read_as_training_reads_them(name, content, tmp_path):
    """The same rows, or the same line about what is wrong."""
    path = tmp_path / name
    path.write_bytes(content)
    try:
        builder = Table(data_dir=str(path), cache_dir=str(tmp_path / "cache"))
    except ValueError as error:
        with pytest.raises(InputError, match=re.escape(str(error))):
            load_tables(str(path), text_column="text", label_column="label")
        return
    builder.download_and_prepare()
    corpus = load_tables(str(path), text_column="text", label_column="label")
    assert sorted(corpus.contents) == sorted(text for split in builder.as_dataset().values() for text in split["text"])
    assert len(corpus.contents) == 40 and list(corpus.notes) == builder.notes


def test_the_page_escapes_what_the_corpus_says(frame, tmp_path):
    frame.loc[10, "title"] = HOSTILE
    path = _write(frame, tmp_path / "<i>x.jsonl")
    page = tmp_path / "audit.html"
    assert _main("check", path, "--text_column", "title", "--label_column", "kind", "--output", page) == 0
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html and "<i>x" not in html and "\u202e" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd" in html
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert not re.search(r"(src|href)=\"(?!#)", html)


def test_a_folder_of_splits(frame, tmp_path, capsys):
    for name in ("train", "dev", "test"):
        _write(frame.iloc[:20] if name == "train" else frame.iloc[15:], tmp_path / f"{name}.csv")
    columns = ["--text_column", "title", "--label_column", "kind", "--output", tmp_path / "audit.html"]
    assert _main("check", tmp_path, *columns) == 0
    printed = capsys.readouterr().out
    assert "20 train, 25 validation, 25 test rows" in printed
    assert "5 distinct validation in train" in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no rows; there is nothing to audit"),
        ("text,kind\na,b\n", "train has no column 'label' but text, kind: name one with --label_column"),
        ("text,label\n", "no rows; there is nothing to audit"),
        ('text,label\n"a,b\n', "table.csv:2: unexpected end of data; check that every quote is closed"),
    ],
    ids=["empty", "column", "rows", "quote"],
)
def test_one_line_for_a_table_that_cannot_be_used(content, message, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(content)
    assert _main("check", path, "--output", tmp_path / "audit.html") == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_gb18030_is_read(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("text,label\n股市,x\n股市,y\n".encode("gb18030"))
    assert _main("check", path, "--output", tmp_path / "a.html") == 0
    assert "股市" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_rows_without_a_label_are_called_so(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("text,label\ngood film,pos\nbad film,neg\nwhat,\nnothing, \n", encoding="utf-8")
    corpus = load_tables(str(path), text_column="text", label_column="label")
    assert [corpus.classes[label] for label in corpus.labels] == ["pos", "neg", "(no label)", "(no label)"]
    assert "2 rows have no label: shown as (no label)" in corpus.notes
    assert _main("check", path, "--output", tmp_path / "a.html") == 0
    assert "2 rows have no label" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_an_encoding_is_named(tmp_path, capsys):
    path, page = tmp_path / "table.csv", ["--output", tmp_path / "a.html"]
    path.write_bytes(("text,label\n" + "這個國家的歷史,x\n" * 9).encode("big5"))
    assert _main("check", path, *page) == 2
    assert "it looks like Big5 (big5): save it as UTF-8, or name the encoding" in capsys.readouterr().err
    assert _main("check", path, *page, "--encoding", "big5") == 0
    assert "這個國家" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert _main("check", "thucnews", *page, "--encoding", "big5") == 2
    assert "--encoding big5: what the embedded sample is in is known" in capsys.readouterr().err
    assert _main("check", "imdb", "--data_dir", tmp_path, *page, "--encoding", "big5") == 2
    assert "--encoding big5: what IMDB is in is known" in capsys.readouterr().err
    for split in ("train", "val", "test"):
        lines = [f"{'體育'[row % 2]}\t這個國家 {row}" for row in range(9)]
        (tmp_path / f"cnews.{split}.txt").write_bytes("\n".join(lines).encode("big5"))
    assert _main("check", "thucnews", "--data_dir", tmp_path, *page, "--encoding", "big5") == 0
    assert "這個國家" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_bytes_of_no_encoding_are_found(tmp_path):
    lines = [f"第{row}行,x\n".encode() for row in range(20)]
    lines[3] = b"\xff\xb9 in another encoding,x\n"
    path = tmp_path / "table.csv"
    path.write_bytes(b"text,label\n" + b"".join(lines))
    assert _main("check", path, "--output", tmp_path / "a.html") == 0
    done = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert done["findings"]["encoding"]["rows"] == {"train": [3]}


def test_cards_are_groups_of_themselves(tmp_path, capsys):
    rows = ["page_link,download_time,dataset_size,dataset_number,bclass,sclass,dataset_viewer"]
    rows += [f"u/d{card},1,2,3,Audio,{task},card {card}" for card in range(20) for task in "ab"]
    (tmp_path / "cards.csv").write_text("\n".join(rows))
    page = ["--output", tmp_path / "a.html"]
    assert _main("check", "dataset_cards", "--data_dir", tmp_path, *page) == 0
    printed = capsys.readouterr().out
    assert "40 rows in 20 groups of several; 0 in both of train/validation" in printed
    assert "split by rows, 80% of the test rows would have a sibling" in printed
    assert _main("check", "dataset_cards", "--data_dir", tmp_path, *page, "--group_column", "card") == 2
    assert "--group_column card: dataset_cards has the columns id, text" in capsys.readouterr().err


def test_captions_and_their_pictures(tmp_path, capsys):
    """Both without labels; the sample shows every number of two digits many times, under one caption each."""
    page = ["--output", tmp_path / "a.html"]
    assert _main("check", "muge", *page) == 0
    texts = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert texts["classes"] == ["unlabelled"] and texts["findings"]["leakage"]["found"] > 0
    assert _main("check", "muge_images", *page) == 0
    assert "1500 train" in capsys.readouterr().out.replace(",", "")


def test_a_torn_line_of_jsonl_is_named(tmp_path, capsys):
    path = tmp_path / "table.jsonl"
    path.write_text('{"text": "a", "label": 1}\n\n{"text": \n')
    assert _main("check", path, "--output", tmp_path / "a.html") == 2
    assert f"{path}:3: no JSON" in capsys.readouterr().err


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared corpora")
def test_the_known_blemishes_of_the_headlines(tmp_path, capsys):
    assert _main("check", "thucnews", "--data_dir", SHARED / "thucnews_titles", "--output", tmp_path / "a.html") == 0
    printed = capsys.readouterr().out
    assert "surplus rows: 62 in train" in printed
    assert "36 distinct validation in train, 33 distinct test in train" in printed


def test_a_corpus_on_the_disk_is_looked_at_as_one_in_memory(tmp_path, monkeypatch):
    texts = [f"股市今天上涨第{row % 40}日，收盘报告全文" for row in range(90)]
    texts[50] = texts[3].replace("收盘", "开盘")
    table = pandas.DataFrame(
        {"text": texts, "label": [row % 2 for row in range(90)], "page": [row // 3 for row in range(90)]}
    )
    table[:60].to_csv(tmp_path / "train.csv", index=False)
    table[60:].to_csv(tmp_path / "test.csv", index=False)

    def looked_at():
        corpus = load_tables(str(tmp_path), text_column="text", label_column="label", group_column="page")
        return as_json(audit(corpus))

    expected = looked_at()
    monkeypatch.setattr(stored_rows, "_ROWS", 7)
    monkeypatch.setattr(stored_rows, "_IN_MEMORY", 0)
    monkeypatch.setattr(table_rows, "_SMALL", 0)
    assert looked_at() == expected
    assert expected["findings"]["duplicate"]["found"] and expected["findings"]["near_duplicate"]["found"]
