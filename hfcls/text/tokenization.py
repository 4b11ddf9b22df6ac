"""Tokenizers learned from a training split, or made from a given vocabulary."""

from __future__ import annotations

import copy
import itertools
import sys
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from hfcls.errors import InputError
from hfcls.text.scripts import UNSPACED
from hfcls.text.vocabulary import padding_and_unknown

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertTokenizer, PreTrainedTokenizerBase

    from hfcls.models.truncation import Truncation

Level = Literal["char", "word", "mixed", "jieba", "rjieba"]
Side = Literal["left", "right"]

_SPECIAL_TOKENS = ["[PAD]", "[UNK]"]
_TEXTS = 100_000  # whose words are counted at once

# Words and single punctuation marks; as in the Penn Treebank and in GloVe, "don't" is do + n't, "it's" is it + 's.
_WORD = r"\w+?(?=n't\b)|n't\b|'(?:s|m|d|ll|re|ve)\b|\w+|[^\w\s]"

# The same, but for scripts without spaces between words, of which each character is a token.
_SPACED = rf"[^\W{UNSPACED}]"
_MIXED = f"[{UNSPACED}]|{_WORD}".replace(r"\w+", f"{_SPACED}+").replace(r"\b", f"(?!{_SPACED})")

_SPLITS = {"word": _WORD, "mixed": _MIXED}


def train_wordpiece_tokenizer(
    texts: Iterable[str],
    vocab_size: int = 8000,
    *,
    max_length: int,
    lowercase: bool = True,
    min_frequency: int = 2,
) -> BertTokenizer:
    """Learn a BERT vocabulary: each Chinese character is a token, other words are cut into WordPieces.

    The text is normalized and split as BERT does it (Devlin et al., 2019); WordPiece: Schuster and Nakajima (2012).
    `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]` are ids 0 to 4. The same texts give the same ids, in whatever order
    they come.

    Args:
        texts: the training split; read once.
        vocab_size: pieces, special tokens included. Exceeded when the alphabet alone needs more, because no character
            that occurs `min_frequency` times is left out.
        max_length: tokens that the model can take, special tokens included (`model_max_length`).
        lowercase: fold case, and with it accents.
        min_frequency: occurrences below which a character is `[UNK]` and a pair of pieces is not joined.

    Returns:
        A tokenizer of `input_ids`, `token_type_ids` and `attention_mask`, with `[CLS]` in front and `[SEP]` behind.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.trainers import WordPieceTrainer
    from transformers import BertTokenizer

    blank = BertTokenizer(do_lower_case=lowercase)
    words = _count_words(texts, blank.backend_tokenizer)

    alphabet = _alphabet(words, min_frequency)
    # One unknown character makes a whole word [UNK], so such a word has nothing to teach.
    words = {word: count for word, count in words.items() if len(word) > 1 and alphabet.issuperset(word)}

    # The trainer numbers the "##x" pieces in the order of a hash map with a random seed, and breaks ties between merges
    # by those numbers. Handing it the whole alphabet in order, as special tokens, makes it a function of the corpus.
    first = sorted(alphabet)
    inner = sorted({f"##{character}" for word in words for character in word[1:]})
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        limit_alphabet=len(alphabet),
        special_tokens=[*_by_id(blank.backend_tokenizer), *first, *inner],
        show_progress=False,
    )
    pieces = Tokenizer(WordPiece(unk_token=blank.unk_token))
    pieces.pre_tokenizer = WhitespaceSplit()
    pieces.train_from_iterator((f"{word} " * count for word, count in words.items()), trainer)
    return BertTokenizer(vocab=_by_id(pieces), do_lower_case=lowercase, model_max_length=max_length)


def train_tokenizer(
    texts: Iterable[str],
    *,
    level: Level,
    vocab_size: int | None,
    max_length: int,
    min_frequency: int = 1,
    lowercase: bool = True,
    padding_side: Side = "right",
    truncation_side: Side = "right",
) -> PreTrainedTokenizerBase:
    """Learn a vocabulary of whole characters or words: `[PAD]` is 0, `[UNK]` is 1, then the most frequent first.

    Equally frequent tokens stand in the order of their code points, so the same texts give the same ids.

    Args:
        texts: the training split; read once.
        level: what a token is, see `tokenizer_from_vocabulary`.
        vocab_size: tokens kept, special ones included; None keeps all.
        max_length: tokens that the model can take (`model_max_length`).
        min_frequency: occurrences below which a token is `[UNK]`.
        lowercase: fold case.
        padding_side, truncation_side: saved with the tokenizer.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.trainers import WordLevelTrainer

    size = sys.maxsize if vocab_size is None else vocab_size
    if level == "char" or level in _SPLITS:
        backend = Tokenizer(WordLevel(unk_token=_SPECIAL_TOKENS[1]))
        _set_split(backend, level, lowercase)
        trainer = WordLevelTrainer(
            vocab_size=size, min_frequency=min_frequency, special_tokens=_SPECIAL_TOKENS, show_progress=False
        )
        backend.train_from_iterator(texts, trainer)
        vocabulary = _by_id(backend)
    else:
        from hfcls.models.jieba_tokenizer import cut_words

        counts = Counter(word for text in texts for word in cut_words(text, level, lowercase))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in ranked if counts[word] >= min_frequency]
        vocabulary = {word: index for index, word in enumerate([*_SPECIAL_TOKENS, *kept][:size])}
    return tokenizer_from_vocabulary(
        vocabulary,
        level,
        max_length=max_length,
        lowercase=lowercase,
        padding_side=padding_side,
        truncation_side=truncation_side,
    )


def tokenizer_from_vocabulary(
    vocabulary: dict[str, int],
    level: Level,
    *,
    max_length: int,
    lowercase: bool | None = None,
    padding_side: Side = "right",
    truncation_side: Side = "right",
) -> PreTrainedTokenizerBase:
    """A tokenizer that looks tokens up in a given vocabulary and keeps its ids.

    Nothing is added in front or behind, and text never turns into a special token. The model inputs are `input_ids` and
    `attention_mask`.

    Args:
        vocabulary: token to id, 0 to n - 1; its padding and unknown tokens are recognised by name.
        level: `char`, every Unicode character is a token, white space, Latin letters and digits too (the convention of
            THUCNews's baselines); `word`, runs of letters and digits, and single punctuation marks, with n't and 's
            apart; `mixed`, the same, but every character of a script without spaces between words; `jieba` or `rjieba`,
            Chinese words as those libraries cut them, white space dropped.
        lowercase: fold case. None: do so if no token of the vocabulary has an upper-case letter.
        max_length, padding_side, truncation_side: saved with the tokenizer.

    Returns:
        For `jieba` and `rjieba` a tokenizer that needs `trust_remote_code=True` where hfcls is not installed; for all
        others one that `AutoTokenizer` reloads anywhere.

    Raises:
        InputError: no padding or no unknown token, or an unknown level.
    """
    padding, unknown = padding_and_unknown(vocabulary)
    if lowercase is None:
        lowercase = all(token == token.lower() for token in vocabulary.keys() - {padding, unknown})
    settings = {
        "pad_token": padding,
        "unk_token": unknown,
        "model_max_length": max_length,
        "padding_side": padding_side,
        "truncation_side": truncation_side,
        "split_special_tokens": True,
    }
    if level in ("jieba", "rjieba"):
        from hfcls.models.jieba_tokenizer import JiebaTokenizer

        return JiebaTokenizer(vocabulary, segmenter=level, do_lower_case=lowercase, **settings)
    if level != "char" and level not in _SPLITS:
        raise InputError(f"token level {level!r} is not known; use char, word, mixed, jieba or rjieba")

    from tokenizers import Tokenizer, decoders
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(WordLevel(vocabulary, unk_token=unknown))
    _set_split(backend, level, lowercase)
    if level == "char":
        backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


def truncating_tokenizer(tokenizer: PreTrainedTokenizerBase, truncation: Truncation) -> PreTrainedTokenizerBase:
    """A copy of `tokenizer` that cuts as `truncation` does, as far as a tokenizer can, and is saved so.

    It can keep beginning or end of single texts; of head_tail it has the length, and `truncation.to_config` the rest.
    """
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.model_max_length = truncation.max_length
    tokenizer.truncation_side = "left" if truncation.keep == "tail" else "right"
    tokenizer.init_kwargs["truncation_side"] = tokenizer.truncation_side  # only what is named here is saved
    return tokenizer


def _set_split(backend: Tokenizer, level: Literal["char", "word", "mixed"], lowercase: bool) -> None:
    from tokenizers import Regex, normalizers, pre_tokenizers

    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    if level == "char":
        backend.pre_tokenizer = pre_tokenizers.FixedLength(length=1)
    else:
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(_SPLITS[level]), behavior="removed", invert=True)


def _count_words(texts: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    """Occurrences of each word after the tokenizer's own normalizer and pre-tokenizer.

    Both work on one stretch between spaces at a time, so each distinct stretch needs them once.
    """
    normalized = Counter()
    texts = iter(texts)
    while part := list(itertools.islice(texts, _TEXTS)):  # all stretches at once would be as large as the corpus
        for stretch, count in Counter(stretch for text in part for stretch in text.split(" ")).items():
            for piece in tokenizer.normalizer.normalize_str(stretch).split():
                normalized[piece] += count
    words = Counter()
    for piece, count in normalized.items():
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(piece):
            words[word] += count
    return words


def _alphabet(words: Counter[str], min_frequency: int) -> set[str]:
    """The characters that occur at least `min_frequency` times in words and their counts."""
    characters = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    return {character for character, count in characters.items() if count >= min_frequency}


def _by_id(tokenizer: Tokenizer) -> dict[str, int]:
    return dict(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]))
