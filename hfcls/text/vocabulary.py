"""Vocabularies that a user brings: a text file or a pickled dict."""

import pickletools
from pathlib import Path

from hfcls.data.files import regular
from hfcls.errors import InputError

_PADDING = ("[PAD]", "<PAD>", "<pad>")
_UNKNOWN = ("[UNK]", "<UNK>", "<unk>")
_MAX_BYTES = 64 * 2**20  # ten times the words of GloVe 6B

# What pickling a plain dict of str to int takes, in protocols 0 to 5; nothing that imports, calls or builds.
_VALUES = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"}
_VALUES |= {"BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG"}
_DICTS = {"EMPTY_DICT", "DICT"}
_STRUCTURE = {"PROTO", "FRAME", "MARK", "SETITEM", "SETITEMS", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"}


def load_vocabulary(path: str | Path) -> dict[str, int]:
    """Read a vocabulary; ids are those of the file, from 0 to n - 1.

    Two formats are known: text in UTF-8 with one token a line, the line number being the id (`vocab.txt` of BERT), and
    a pickled `{token: id}` (`vocab.pkl` of THUCNews). A pickle is never run: its opcodes are listed and only those of a
    plain dict of strings and integers are accepted, so no payload can import, call or allocate.

    Raises:
        InputError: the file cannot be read as one of the two, is larger than 64 MiB, names a token twice, leaves out an
            id, or has no padding or no unknown token (see `padding_and_unknown`).
    """
    path = Path(path)
    try:
        with open(regular(path), "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a vocabulary file") from error
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES >> 20} MiB, which no vocabulary is; give a vocabulary file")
    # From protocol 2 on a pickle begins with a byte that begins no UTF-8 text.
    is_pickle = path.suffix in (".pkl", ".pickle") or data.startswith(b"\x80")
    vocabulary = _parse_pickle(data, path) if is_pickle else _parse_lines(data, path)
    padding_and_unknown(vocabulary, name=str(path))
    return vocabulary


def padding_and_unknown(vocabulary: dict[str, int], *, name: str = "the vocabulary") -> tuple[str, str]:
    """The tokens that stand for padding ([PAD], <PAD> or <pad>) and for unknown words ([UNK], <UNK> or <unk>).

    Raises:
        InputError: one is missing; `name` is the file to name.
    """
    found = []
    for kind, names in (("padding", _PADDING), ("unknown", _UNKNOWN)):
        token = next((token for token in names if token in vocabulary), None)
        if token is None:
            raise InputError(f"{name}: no {kind} token; add one of {', '.join(names)}")
        found.append(token)
    return found[0], found[1]


def _parse_lines(data: bytes, path: Path) -> dict[str, int]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8; save the vocabulary as UTF-8, one token a line") from error
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")  # splitlines would also cut at U+2028
    vocabulary = {}
    for number, token in enumerate(lines, start=1):
        if not token:
            raise InputError(f"{path}:{number}: empty line; write one token a line")
        if "\t" in token and len(token) > 1:
            raise InputError(f"{path}:{number}: a tab inside a token; write one token a line and nothing else")
        if token in vocabulary:
            raise InputError(f"{path}:{number}: {token!r} stands in line {vocabulary[token] + 1} already; remove one")
        vocabulary[token] = number - 1
    return vocabulary


def _parse_pickle(data: bytes, path: Path) -> dict[str, int]:
    values, dicts = [], 0
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _VALUES:
                values.append(argument)
            elif opcode.name in _DICTS:
                dicts += 1
            elif opcode.name not in _STRUCTURE:
                raise InputError(
                    f"{path}: refused and not run: a vocabulary is one plain dict of token to id, and this pickle "
                    f"contains {opcode.name}; give a text file, one token a line"
                )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: a damaged pickle; give a text file, one token a line") from error

    tokens, ids = values[::2], values[1::2]
    is_vocabulary = dicts == 1 and all(type(token) is str for token in tokens) and all(type(i) is int for i in ids)
    if not is_vocabulary or len(set(tokens)) != len(ids) or sorted(ids) != list(range(len(tokens))):
        raise InputError(
            f"{path}: not a dict of distinct tokens to the ids 0 to n - 1; give a text file, one token a line"
        )
    unusable = next((token for token in tokens if not token or not _is_encodable(token)), None)
    if unusable is not None:
        raise InputError(f"{path}: {unusable!r} cannot be a token; give a text file, one token a line")
    return dict(zip(tokens, ids, strict=True))


def _is_encodable(token: str) -> bool:
    """False for half of a surrogate pair, which a pickle can hold and UTF-8 cannot."""
    try:
        token.encode()
    except UnicodeEncodeError:
        return False
    return True
