"""Which encoding a file is in: UTF-8, or GB18030 where that gives Chinese; what else it may be is said, not guessed.

This file needs the standard library and `files.py` beside it.
"""

import codecs
import hashlib
import io

from .files import GB18030, NAMES, UTF_8, raw_lines

__all__ = ["NoEncoding", "check_name", "find_encoding", "scan"]

_SAMPLE = 40_000  # bytes of lines that are not ASCII, which are looked at
_FEW = 200  # different ones, under which frequencies say nothing
# Of the characters beyond ASCII in Chinese headlines and comments 99 % are of level 1 of GB 2312 or its punctuation,
# and 37 % and 63 % are among the most frequent below. Big5 read as GB18030 reaches 39 % and 1 %, Japanese 56 % and 9 %,
# Korean 100 % and 6 %, Western and Cyrillic next to nothing.
_LEAST_COMMON, _LEAST_FREQUENT = 0.65, 0.12
_FREQUENT = frozenset(
    "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于"
    "心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位"
    "分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感见明问力理尔点文几定本公特做外孩相西果走将月十实"
    "向声车全信重三机工物气每并别真打太新比才便夫再书部水像眼等体却加电主界门利海受听表德少克代员许先口由死安写性马"
    "光白或住难望教命花结乐色，。、：；？！“”（）《》…—"
)


class NoEncoding(ValueError):
    """A line is in none of the encodings that a file may be in."""


def check_name(name: str) -> str:
    """`name`, if Python knows a text encoding of that name.

    Raises:
        ValueError: it does not.
    """
    try:
        io.TextIOWrapper(io.BytesIO(), name)
    except LookupError:
        raise ValueError(f"--encoding {name}: no encoding of that name; cp1252, big5, utf-16 are some") from None
    return name


def scan(path: str, encodings: tuple[str, ...] = (UTF_8, GB18030)) -> tuple[str, bytes]:
    """The first of `encodings` that all of a file is in, and the digest of its bytes; the file is read once.

    Raises:
        NoEncoding: it is in none of them; the message names the line.
        ValueError: it is UTF-16, or valid GB18030 that gives no Chinese; the message says what it looks like.
    """
    found, possible, foreign, first = hashlib.blake2b(digest_size=16), list(encodings), bytearray(), 0
    for number, line in enumerate(raw_lines(path), 1):  # no encoding here uses the byte of a line end in a character
        found.update(line)
        if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            named = "" if len(encodings) == 1 else ", or give --encoding utf-16"
            raise ValueError(f"{path}:1: UTF-16, by its first bytes; save it as UTF-8{named}")
        for encoding in tuple(possible):
            try:
                line.decode(encoding)
            except UnicodeDecodeError:
                possible.remove(encoding)
        if not possible:
            names = [NAMES[encoding] for encoding in encodings]
            what = f"not {names[0]}" if len(names) == 1 else f"neither {' nor '.join(names)}"
            likely = _likely(bytes(foreign) + line)
            looks = f"; it looks like {likely}" if likely else ""
            named = "" if len(encodings) == 1 else ", or name the encoding: --encoding NAME"
            raise NoEncoding(f"{path}:{number}: {what}{looks}; repair the line and save as UTF-8{named}")
        if len(foreign) < _SAMPLE and not line.isascii():
            foreign += line
            first = first or number
    if possible[0] == GB18030:
        _check_plausible(bytes(foreign), f"{path}:{first}")
    return possible[0], found.digest()


def find_encoding(path: str, encodings: tuple[str, ...] = (UTF_8, GB18030)) -> str:
    """The first of `encodings` that all of a file is in.

    Raises:
        ValueError: as `scan`.
    """
    return scan(path, encodings)[0]


def _check_plausible(content: bytes, where: str) -> None:
    """Raises ValueError where GB18030 makes no Chinese of `content`, bytes that are no UTF-8."""
    characters = [character for character in content.decode(GB18030) if not character.isascii()]
    common = sum(map(_is_common, characters)) / len(characters)
    frequent = sum(character in _FREQUENT for character in characters) / len(characters)
    if common >= _LEAST_COMMON and (len(set(characters)) < _FEW or frequent >= _LEAST_FREQUENT):
        return
    likely = _likely(content)
    raise ValueError(
        f"{where}: not UTF-8, and as GB18030 hardly Chinese ({''.join(characters[:3])}…)"
        + (f"; it looks like {likely}" if likely else "")
        + ": save it as UTF-8, or name the encoding: --encoding NAME"
    )


def _is_common(character: str) -> bool:
    """Whether it is of level 1 of GB 2312, or of its punctuation, digits and letters."""
    code = character.encode(GB18030)
    return len(code) == 2 and code[1] >= 0xA1 and (0xB0 <= code[0] <= 0xD7 or code[0] in (0xA1, 0xA3))


def _likely(content: bytes) -> str | None:
    """A name for people, with what Python calls it; None for what is neither of the two."""
    high = sum(byte >= 0x80 for byte in content)
    lone = sum(
        byte >= 0x80 and content[place - 1 : place].isascii() and content[place + 1 : place + 2].isascii()
        for place, byte in enumerate(content)
    )
    if lone > high / 2:  # accents stand between letters
        return "Windows-1252 (cp1252)"
    try:
        text = content.decode("big5")
    except UnicodeDecodeError:
        return None
    codes = [character.encode("big5") for character in text if not character.isascii()]
    level_1 = sum(0xA4 <= code[0] <= 0xC6 or code[0] == 0xA1 for code in codes)
    return "Big5 (big5)" if level_1 > 0.8 * len(codes) else None
