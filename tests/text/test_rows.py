import datasets
import numpy as np
import pytest
import torch
from datasets import load_from_disk

from hfcls.metrics.one_label import OneLabel
from hfcls.models.truncation import Truncation
from hfcls.text.collator import PaddingCollator
from hfcls.text.rows import TokenRows, auto_max_length, batches_of_like_length, tokenize
from hfcls.text.token_storage import token_lengths
from hfcls.text.tokenization import train_tokenizer, train_wordpiece_tokenizer

TEXTS = ["股市今天上涨", "a short one", "足球 比赛 今晚 开始 直播", "", "房价下跌了吗?", "新手机明天发布,价格公布"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece_tokenizer(TEXTS * 2, max_length=64)


@pytest.fixture(scope="module")
def split(tokenizer):
    rows = datasets.Dataset.from_dict(
        {"text": TEXTS, "label": [0, 1, 0, 1, 0, 1]},
        features=datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])}),
    )
    return tokenize(datasets.DatasetDict(train=rows), tokenizer)["train"]


def test_whole_texts_with_special_tokens(split, tokenizer):
    assert list(split["input_ids"]) == [tokenizer(text)["input_ids"] for text in TEXTS]
    assert token_lengths(split).tolist() == [len(tokenizer(text)["input_ids"]) for text in TEXTS]


@pytest.mark.parametrize("max_length", [3, 6, 9, 64])
def test_head_equals_the_tokenizers_own_truncation(split, tokenizer, max_length):
    rows = TokenRows(split, Truncation.of("head", max_length, tokenizer))
    for row, text in zip(rows, TEXTS, strict=False):
        assert row["input_ids"].tolist() == tokenizer(text, truncation=True, max_length=max_length)["input_ids"]


@pytest.mark.parametrize("how", ["tail", "head_tail"])
def test_other_truncations_equal_slicing_the_words(split, tokenizer, how):
    content = 9 - 2
    first = {"tail": 0, "head_tail": content * 128 // 510}[how]
    rows = TokenRows(split, Truncation.of(how, 9, tokenizer))
    for i, text in enumerate(TEXTS):
        cls, *words, sep = tokenizer(text)["input_ids"]
        if len(words) > content:
            words = words[:first] + words[len(words) - (content - first) :]
        assert rows[i]["input_ids"].tolist() == [cls, *words, sep]
        assert rows.lengths[i] == len(words) + 2


def test_truncation_without_special_tokens():
    truncation = Truncation("head_tail", max_length=4, first=0, last=0)
    split = datasets.Dataset.from_dict({"input_ids": [[1, 2, 3, 4, 5], [6], [*range(7, 16)]], "label": [0, 1, 2]})
    rows = TokenRows(split, truncation)
    assert [row["input_ids"].tolist() for row in rows.__getitems__([0, 1, 2])] == [[1, 3, 4, 5], [6], [7, 13, 14, 15]]


def test_rows_of_a_selection_and_of_several_arrow_chunks(split, tokenizer):
    truncation = Truncation.of("head", 64, tokenizer)
    several = datasets.concatenate_datasets([split.select([5, 2]), split.select([0])])
    rows = TokenRows(several, truncation, target=OneLabel(["a", "b"]))
    assert [row["input_ids"].tolist() for row in rows.__getitems__([2, 1, 0])] == [
        tokenizer(TEXTS[i])["input_ids"] for i in (0, 2, 5)
    ]
    assert rows.labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize("keep", ["head", "tail", "head_tail"])
def test_rows_on_the_disk_are_those_in_memory(split, tokenizer, keep, tmp_path):
    several = datasets.concatenate_datasets([split.select([5, 2]), split.select([0, 1, 3, 4])])
    several = several.add_column("pair_start", [3, 99, 2, 99, 99, 99])
    several.save_to_disk(tmp_path)  # and mapped from there, in chunks
    several = datasets.load_from_disk(tmp_path)
    truncation, options = Truncation.of(keep, 6, tokenizer), {"target": OneLabel(["a", "b"]), "token_types": True}
    memory, disk = (TokenRows(several, truncation, **options, on_disk=on_disk) for on_disk in (False, True))
    order = [4, 0, 5, 1, 3, 2]
    for expected, row in zip(memory.__getitems__(order), disk.__getitems__(order), strict=True):
        assert {k: np.asarray(v).tolist() for k, v in row.items()} == {
            k: np.asarray(v).tolist() for k, v in expected.items()
        }
    assert (memory.block_rows, disk.block_rows) == (None, 4096)
    assert not any(values.flags.owndata for values in disk.storage.values)
    counts = np.bincount(np.concatenate([row["input_ids"] for row in memory]), minlength=len(tokenizer))
    assert disk.count_tokens(len(tokenizer)).tolist() == counts.tolist()


def test_a_large_split_is_tokenized_in_parts_once(split, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("hfcls.text.rows.ROWS", 4)
    monkeypatch.setattr("hfcls.text.rows.TOKENIZED", 1)  # each part is larger
    split.select_columns(["text", "label"]).save_to_disk(tmp_path)
    once, again = (tokenize(datasets.DatasetDict(train=load_from_disk(tmp_path)), tokenizer)["train"] for _ in "12")
    assert len({file["filename"] for file in once.cache_files}) == 2  # of four rows and of two
    assert once.cache_files == again.cache_files
    assert once.to_dict() == again.to_dict() == split.to_dict() and once.features == split.features
    monkeypatch.setattr("hfcls.text.token_storage.READ", 0)  # memory is given back before each batch
    rows = TokenRows(once, Truncation.of("head", 64, tokenizer), on_disk=True)
    found = [rows[row]["input_ids"].tolist() for row in (5, 0, 3, 4)]
    assert found == [split[row]["input_ids"] for row in (5, 0, 3, 4)]


def test_auto_max_length_is_mean_plus_two_standard_deviations():
    lengths = np.repeat([10, 20, 30, 40], [40, 40, 16, 4])
    assert 30 < lengths.mean() + 2 * lengths.std() < 40  # covers 96 %
    assert auto_max_length(lengths) == np.ceil(lengths.mean() + 2 * lengths.std())
    assert auto_max_length(np.array([5000, 6000])) == 512


def test_auto_max_length_covers_95_to_99_percent():
    heavy = np.repeat([10, 500], [90, 10])
    assert heavy.mean() + 2 * heavy.std() < 500  # covers 90 %
    assert auto_max_length(heavy) == 500
    even = np.arange(1, 101)
    assert even.mean() + 2 * even.std() > even.max()
    assert auto_max_length(even) == 99


@pytest.mark.parametrize(("longest", "expected"), [(7, 4096), (5000, 5000), (10**6, 32768)])
def test_whole_texts_within_bounds(longest, expected):
    assert auto_max_length(np.array([1, longest]), whole=True) == expected


def test_batches_of_like_length_hold_every_row_once():
    lengths = np.random.default_rng(0).integers(0, 100, 500)
    lengths[7] = 5000
    batches = list(batches_of_like_length(lengths, rows=32, tokens=800))
    assert sorted(row for batch in batches for row in batch) == list(range(500))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= 800 for batch in batches)
    assert max(map(len, batches)) == 32 and batches[-1] == [7]


@pytest.mark.parametrize("side", ["right", "left"])
def test_collator_pads_as_the_tokenizer_does(split, tokenizer, side):
    rows = TokenRows(split, Truncation.of("head", 9, tokenizer), target=OneLabel(["a", "b"]))
    batch = PaddingCollator(tokenizer.pad_token_id, side)(rows.__getitems__([1, 3, 5]))
    tokenizer.padding_side = side
    texts = [TEXTS[i] for i in (1, 3, 5)]
    expected = tokenizer(texts, truncation=True, max_length=9, padding=True, return_tensors="pt")
    torch.testing.assert_close(batch["input_ids"], expected["input_ids"])
    torch.testing.assert_close(batch["attention_mask"], expected["attention_mask"])
    assert batch["labels"].tolist() == [1, 1, 1]
    assert set(batch) == {"input_ids", "attention_mask", "labels"}


def test_collator_widens_to_a_multiple_and_takes_an_empty_row():
    collate = PaddingCollator(pad_token_id=9, pad_to_multiple_of=8)
    assert collate([{"input_ids": [1] * 9, "labels": 0}])["input_ids"].shape == (1, 16)
    empty = PaddingCollator(pad_token_id=9)([{"input_ids": np.array([], dtype=np.int32), "labels": 0}])
    assert empty["input_ids"].tolist() == [[9]] and empty["attention_mask"].tolist() == [[0]]


def test_head_tail_of_the_paper(tokenizer):
    assert Truncation.of("head_tail", 512, tokenizer).head(np.array([1])) == 1 + 128


PAIRS = [("标题 一", "第一篇的内容比标题长得多"), ("没有内容", ""), ("这个标题比最大长度还要长得多", "内容")]


def pair_rows(tokenizer, how, max_length):
    columns = {"text": [a for a, _ in PAIRS], "text_pair": [b for _, b in PAIRS], "label": [0, 1, 0]}
    split = tokenize(datasets.DatasetDict(train=datasets.Dataset.from_dict(columns)), tokenizer)["train"]
    return TokenRows(split, Truncation.of(how, max_length, tokenizer), token_types=True)


@pytest.mark.parametrize("side", ["right", "left"])
def test_pairs_are_encoded_as_the_tokenizer_does(tokenizer, side):
    rows = pair_rows(tokenizer, "head", 64)
    batch = PaddingCollator(tokenizer.pad_token_id, side)(rows.__getitems__([0, 1, 2]))
    tokenizer.padding_side = side
    for i, (text, pair) in enumerate(PAIRS):
        width = batch["input_ids"].shape[1]
        expected = tokenizer(text, pair or None, padding="max_length", max_length=width, return_tensors="pt")
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            assert batch[name][i].tolist() == expected[name][0].tolist(), name


@pytest.mark.parametrize(("how", "head"), [("head", 5), ("tail", 0), ("head_tail", 1)])
def test_of_a_pair_the_title_stays_and_the_content_is_cut(tokenizer, how, head):
    rows = pair_rows(tokenizer, how, 11)
    title, content = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in PAIRS[0])
    assert len(title) == 3 and len(content) > 5
    kept = content[:head] + content[len(content) - (5 - head) :]
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    assert rows[0]["input_ids"].tolist() == [cls, *title, sep, *kept, sep]
    assert rows[0]["token_type_ids"].tolist() == [0] * 5 + [1] * 6


def test_a_title_that_fills_the_row_is_cut_itself(tokenizer):
    rows = pair_rows(tokenizer, "tail", 8)
    title = tokenizer(PAIRS[2][0], add_special_tokens=False)["input_ids"]
    assert rows[2]["input_ids"].tolist() == [tokenizer.cls_token_id, *title[:6], tokenizer.sep_token_id]
    assert rows[2]["token_type_ids"].tolist() == [0] * 8


def test_without_a_separator_a_pair_is_one_text():
    plain = train_tokenizer([*TEXTS, "\n"], level="char", vocab_size=None, max_length=64)
    rows = pair_rows(plain, "head", 64)
    assert rows[0]["input_ids"].tolist() == plain("\n".join(PAIRS[0]))["input_ids"]
    assert rows[1]["input_ids"].tolist() == plain(PAIRS[1][0])["input_ids"]
    assert "token_type_ids" not in rows[0]
