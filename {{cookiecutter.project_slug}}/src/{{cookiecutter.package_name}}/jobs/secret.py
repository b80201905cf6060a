"""Secrets of a notebook: known by the name of an environment variable, hidden in what it leaves."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import UserError

SHORTEST = 4  # characters; hiding less would mangle words and numbers that are no secret
LINE = 16  # characters from which on a line of a secret with several lines is hidden by itself
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
BINARY = re.compile(r"(image/(?!svg)|audio/|video/|application/(pdf|octet-stream)$)")
COUNTS = ("execution_count", "nbformat", "nbformat_minor")  # numbers that are never a secret


@dataclass(frozen=True)
class Secret:
    """The environment variable ``name``; only :attr:`value` reads it, nothing ever shows it.

    Raises:
        UserError: ``name`` is not the name of an environment variable. The message does not
            repeat it, because it may be the secret itself.
    """

    name: str

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", self.name)):
            raise UserError(
                "a Secret is the name of an environment variable (letters, digits and _), such as "
                'Secret("API_TOKEN"); its value belongs into the environment.'
            )

    @property
    def value(self) -> str:
        """The secret itself.

        Raises:
            UserError: the variable is absent, empty or shorter than 4 characters.
        """
        value = os.environ.get(self.name, "")
        if len(value.strip()) < SHORTEST:
            lack = (
                f"is shorter than {SHORTEST} characters, too short to be hidden in what is shown"
                if value.strip()
                else "is empty"
                if self.name in os.environ
                else "is not set"
            )
            raise UserError(f"the environment variable {self.name} {lack}.")
        return value

    def __repr__(self) -> str:
        return f'Secret("{self.name}")'


def values_of(names: Iterable[str]) -> dict[str, str]:
    """The values of those environment variables that are there, for :func:`redact`."""
    return {name: os.environ[name] for name in names if name in os.environ}


def redact(text: str, secrets: Mapping[str, str]) -> str:
    """``text`` with each value of ``secrets`` (name to value) replaced by its name: ``[NAME]``.

    A value is also found escaped (JSON, Python, HTML), URL-quoted, in hexadecimal, in Base64 (from
    7 characters on also in the middle of a longer one) and between the escape codes that colour a
    terminal. A long line of it is found by itself. What only derives from it (a hash, another
    part, a text between HTML tags, a picture) is not found.
    """
    return _redact(text, _forms(secrets))


def redact_notebook(notebook: Any, secrets: Mapping[str, str]) -> Any:
    """A copy of ``notebook`` (nbformat JSON) in which no text holds a value of ``secrets``.

    A picture or other binary output is left out when its bytes hold one.
    """
    return _redact_any(notebook, _forms(secrets))


def _forms(secrets: Mapping[str, str]) -> dict[str, str]:
    """Everything to look for, and the name of the secret that it gives away."""
    forms: dict[str, str] = {}
    for name, value in secrets.items():
        text = value.strip()
        lines = (line.strip() for line in re.split("[\\r\\n]", text))
        for part in {text, *(line for line in lines if len(line) >= LINE)}:
            for form in _spellings(part):
                forms.setdefault(form, name)
    return {form: name for form, name in forms.items() if len(form) >= SHORTEST}


def _spellings(value: str) -> set[str]:
    data = value.encode(errors="surrogateescape")
    found = {value}
    for _ in range(2):  # what is escaped may be part of a text that is escaped again
        for text in list(found):
            found |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
            found |= _literal(repr(f"'\"{text}")[1:-1])
            marked = html.escape(text, quote=False)
            found |= {marked, html.escape(text), html.escape(text).replace("&#x27;", "&#39;")}
    found |= _literal(repr(b"'\"" + data)[2:-1])
    for quoted in (urllib.parse.quote(data), urllib.parse.quote(data, safe="")):
        plus = quoted.replace("%20", "+")
        found |= {each for text in (quoted, plus) for each in (text, _lower_escapes(text))}
    found |= {data.hex(), data.hex().upper()}
    return found | _base64(data)


def _literal(text: str) -> set[str]:
    """The literal of a text after '\", so that Python escapes one: with ``'`` escaped, and bare."""
    bare = text.replace("\\'", "'")[2:]
    return {bare, bare.replace("'", "\\'")}


def _lower_escapes(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), text)


def _base64(data: bytes) -> set[str]:
    """What of the Base64 of a longer text depends on ``data`` alone, wherever in it that begins."""
    found = set()
    for offset in range(3):
        begin, end = -(-offset * 8 // 6), (offset + len(data)) * 8 // 6
        core = base64.b64encode(bytes(offset) + data)[begin:end].decode()
        if offset == 0 or len(core) >= 2 * SHORTEST:  # a shorter one may be any four letters
            found |= {core, core.translate(str.maketrans("+/", "-_"))}
    return found


def _redact(text: str, forms: Mapping[str, str]) -> str:
    merged: list[tuple[int, int, list[str]]] = []
    for begin, end, name in sorted(_spans(text, forms)):
        if merged and begin < merged[-1][1]:
            first, last, names = merged[-1]
            merged[-1] = (first, max(last, end), names if name in names else [*names, name])
        else:
            merged.append((begin, end, [name]))
    own = any("\x1b" in form for form in forms)  # codes may be the secret's, which hide with it
    pieces, done = [], 0
    for begin, end, names in merged:
        codes = [] if own else COLOUR.findall(text[begin:end])
        pieces += [text[done:begin], *(f"[{name}]" for name in names), *codes]
        done = end
    return "".join([*pieces, text[done:]])


def _spans(text: str, forms: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    coloured = COLOUR.search(text) is not None
    for form, name in forms.items():
        if not coloured:
            begin = text.find(form)
            while begin >= 0:
                yield begin, begin + len(form), name
                begin = text.find(form, begin + 1)
        elif _coloured(form[:8]).search(text):  # a long pattern takes long to compile
            found = _coloured(form).search(text)
            while found:
                yield *found.span(), name
                found = _coloured(form).search(text, found.start() + 1)


@lru_cache(maxsize=1024)
def _coloured(form: str) -> re.Pattern[str]:
    """``form`` with any escape codes between its characters."""
    return re.compile(f"(?:{COLOUR.pattern})*".join(map(re.escape, form)))


def _redact_any(value: Any, forms: Mapping[str, str], key: str = "") -> Any:
    if isinstance(value, str):
        return _redact(value, forms)
    if isinstance(value, Mapping):
        new: dict[str, Any] = type(value)() if isinstance(value, dict) else {}
        for name, item in value.items():
            data = _bytes(name, item) if key == "data" else None
            if data is None:
                new[_redact(name, forms)] = _redact_any(item, forms, name)
            elif not any(form.encode(errors="surrogateescape") in data for form in forms):
                new[name] = item
            else:
                new.setdefault("text/plain", f"[{name} that held a secret]")
        return new
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value) and _lines(value):
            text = "".join(value)  # a secret may stand in several of its lines
            hidden = _redact(text, forms)
            return value if hidden == text else hidden.splitlines(keepends=True)
        return [_redact_any(item, forms) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in COUNTS:
        hidden = _redact(str(value), forms)
        return value if hidden == str(value) else hidden
    return value


def _lines(items: list[str]) -> bool:
    """Whether ``items`` are one text, as nbformat writes it to a file."""
    return all(item.endswith("\n") for item in items[:-1])


def _bytes(mime: str, content: Any) -> bytes | None:
    """What a binary output holds; as Base64 it might show a short secret by chance."""
    text = "".join(content) if isinstance(content, list) else content
    if not (isinstance(text, str) and BINARY.match(mime)):
        return None
    try:
        return base64.b64decode(text)
    except ValueError:
        return None
