"""What `--tokens auto` takes for texts of every script, against the names that Unicode gives its characters."""

import re
import sys
import unicodedata

import pytest

from hfcls.text.scripts import SAMPLE, UNSPACED, token_level, unspaced_share
from hfcls.text.tokenization import train_tokenizer

TEXTS = {
    "chinese": (["股市今日大涨，成交量创新高", "NBA 2024赛季今晚开打"] * 3, "char"),
    "japanese": (["東京タワーへ行きました。", "すもももももももものうち"], "char"),
    "thai": (["ร้านนี้อาหารอร่อยมาก", "บริการช้ามาก"], "char"),
    "korean": (["오늘은 날씨가 좋습니다", "서비스가 너무 느려요"], "char"),
    "english": (["It's a good film, don't miss it", "a 中 in a hundred words " + "and on " * 60], "word"),
    "german": (["Ein guter Film über Freundschaft", "Überraschend schwach"], "word"),
    "hindi": (["यह बहुत अच्छी फिल्म है"], "word"),
    "mixed": (["this phone 很好用", "电池 is really bad", "a plain English sentence"], "mixed"),
    "half the rows": (["股市今日大涨", "shares rose sharply today in heavy trading, said the agency"], "mixed"),
    "digits": (["12 345", "678"], "word"),
    "emoji": (["😀😀👍🏽", "😡"], "word"),
    "punctuation": (["!!! ...", "—"], "word"),
    "empty": (["", " "], "word"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_level_by_script(name):
    texts, expected = TEXTS[name]
    level, reason = token_level(texts)
    assert level == expected
    assert reason.endswith("% of what the training texts consist of is written without spaces")
    tokenizer = train_tokenizer(texts, level=level, vocab_size=None, max_length=64)
    encoded = tokenizer(texts)["input_ids"]
    assert all(ids or not text.strip() for ids, text in zip(encoded, texts, strict=True))


def test_share_counts_characters_against_words():
    assert unspaced_share(["股市大涨 NBA, 2024!"]) == 4 / 6
    assert unspaced_share([]) == 0


def test_no_more_texts_are_looked_at_than_a_sample_spread_over_all():
    texts = ["word"] * (5 * SAMPLE) + ["字"] * (5 * SAMPLE)
    assert unspaced_share(texts) == pytest.approx(0.5, abs=1e-3)


def test_unspaced_letters_are_those_that_unicode_names_so():
    unspaced = ("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "HANGUL")
    unspaced += ("HALFWIDTH HANGUL", "THAI", "LAO", "MYANMAR", "KHMER")
    spaced = ("LATIN", "FULLWIDTH LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "DEVANAGARI")
    spaced += ("BENGALI", "TAMIL", "TELUGU", "ETHIOPIC", "TIBETAN", "MONGOLIAN", "DIGIT", "ARABIC-INDIC DIGIT")
    rare = re.compile("EXTENDED-[AB]|ARCHAIC|[\ua960-\uaaff\ud7b0-\ud7ff\U0001aff0-\U0001b2ff]")
    member = re.compile(f"[{UNSPACED}]")
    for character in map(chr, range(sys.maxunicode + 1)):
        name = unicodedata.name(character, "")
        if character.isalnum() and name.startswith(unspaced + spaced) and not rare.search(character):
            assert bool(member.match(character)) == name.startswith(unspaced), (hex(ord(character)), name)


def test_mixed_tokens_are_words_and_single_characters():
    text = "这款iPhone15 don't卡, it's สวย 오늘 𠀀! 😀😀"
    tokenizer = train_tokenizer([text], level="mixed", vocab_size=None, max_length=64)
    expected = [*"这款", "iphone15", "do", "n't", "卡", ",", "it", "'s", *"สวย", *"오늘", "𠀀", "!", "😀", "😀"]
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == expected
