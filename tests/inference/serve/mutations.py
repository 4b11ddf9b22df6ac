"""Requests of which something is wrong, drawn at random: some for a test, and thousands for a benchmark."""

import json
import random

PATHS = ("/predict", "/read", "/explain", "/predict_file")  # the last takes no JSON
TYPES = (
    "application/json",
    "text/csv",
    "application/jsonl",
    "text/plain",
    "application/xml",
    "",
    "application/json;;=",
)
TEXT = "国足 won 3:1"


def mutated(draw: random.Random) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body of a request; some few are sound after all."""
    kind = draw.choice((_bytes, _bytes, _structure, _structure, _depth, _unicode, _size, _file))
    path, body = kind(draw)
    suited = "text/csv" if path.startswith("/predict_file") else "application/json"
    return path, {"content-type": suited if draw.random() < 0.85 else draw.choice(TYPES)}, body


def _sound(draw: random.Random) -> tuple[str, bytes]:
    path = draw.choice(PATHS)
    if path == "/predict_file":
        return path, f"id,text\n1,{TEXT}\n".encode()
    return path, json.dumps({"inputs": TEXT} if path == "/predict" else {"text": TEXT}, ensure_ascii=False).encode()


def _bytes(draw: random.Random) -> tuple[str, bytes]:
    """Bytes changed, left out, put in, and the end cut off."""
    path, body = _sound(draw)
    body = bytearray(body)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(body) + 1)
        change = draw.randrange(4)
        if change == 0:
            body[place : place + 1] = bytes([draw.randrange(256)])
        elif change == 1:
            del body[place : place + draw.randint(1, 5)]
        elif change == 2:
            body[place:place] = draw.choice((b"\0", b"\xff", b"\xed\xa0\x80", b'"', b"{", b"]", b"\r\n", b"\xf0\x9f"))
        else:
            del body[place:]
    return path, bytes(body)


def _structure(draw: random.Random) -> tuple[str, bytes]:
    """JSON of other types than were asked for."""
    odd = (None, True, -1, 1e308, 10**400, "", [], {}, [None], [[]], [[1]], [["a", "b", "c"]], {"a": "b"}, [["a"]] * 99)
    body = {draw.choice(("inputs", "text", "input", "", "\0")): draw.choice(odd)}
    if draw.random() < 0.3:
        body[draw.choice(("raw_scores", "truncate", "pair", "x" * 999))] = draw.choice(odd)
    return draw.choice(PATHS[:-1]), json.dumps(draw.choice((body, [body], draw.choice(odd)))).encode()


def _depth(draw: random.Random) -> tuple[str, bytes]:
    opened = draw.choice(("[", '{"inputs":', '{"a":['))
    return draw.choice(PATHS[:-1]), (draw.choice(("", '{"inputs":')) + opened * draw.choice((99, 9_999))).encode()


def _unicode(draw: random.Random) -> tuple[str, bytes]:
    """NUL, halves of surrogate pairs, bytes that are no UTF-8, and marks at the beginning."""
    odd = (r"\u0000", r"\ud800", r"\udc00\ud800", "\0", "\x1b", "\ufeff", "\u202e", "\uffff", "\U0010ffff", "a" * 9_999)
    body = f'{{"inputs": "{draw.choice(odd)}"}}'.encode()
    return draw.choice(PATHS[:-1]), draw.choice((b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\0")) + body


def _size(draw: random.Random) -> tuple[str, bytes]:
    """Longer than the tests' servers take."""
    return draw.choice(PATHS), b"a" * draw.choice((0, 200_000, 2_100_000))


def _file(draw: random.Random) -> tuple[str, bytes]:
    odd = (b"", b"text", b"text\n", b'text\n"a', b"text,text\na,b\n", b"text\na,b\n", b"\xff\xfet\0", b"text\n\0\n")
    query = draw.choice(("", "?text_column=", "?text_column=%00", "?encoding=nothing", "?all_probabilities=x", "?a=b"))
    return f"/predict_file{query}", draw.choice(odd) * draw.choice((1, 1, 500))
