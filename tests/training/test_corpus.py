from types import SimpleNamespace

import datasets
import pytest

from hfcls.data.corpora import CORPORA, NamedCorpus
from hfcls.errors import InputError
from hfcls.text.arguments import PretrainedTextArguments
from hfcls.training.arguments import parse
from hfcls.training.corpus import load_corpus
from hfcls.training.setup import Corpus, align_labels


def load(tmp_path, data_dir, *flags, corpus=CORPORA["thucnews"]):
    arguments, training_args = parse(
        PretrainedTextArguments,
        task="task",
        description="",
        defaults=lambda given: {},
        argv=["--output_dir", str(tmp_path / "out"), "--use_cpu", "--data_dir", str(data_dir), *flags],
    )
    return load_corpus(corpus, arguments, training_args, cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def headlines(tmp_path):
    folder = tmp_path / "headlines"
    folder.mkdir()
    (folder / "class.txt").write_text("体育\n财经\n", encoding="utf-8")
    for name, rows in (("train", 40), ("dev", 10), ("test", 10)):
        lines = "".join(f"{'球队' if i % 2 else '股市'}新闻{name}{i}\t{1 - i % 2}\n" for i in range(rows))
        (folder / f"{name}.txt").write_text(lines, encoding="utf-8")
    return folder


def test_splits_are_cut_at_random_and_it_is_said(tmp_path, headlines):
    whole = load(tmp_path, headlines)
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 40, "validation": 10, "test": 10}
    assert (whole.target.names, whole.source, whole.notes) == (["体育", "财经"], "headlines", [])
    cut = load(tmp_path, headlines, "--max_train_samples", "8")
    assert len(cut.splits["train"]) == 8 and len(cut.splits["test"]) == 10
    assert set(cut.splits["train"]["text"]) < set(whole.splits["train"]["text"])
    assert list(cut.splits["train"]["text"]) != list(whole.splits["train"]["text"])[:8]
    assert cut.notes == ["train: 8 rows drawn at random (seed 42)"]


def test_what_the_builder_says_reaches_the_report(tmp_path, headlines):
    (headlines / "train.txt").write_bytes((headlines / "train.txt").read_text(encoding="utf-8").encode("gb18030"))
    (note,) = load(tmp_path, headlines).notes
    assert "GB18030" in note


def test_a_second_run_has_the_notes_of_the_first(tmp_path):
    """From a warm cache, for training and for the audit: what is left out is said each time, once."""
    (tmp_path / "table.csv").write_text("text,label\n" + "".join(f"t{row},{row % 2}\n" for row in range(40)) + ",1\n")
    ccf = tmp_path / "ccf"
    ccf.mkdir()
    rows = "".join(f"r{row},t{row},c{row}\n" for row in range(60))
    (ccf / "Train_DataSet.csv").write_text(f"id,title,content\n{rows}lone,,\n")
    (ccf / "Train_DataSet_Label.csv").write_text("id,label\n" + "".join(f"r{row},{row % 3}\n" for row in range(60)))
    said = [f"{ccf / 'Train_DataSet.csv'}: 1 rows have neither title nor content (lone): left out"]
    for _ in range(2):
        assert load(tmp_path, ccf, corpus=CORPORA["ccf_sentiment"]).notes == said
    table = NamedCorpus("table", "table:Table", "text")
    said = [f"{tmp_path / 'table.csv'}: 1 rows without a text (lines 42): left out"]
    for _ in range(2):
        assert load(tmp_path, tmp_path / "table.csv", corpus=table).notes == said


def test_a_torn_line_is_an_input_error_with_its_place(tmp_path, headlines):
    with (headlines / "test.txt").open("a", encoding="utf-8") as file:
        file.write("没有标签的标题\n")
    with pytest.raises(InputError, match=r"test\.txt:11: ") as error:
        load(tmp_path, headlines)
    assert "\n" not in str(error.value)


def model(*names):
    label2id = {name: i for i, name in enumerate(names)}
    return SimpleNamespace(config=SimpleNamespace(label2id=dict(reversed(label2id.items()))))


@pytest.fixture
def corpus():
    label = datasets.ClassLabel(names=["体育", "财经", "科技"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    split = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 2]}, features=features)
    return Corpus("corpus", "folder", "zh", datasets.DatasetDict(train=split, validation=split, test=split))


def test_labels_are_numbered_as_the_model_numbers_them(corpus):
    before = [corpus.target.names[i] for i in corpus.splits["test"]["label"]]
    aligned = align_labels(corpus, model("科技", "体育", "财经"))
    assert aligned.target.names == ["科技", "体育", "财经"]
    assert [aligned.target.names[i] for i in aligned.splits["test"]["label"]] == before


def test_other_classes_than_the_models_are_refused(corpus):
    with pytest.raises(InputError, match="体育, 财经, 科技"):
        align_labels(corpus, model("体育", "财经"))
