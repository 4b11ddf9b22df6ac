import csv

import pytest

from hfcls.data.dataset_cards import DatasetCards

HEADER = "page_link,download_time,dataset_size,dataset_num,bclass,sclass,dataset_viewer".split(",")


def card(i, fine="summarization", coarse="NLP", text="\n\t# Card <b>of</b> [it](http://x.y/z)", downloads="-1"):
    return [f"https://huggingface.co/datasets/owner/set_{i}", downloads, "", "7", coarse, fine, text]


def write(path, rows, header=HEADER):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def build(path, tmp_path, **options):
    builder = DatasetCards(data_dir=str(path), cache_dir=str(tmp_path / "cache"), **options)
    builder.download_and_prepare()
    return builder.as_dataset()


def test_splits_are_by_card_and_follow_the_seed(tmp_path):
    rows = [card(i, fine) for i in range(40) for fine in ("summarization", "translation")] + [card(99, "rare")]
    path = write(tmp_path / "cards.csv", rows)
    splits = build(path, tmp_path)
    names = {split: set(rows["id"]) for split, rows in splits.items()}
    assert [len(names[split]) for split in ("train", "validation", "test")] == [30, 3, 8]
    assert len(set.union(*names.values())) == 41  # no card in two splits
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 59, "validation": 6, "test": 16}
    assert "owner/set_99" in names["train"]
    assert set(build(path, tmp_path, seed=1)["test"]["id"]) != names["test"]
    coarse = build(path, tmp_path, target="coarse")
    assert sum(map(len, coarse.values())) == 41  # each card once: both its fine classes are of one coarse class


def test_text_and_missing_numbers(tmp_path):
    numbers = ["-1", "", "many", "nan", "inf", "12"]
    splits = build(write(tmp_path / "cards.csv", [card(i, downloads=n) for i, n in enumerate(numbers)]), tmp_path)
    rows = {row["id"]: row for split in splits.values() for row in split}
    assert [rows[f"owner/set_{i}"]["downloads"] for i in range(6)] == [None] * 5 + [12.0]
    assert (rows["owner/set_0"]["size"], rows["owner/set_0"]["num_rows"]) == (None, 7.0)
    assert rows["owner/set_0"]["text"] == "owner set 0\n# Card of it"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"page_link,bclass\n", "cards.csv:1: no column dataset_number"),
        (",".join(HEADER).encode() + b"\na,1\n", "cards.csv:2: 2 cells, the header has 7"),
        (",".join(HEADER).encode() + b"\na,1,1,1,NLP,,x\n", "cards.csv:2: no page_link or no sclass"),
        (",".join(HEADER).encode() + b"\n\xff,1,1,1,NLP,x,x\n", "cards.csv:2: not UTF-8"),
        (",".join(HEADER).encode() + b'\na,1,1,1,NLP,x,"torn\n', "cards.csv:2: unexpected end of data"),
    ],
    ids=["columns", "ragged", "no_class", "encoding", "torn"],
)
def test_bad_files_are_named_with_their_line(content, message, tmp_path):
    (tmp_path / "cards.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        build(tmp_path / "cards.csv", tmp_path)


def test_excel_gives_what_csv_gives(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    rows = [card(i, "translation", downloads="12") for i in range(8)]
    book = openpyxl.Workbook()
    for row in [HEADER, *rows[:4], [None] * len(HEADER), *rows[4:]]:
        book.active.append(row)
    (tmp_path / "excel").mkdir()
    book.save(tmp_path / "excel" / "cards.xlsx")
    splits = build(tmp_path / "excel", tmp_path)
    expected = build(write(tmp_path / "cards.csv", rows), tmp_path)
    assert {name: split.to_list() for name, split in splits.items()} == {
        name: split.to_list() for name, split in expected.items()
    }
    (tmp_path / "excel" / "cards.xlsx").write_bytes(b"torn")
    with pytest.raises(ValueError, match="cards.xlsx: no whole Excel file"):
        build(tmp_path / "excel", tmp_path)


def test_cards_of_template_text_alone_are_flagged(tmp_path):
    template = """
# Dataset Card for X
## Table of Contents
- [Dataset Description](#dataset-description)
  - [Languages](#languages)
## Dataset Description
- **Homepage:**
- **Repository:** [a place](https://example.org/some/long/address/of/no/content/that/says/something)
- **Paper:** A paper of many words, which are its title and not what the card says
### Languages
[More Information Needed]
### Contributions
Thanks to [@somebody](https://github.com/somebody) for adding this dataset.
"""
    told = template.replace(
        "[More Information Needed]", "Twelve dialects of Low German, from letters that farmers wrote."
    )
    rows = [card(i, text=template if i < 2 else told) for i in range(6)]
    splits = build(write(tmp_path / "cards.csv", rows), tmp_path)
    flags = {row["id"]: row["template"] for split in splits.values() for row in split}
    assert [flags[f"owner/set_{i}"] for i in range(6)] == [True, True, False, False, False, False]
