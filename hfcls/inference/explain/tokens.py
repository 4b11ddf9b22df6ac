"""The tokens that a classifier reads of a text, and the characters that each of them stands for."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from hfcls.inference.text_classifier import TextClassifier
from hfcls.models.truncation import encode

Span = tuple[int, int]


@dataclass(frozen=True)
class Tokens:
    """What a classifier reads of one row.

    Attributes:
        text: of the row; with a second text, both with a line end between them.
        inputs: of the model, by name, (tokens,) each.
        spans: of each token, where its characters begin and end in `text`; equal for a token that stands for none.
        unread: the characters of the tokens that were cut away, (0, 0) if there are none.
    """

    text: str
    inputs: dict[str, list[int]]
    spans: list[Span]
    unread: Span


def read_tokens(classifier: TextClassifier, text: str, pair: str | None = None) -> Tokens:
    """The tokens of a text, and of its second one, cut as `classifier` cuts them."""
    pairs = [pair] if pair else None
    inputs = {name: rows[0] for name, rows in classifier.encode([text], pairs).items()}
    both = f"{text}\n{pair}" if pair else text
    texts = [text, pair] if pair and classifier.tokenizer.sep_token is not None else [both]
    whole = _spans(classifier.tokenizer, texts)
    if classifier.truncation is None:
        limit = classifier.max_length
        kept = _spans(classifier.tokenizer, texts, truncation=limit is not None, max_length=limit)
        kept = kept[: len(inputs["input_ids"])]
        ends = max((end for _, end in kept), default=0), max((end for _, end in whole), default=0)
        return Tokens(both, inputs, kept, (0, 0) if ends[0] == ends[1] else ends)
    pair_start = len(whole)
    if pairs is not None:
        _, pair_starts = encode(classifier.tokenizer, [text], pairs)
        pair_start = len(whole) if pair_starts is None else pair_starts[0]
    places = classifier.truncation.cut(list(range(len(whole))), pair_start)
    dropped = sorted(set(range(len(whole))) - set(places))
    cut = [whole[place] for place in dropped if whole[place][0] < whole[place][1]]
    return Tokens(both, inputs, [whole[place] for place in places], (cut[0][0], cut[-1][1]) if cut else (0, 0))


def _spans(tokenizer: PreTrainedTokenizerBase, texts: list[str], **options) -> list[Span]:
    """Where the tokens of one text or two come from, in both texts with a line end between them."""
    if not tokenizer.is_fast:
        return _found("\n".join(texts), tokenizer.tokenize("\n".join(texts)))
    encoded = tokenizer(*texts, return_offsets_mapping=True, verbose=False, **options)
    begins = [0, len(texts[0]) + 1]
    spans = zip(encoded["offset_mapping"], encoded.sequence_ids(), strict=True)
    return [(0, 0) if text is None else (first + begins[text], last + begins[text]) for (first, last), text in spans]


def _found(text: str, words: list[str]) -> list[Span]:
    """Where `words` stand in `text`, one after the other; a tokenizer in Python keeps no account of it."""
    spans, end, folded = [], 0, text.lower()
    for word in words:
        begin = folded.find(word.lower(), end)
        if begin >= 0 and len(folded) == len(text):
            end = begin + len(word)
            spans.append((begin, end))
        else:  # the word is not written so
            spans.append((end, end))
    return spans
