import hashlib
import json
import os
import pickle
import random
import sys
import types
import unicodedata
from collections import Counter
from pathlib import Path

import jieba
import pytest

from hfcls.errors import InputError
from hfcls.models import jieba_tokenizer
from hfcls.text.tokenization import (
    tokenizer_from_vocabulary,
    train_tokenizer,
    train_wordpiece_tokenizer,
)
from tests.warm import run_apart

ROOT = Path(__file__).parents[2]

HEADLINES = [
    "中华女子学院：本科层次仅1专业招男生",
    "两天价网站背后重重迷雾：做个网站究竟要多少钱",
    "东5环海棠公社230-290平2居准现房98折优惠",
    "卡佩罗：告诉你德国脚生猛的原因 不希望英德战踢点球",
    "82岁老太为学生做饭扫地44年获授港大荣誉院士",
    "记者回访地震中可乐男孩：将受邀赴美国参观",
    "冯德伦徐若瑄隔空传情 默认其是女友",
    "传郭晶晶欲落户香港战伦敦奥运 装修别墅当婚房",
    "赤壁OL攻城战诸侯战硝烟又起",
    "“手机钱包”亮相科博会",
    "NBA Live 08 发布，PS3 版 800 元；iPhone4S 与 iPhone 5 同价",
    "3D 电影《Transformers》票房 3.5 亿，破 NBA 纪录",
    "[PAD] 里的 [UNK] 不是特殊记号 😀",
]
REVIEWS = [
    "I don't think it's good, but they'd say: couldn't be better!!!",
    "A great, GREAT film - the best of 1999. It isn't long (10/10).",
    "The film was good; the acting was not good. You'll see, we've seen it.",
    "It was the worst film I've seen, and that's that. 'Quoted' words, rock'n'roll & naïve café.",
]


def mixed_corpus(rows: int = 400) -> list[str]:
    """Chinese characters and Latin words, many equally frequent: what leaves a trainer ties to break."""
    draw = random.Random(7)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 6))) for _ in range(120)]
    characters = [chr(0x4E00 + i) for i in range(300)]
    return [
        " ".join([draw.choice(words), "".join(draw.choices(characters, k=8)), draw.choice(words)]) for _ in range(rows)
    ]


def training_digests() -> list[str]:
    """One of the vocabulary of each kind of tokenizer, trained on the same texts."""
    tokenizers = [train_wordpiece_tokenizer(mixed_corpus(), 450, max_length=8)]
    for level in ("char", "word", "jieba"):
        tokenizers.append(train_tokenizer(mixed_corpus(), level=level, vocab_size=200, max_length=8))
    vocabularies = [json.dumps(tokenizer.get_vocab(), sort_keys=True) for tokenizer in tokenizers]
    return [hashlib.sha256(vocabulary.encode()).hexdigest() for vocabulary in vocabularies]


# ----- independent references


def bert_words(text: str) -> list[str]:
    """BERT's cleaning and splitting, one character at a time, for the scripts in these tests."""
    spaced = ""
    for character in unicodedata.normalize("NFD", text.lower()):
        category = unicodedata.category(character)
        if category == "Mn":
            continue
        is_ascii_symbol = (
            character.isascii() and character.isprintable() and not character.isalnum() and character != " "
        )
        alone = "\u4e00" <= character <= "\u9fff" or category.startswith("P") or is_ascii_symbol
        spaced += f" {character} " if alone else character
    return spaced.split()


def wordpieces(word: str, vocabulary: dict[str, int]) -> list[str]:
    pieces = []
    while word:
        prefix = "##" if pieces else ""
        length = next((n for n in range(len(word), 0, -1) if prefix + word[:n] in vocabulary), 0)
        if length == 0:
            return ["[UNK]"]
        pieces.append(prefix + word[:length])
        word = word[length:]
    return pieces


def byte_pair_vocabulary(texts: list[str], size: int, min_frequency: int) -> list[str]:
    """WordPiece training as the tokenizers library defines it, merging the most frequent pair, recounted each time."""
    words = Counter(word for text in texts for word in bert_words(text))
    characters = Counter()
    for word, count in words.items():
        characters.update({character: 0 for character in word})
        for character in word:
            characters[character] += count
    alphabet = {character for character, count in characters.items() if count >= min_frequency}
    split = {w: [w[0], *(f"##{c}" for c in w[1:])] for w in words if alphabet.issuperset(w)}
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(alphabet)]
    vocabulary += sorted({piece for pieces in split.values() for piece in pieces[1:]})
    while len(vocabulary) < size:
        ids = {piece: i for i, piece in enumerate(vocabulary)}
        pairs = Counter()
        for word, pieces in split.items():
            for pair in zip(pieces, pieces[1:], strict=False):
                pairs[pair] += words[word]
        if not pairs or max(pairs.values()) < min_frequency:
            break
        left, right = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        joined = left + right.removeprefix("##")
        if joined not in ids:
            vocabulary.append(joined)
        for word, pieces in split.items():
            merged = []
            for piece in pieces:
                if merged and (merged[-1], piece) == (left, right):
                    merged[-1] = joined
                else:
                    merged.append(piece)
            split[word] = merged
    return vocabulary


def split_words(text: str) -> list[str]:
    """Runs of letters and digits, and single other characters, for text without apostrophes."""
    spaced = "".join(c if c.isalnum() or c == "_" else f" {c} " for c in text.lower())
    return spaced.split()


def tokens(tokenizer, text: str) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])


# ----- WordPiece


def test_wordpiece_training_equals_brute_force():
    texts = mixed_corpus()
    for size in (350, 450):
        tokenizer = train_wordpiece_tokenizer(texts, size, max_length=32)
        assert sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get) == byte_pair_vocabulary(texts, size, 2)
    assert len(tokenizer) == 450  # merges were learned, not only the alphabet


def test_wordpiece_encoding_equals_brute_force():
    tokenizer = train_wordpiece_tokenizer(HEADLINES + REVIEWS, max_length=64)
    vocabulary = tokenizer.get_vocab()
    unseen = ["iPhone 中国 4S，goods!", "Ünïted seen-it", *HEADLINES[:-1], *REVIEWS]
    for text in unseen:
        expected = [piece for word in bert_words(text) for piece in wordpieces(word, vocabulary)]
        assert tokens(tokenizer, text) == ["[CLS]", *expected, "[SEP]"]


def test_every_character_that_recurs_is_in_the_vocabulary():
    recurring = [chr(0x4E00 + i) for i in range(3000)]
    once = [chr(0x9000 + i) for i in range(50)]
    vocabulary = train_wordpiece_tokenizer(
        ["".join(recurring + once), "".join(recurring)], 100, max_length=8
    ).get_vocab()
    assert set(recurring) <= set(vocabulary)
    assert not set(once) & set(vocabulary)
    assert sorted(vocabulary.values()) == list(range(3005))


def test_wordpiece_special_tokens_and_truncation():
    tokenizer = train_wordpiece_tokenizer(iter(HEADLINES), max_length=8, min_frequency=1)
    assert tokenizer.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert (tokenizer.pad_token_id, tokenizer.model_max_length) == (0, 8)
    single = tokenizer("手机", "钱包")
    assert set(single) == {"input_ids", "token_type_ids", "attention_mask"}
    assert tokenizer.decode(single["input_ids"]) == "[CLS] 手 机 [SEP] 钱 包 [SEP]"
    assert single["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    batch = tokenizer(HEADLINES, truncation=True, padding="max_length")
    assert all(len(ids) == 8 and ids[0] == 2 and ids[-1] in (0, 3) for ids in batch["input_ids"])


def test_wordpiece_case():
    cased = train_wordpiece_tokenizer(HEADLINES, max_length=8, lowercase=False, min_frequency=1)
    assert "N" in cased.get_vocab() and "n" not in tokens(cased, "N")
    assert tokens(train_wordpiece_tokenizer(["nba nba"], max_length=8), "NBA") == ["[CLS]", "nba", "[SEP]"]


def test_order_of_texts_does_not_matter():
    texts = mixed_corpus()
    shuffled = random.Random(1).sample(texts, len(texts))
    for train in (
        lambda corpus: train_wordpiece_tokenizer(corpus, 700, max_length=8),
        lambda corpus: train_tokenizer(corpus, level="word", vocab_size=60, max_length=8),
        lambda corpus: train_tokenizer(corpus, level="char", vocab_size=200, max_length=8),
        lambda corpus: train_tokenizer(corpus, level="jieba", vocab_size=200, max_length=8),
    ):
        assert train(texts).get_vocab() == train(shuffled).get_vocab()


# ----- characters and words


def reference_cut(level: str, text: str) -> list[str]:
    if level == "char":
        return list(text.lower())
    if level == "word":
        return split_words(text)
    return [word.lower() for word in jieba.lcut(text) if not word.isspace()]


@pytest.mark.parametrize("level", ["char", "word", "jieba"])
@pytest.mark.parametrize(("vocab_size", "min_frequency"), [(None, 1), (None, 2), (40, 1)])
def test_vocabulary_and_ids_equal_brute_force(level, vocab_size, min_frequency):
    tokenizer = train_tokenizer(
        HEADLINES, level=level, vocab_size=vocab_size, min_frequency=min_frequency, max_length=64
    )
    counts = Counter(token for text in HEADLINES for token in reference_cut(level, text))
    ranked = sorted((token for token in counts if counts[token] >= min_frequency), key=lambda t: (-counts[t], t))
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", *ranked][:vocab_size])}
    assert tokenizer.get_vocab() == vocabulary
    assert len(tokenizer) == tokenizer.vocab_size == len(vocabulary)
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (0, 1)

    unseen = [*HEADLINES, "全新的标题 Über\t10%", ""]
    batch = tokenizer(unseen)
    assert set(batch) == {"input_ids", "attention_mask"}
    expected = [[vocabulary.get(token, 1) for token in reference_cut(level, text)] for text in unseen]
    assert batch["input_ids"] == expected
    assert [tokenizer(text)["input_ids"] for text in unseen] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't think it's good", "i do n't think it 's good"),
        ("Can't they've couldn't've", "ca n't they 've could n't 've"),
        ("I'm sure he'd say we'll go", "i 'm sure he 'd say we 'll go"),
        ("'Quoted' rock'n'roll", "' quoted ' rock ' n ' roll"),
        ("n't 'tis don'ts", "n't ' tis don ' ts"),
        ("10/10!!! (naïve café_1)", "10 / 10 ! ! ! ( naïve café_1 )"),
    ],
)
def test_words_of_the_penn_treebank(text, expected):
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", *dict.fromkeys(expected.split())])}
    assert tokens(tokenizer_from_vocabulary(vocabulary, "word", max_length=32), text) == expected.split()


@pytest.mark.parametrize("level", ["char", "word", "jieba"])
def test_text_never_becomes_a_special_token(level):
    tokenizer = train_tokenizer(HEADLINES, level=level, vocab_size=None, max_length=64)
    for text in ("[PAD]", "[UNK] [PAD]", "a[PAD]b"):
        assert tokenizer.pad_token_id not in tokenizer(text)["input_ids"]
        assert len(tokenizer(text)["input_ids"]) > len(text.split())


@pytest.mark.parametrize("level", ["char", "word", "jieba"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_sides(level, side):
    tokenizer = train_tokenizer(
        HEADLINES, level=level, vocab_size=None, max_length=6, padding_side=side, truncation_side=side
    )
    full = tokenizer(HEADLINES[6])["input_ids"]
    short = tokenizer("传情")["input_ids"]
    batch = tokenizer([HEADLINES[6], "传情"], truncation=True, padding=True)
    kept = full[-6:] if side == "left" else full[:6]
    padding = [0] * (len(kept) - len(short))
    assert batch["input_ids"] == [kept, padding + short if side == "left" else short + padding]
    assert sum(batch["attention_mask"][1]) == len(short)


def test_given_vocabulary_keeps_its_ids():
    vocabulary = {" ": 0, "中": 1, "N": 2, "n": 3, "<UNK>": 4, "<PAD>": 5}
    tokenizer = tokenizer_from_vocabulary(vocabulary, "char", max_length=8)
    assert tokenizer.get_vocab() == vocabulary
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (5, 4)
    assert tokenizer("中 Nn国")["input_ids"] == [1, 0, 2, 3, 4]
    assert tokenizer(["中", "中中"], padding=True)["input_ids"] == [[1, 5], [1, 1]]
    assert tokenizer.decode([1, 2, 0, 3]) == "中N n"


def test_case_follows_the_given_vocabulary():
    lower = {"[PAD]": 0, "[UNK]": 1, "good": 2}
    for level in ("word", "jieba"):
        assert tokenizer_from_vocabulary(lower, level, max_length=8)("Good")["input_ids"] == [2]
        assert tokenizer_from_vocabulary(lower, level, max_length=8, lowercase=False)("Good")["input_ids"] == [1]
        cased = {**lower, "Bad": 3}
        assert tokenizer_from_vocabulary(cased, level, max_length=8)("Good Bad")["input_ids"] == [1, 3]


def test_unusable_vocabulary_and_level():
    with pytest.raises(InputError, match="no padding token"):
        tokenizer_from_vocabulary({"[UNK]": 0}, "char", max_length=8)
    with pytest.raises(InputError, match="level 'byte' is not known"):
        tokenizer_from_vocabulary({"[PAD]": 0, "[UNK]": 1}, "byte", max_length=8)


# ----- jieba


def test_jieba_tokenizer_can_be_pickled():
    tokenizer = train_tokenizer(HEADLINES, level="jieba", vocab_size=None, max_length=8)
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again(HEADLINES) == tokenizer(HEADLINES)


def test_words_added_to_the_global_jieba_change_nothing():
    tokenizer = train_tokenizer(HEADLINES, level="jieba", vocab_size=None, max_length=8)
    before = tokenizer(HEADLINES[0])
    jieba.add_word("本科层次仅")
    try:
        assert "本科层次仅" in jieba.lcut(HEADLINES[0])
        assert tokenizer(HEADLINES[0]) == before
    finally:
        jieba.del_word("本科层次仅")


def test_the_segmenter_is_saved(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rjieba", types.SimpleNamespace(cut=lambda text: text.split("|")))
    jieba_tokenizer.segmenter.cache_clear()
    tokenizer = train_tokenizer(["中华|女子", "学院|女子"], level="rjieba", vocab_size=None, max_length=8)
    tokenizer.save_pretrained(tmp_path)
    again = jieba_tokenizer.JiebaTokenizer.from_pretrained(tmp_path)
    assert again.segmenter == "rjieba"
    assert again("女子|学院")["input_ids"] == [2, 4]

    monkeypatch.setitem(sys.modules, "rjieba", None)
    jieba_tokenizer.segmenter.cache_clear()
    with pytest.raises(ImportError, match="pip install rjieba"):
        again("女子")
    jieba_tokenizer.segmenter.cache_clear()


# ----- reload in a fresh process

FRESH = """
import json, sys
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

folder, root, texts = sys.argv[1], sys.argv[2], json.loads(sys.stdin.read())
sys.modules["hfcls"] = None  # as if it were not installed


def describe(tokenizer):
    return {
        "class": type(tokenizer).__name__,
        "encoded": dict(tokenizer(texts)),
        "batch": dict(tokenizer(texts, truncation=True, padding=True)),
        "settings": [tokenizer.model_max_length, tokenizer.padding_side, tokenizer.truncation_side, len(tokenizer)],
        "special": tokenizer.special_tokens_map,
    }


out = {}
for name in ("wordpiece", "char", "word", "given"):
    out[name] = describe(AutoTokenizer.from_pretrained(f"{folder}/{name}"))
try:
    AutoTokenizer.from_pretrained(f"{folder}/jieba", trust_remote_code=False)
    out["refused"] = False
except ValueError:
    out["refused"] = True
out["jieba"] = describe(AutoTokenizer.from_pretrained(f"{folder}/jieba", trust_remote_code=True))

del sys.modules["hfcls"]
sys.path.insert(0, root)
from hfcls.models.jieba_tokenizer import JiebaTokenizer
from tests.text.test_tokenization import training_digests


class Config(PreTrainedConfig):
    model_type = "registered"


AutoConfig.register("registered", Config)
AutoTokenizer.register(Config, tokenizer_class=JiebaTokenizer)
local = AutoTokenizer.from_pretrained(f"{folder}/jieba")
out["registered"] = [type(local).__module__, local(texts)["input_ids"]]
out["digests"] = training_digests()
json.dump(out, sys.stdout)
"""


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    """Tokenizers by name, and what a process without hfcls on its path makes of their saved folders."""
    folder = tmp_path_factory.mktemp("tokenizers")
    sides = {"padding_side": "left", "truncation_side": "left"}
    saved = {
        "wordpiece": train_wordpiece_tokenizer(HEADLINES, max_length=16),
        "char": train_tokenizer(HEADLINES, level="char", vocab_size=None, max_length=12, **sides),
        "word": train_tokenizer(REVIEWS, level="word", vocab_size=60, max_length=5, truncation_side="left"),
        "given": tokenizer_from_vocabulary({"中": 0, "N": 1, "<UNK>": 2, "<PAD>": 3}, "char", max_length=7),
        "jieba": train_tokenizer(HEADLINES, level="jieba", vocab_size=None, max_length=6, **sides),
    }
    for name, tokenizer in saved.items():
        tokenizer.save_pretrained(folder / name)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    options = {"given": json.dumps(HEADLINES + REVIEWS), "environment": environment, "folder": folder}
    process = run_apart("-c", FRESH, folder, ROOT, **options, check=True)
    return saved, json.loads(process.stdout), folder


@pytest.mark.parametrize("name", ["wordpiece", "char", "word", "given", "jieba"])
def test_reload_in_a_fresh_process(reloaded, name):
    saved, fresh, _ = reloaded
    tokenizer, texts = saved[name], HEADLINES + REVIEWS
    assert fresh[name]["encoded"] == dict(tokenizer(texts))
    assert fresh[name]["batch"] == dict(tokenizer(texts, truncation=True, padding=True))
    assert len(fresh[name]["batch"]["input_ids"][0]) == tokenizer.model_max_length
    assert fresh[name]["settings"] == [
        tokenizer.model_max_length,
        tokenizer.padding_side,
        tokenizer.truncation_side,
        len(tokenizer),
    ]
    assert fresh[name]["special"] == tokenizer.special_tokens_map


def test_what_needs_remote_code(reloaded):
    saved, fresh, folder = reloaded
    assert fresh["char"]["class"] == fresh["word"]["class"] == "TokenizersBackend"
    assert fresh["jieba"]["class"] == "JiebaTokenizer" and fresh["refused"]
    assert fresh["registered"] == ["hfcls.models.jieba_tokenizer", saved["jieba"](HEADLINES + REVIEWS)["input_ids"]]
    assert {path.name for path in (folder / "jieba").iterdir()} == {
        "jieba_tokenizer.py",
        "tokenizer_config.json",
        "vocab.json",
    }
    assert str(folder) not in (folder / "jieba" / "tokenizer_config.json").read_text()


def test_training_is_the_same_in_another_process(reloaded):
    assert reloaded[1]["digests"] == training_digests()


# ----- lengths
