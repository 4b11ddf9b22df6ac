import json

import datasets
import pandas
import pytest

from hfcls.audit.repeated import count_repeated, repeated_line
from hfcls.cli import main
from hfcls.data.thucnews import THUCNews


def _main(*words) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in words])
    return exit_.value.code


def _headlines(folder):
    folder.mkdir()
    (folder / "class.txt").write_text("finance\nsports\n")
    train = [f"headline number {row} of the corpus\t{row % 2}" for row in range(30)]
    train[5], train[6] = train[3], "tested as well\t0"
    train[8], train[9] = "both at once\t0", "both at once\t1"
    (folder / "train.txt").write_text("\n".join(train) + "\n")
    (folder / "dev.txt").write_text("a first dev row\t0\na second dev row\t1\n")
    (folder / "test.txt").write_text("tested as well\t0\ntested as well\t0\nanother one\t1\n")
    return folder


def test_headlines_are_written_back_in_their_layout(tmp_path, capsys):
    source, target = _headlines(tmp_path / "corpus"), tmp_path / "clean"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    page = ["--output", tmp_path / "audit.html"]
    assert _main("check", "thucnews", "--data_dir", source, *page, "--write-clean", target) == 0
    assert "without 4 train, 0 validation, 0 test rows" in capsys.readouterr().out
    assert before == {path.name: path.read_bytes() for path in source.iterdir()}
    lines = before["train.txt"].decode().splitlines(keepends=True)
    assert (target / "train.txt").read_text() == "".join(lines[row] for row in range(30) if row not in (5, 6, 8, 9))
    assert all((target / name).read_bytes() == before[name] for name in ("dev.txt", "test.txt", "class.txt"))
    THUCNews(data_dir=str(target))
    assert _main("check", "thucnews", "--data_dir", source, *page, "--write-clean", target) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_tables_keep_their_other_columns(suffix, tmp_path):
    frame = pandas.DataFrame({"id": range(12), "text": [f"text, “{row % 10}”" for row in range(12)], "label": "x"})
    frame.loc[3, "label"] = "y"
    path = tmp_path / f"table.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_parquet(path)
    assert _main("check", path, "--output", tmp_path / "a.html", "--write-clean", tmp_path / "clean") == 0
    cleaned = tmp_path / "clean" / path.name
    if suffix == "csv":
        cleaned = pandas.read_csv(cleaned)
    elif suffix == "jsonl":
        cleaned = pandas.DataFrame([json.loads(line) for line in cleaned.read_text().splitlines()])
    else:
        cleaned = pandas.read_parquet(cleaned)
    assert cleaned.to_dict("records") == frame.iloc[:10].to_dict("records")


def test_what_every_recipe_counts():
    labels = datasets.ClassLabel(names=["a", "b"])
    features = datasets.Features({"text": datasets.Value("string"), "label": labels})
    split = {"train": (["x", "x", "y", "z"], [0, 0, 0, 1]), "test": (["y", "w"], [1, 1])}
    splits = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_dict({"text": texts, "label": ids}, features)
            for name, (texts, ids) in split.items()
        }
    )
    repeated = count_repeated(splits)
    assert repeated == {"surplus": {"train": 1, "test": 0}, "leaks": {"train/test": 1}, "conflicts": 1}
    assert repeated_line(repeated) == (
        "rows repeated: 1 in train, 0 in test; contents shared: 1 in train and test; under two labels: 1"
    )
    assert count_repeated(splits.rename_column("text", "features")) is None
