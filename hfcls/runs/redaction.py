"""Texts made fit for strangers: no local paths, no Hub tokens, no markup."""

import html
import os
import re

_TOKEN = re.compile(r"hf_[A-Za-z0-9]{20,}")
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/\\.…~])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\'\"<>|:,;()]+)+[/\\]?")


def redact(text: str) -> str:
    """`text` on one line: absolute paths cut to their last component, Hub tokens hidden."""
    home = os.path.expanduser("~")
    if len(home) > 1:  # a home may hold a space, where the pattern for paths would stop
        text = text.replace(home, "~")
    text = "".join(letter if letter.isprintable() else " " for letter in _TOKEN.sub("***", text))
    return " ".join(_ABSOLUTE_PATH.sub(lambda path: _last_component(path[0]), text).split())


def escape(text: object) -> str:
    """`redact(text)` with everything escaped that Markdown or HTML would read as markup."""
    return re.sub(r"([\\`*_{}\[\]#|!~$])", r"\\\1", html.escape(redact(str(text)), quote=False))


def redact_command(command: str, keep: str | None) -> str:
    """The command without the values of tokens, and with paths cut to their last component.

    `keep` is a name that looks like a path; where a recipe lies in hfcls is no secret, and needed to run it.
    """
    words, hide = [], False
    for word in command.split():
        name, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        if hide:
            value = "***"
        hide = name.endswith("token") and not equals
        if name.endswith("token") and equals:
            value = "***"
        elif value != keep and not re.fullmatch(r"recipes/\w+\.py", value):
            value = _last_component(value)
        words.append(redact(f"{name}{equals}{value}"))
    return " ".join(words)


def _last_component(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]
