"""Which part of a text a classifier reads, in characters."""

from itertools import groupby

from hfcls.inference.text_classifier import TextClassifier

Span = tuple[int, int]  # start and end in characters


def read_spans(classifier: TextClassifier, text: str, pair: str = "") -> list[list[Span]] | None:
    """The parts of `text` that the model reads, and those of `pair` if there is one, each in their order.

    None where the tokenizer does not say which characters a token comes from, as those in Python.
    """
    tokenizer = classifier.tokenizer
    if not tokenizer.is_fast:
        return None
    if pair and tokenizer.sep_token is None:  # the model reads it as the second line of one text
        (joined,) = _spans(classifier, [f"{text}\n{pair}"])
        second = len(text) + 1
        return [_within(joined, 0, len(text)), _within(joined, second, second + len(pair))]
    return _spans(classifier, [text, pair] if pair else [text])


def _spans(classifier: TextClassifier, texts: list[str]) -> list[list[Span]]:
    tokens = _tokens(classifier, texts, cut=False)
    rule = classifier.truncation
    if rule is None:
        kept = set(_tokens(classifier, texts, cut=True))
        read = [token in kept for token in tokens]
    else:
        pair_start = next((place for place, (owner, _, _) in enumerate(tokens) if owner == 1), len(tokens))
        places = set(rule.cut(list(range(len(tokens))), pair_start))
        read = [place in places for place in range(len(tokens))]
    return [_runs(len(text), owner, tokens, read) for owner, text in enumerate(texts)]


def _tokens(classifier: TextClassifier, texts: list[str], cut: bool) -> list[tuple[int | None, int, int]]:
    """Of each token the number of its text, None for special ones, and its start and end."""
    limit = {"truncation": True, "max_length": classifier.max_length} if cut and classifier.max_length else {}
    encoded = classifier.tokenizer(*texts, return_offsets_mapping=True, verbose=False, **limit)
    return [(owner, *place) for owner, place in zip(encoded.sequence_ids(0), encoded["offset_mapping"], strict=True)]


def _runs(length: int, number: int, tokens: list, read: list[bool]) -> list[Span]:
    """From the first to the last character of tokens of text `number` that follow each other and are `read`."""
    own = [(start, end, known) for (owner, start, end), known in zip(tokens, read, strict=True) if owner == number]
    spans = []
    for known, run in groupby(own, key=lambda token: token[2]):
        if known:
            run = list(run)
            spans.append((run[0][0], run[-1][1]))
    if own and own[0][2]:  # white space and what else makes no token, in front and behind
        spans[0] = (0, spans[0][1])
    if own and own[-1][2]:
        spans[-1] = (spans[-1][0], length)
    return spans if own else [(0, length)]


def _within(spans: list[Span], start: int, end: int) -> list[Span]:
    """What of `spans` lies between `start` and `end`, counted from `start`."""
    clipped = [(max(first, start) - start, min(last, end) - start) for first, last in spans]
    return [(first, last) for first, last in clipped if first < last]
