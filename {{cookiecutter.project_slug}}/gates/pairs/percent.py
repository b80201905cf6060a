"""The percent format of plain notebooks, byte for byte as jupytext reads and writes it.

jupytext is the reference, and half a second to import. Whatever is not plain (magics, other
options than tags, raw cells, strings that do not end, ...) is None here: then jupytext is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

HEADER = """\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
KNOWN_HEADER = re.compile(
    r"\A# ---\n# jupyter:\n#   jupytext:\n(?:#     formats: [\w,:]+\n)?#     text_representation:\n"
    r"#       extension: \.py\n#       format_name: percent\n(?:#       \w+_version: '?[\d.]+'?\n)*"
    r"#   kernelspec:\n#     display_name: [\w.() -]+\n#     language: python\n"
    r"#     name: [\w.-]+\n# ---\n\n?"
)
MARKER = re.compile(r'# %%( \[markdown\])?(?: tags=(\["[\w.:-]+"(?:, "[\w.:-]+")*\]))?', re.ASCII)
LIKE_A_MARKER = re.compile(r"\s*#\s*(?:%%|<codecell>|In\[)")
TAG = re.compile(r"(?!active-)[\w.:-]+", re.ASCII)
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
LINE_ENDS = re.compile(r"[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # others than \n
# What jupytext takes for a magic or a question, and for a shell command; and a little more.
MAGIC = re.compile(
    r"^(?:[^\S\n]|#)*(?:[%?!]|[^\W\d][\w$]*[^\S\n]*=[^\S\n]*[%!])"
    r"|^[^\S\n]*(?:# )*\S*\?[^\S\n]*$",
    re.MULTILINE,
)
SHELL = re.compile(
    r"^(?:[^\S\n]|#)*(?:c(?:at|d|p|opy)|mv|rm(?:dir)?|mkdir|ddir|echo|l(?:s|dir)|ren)"
    r"(?:$|[^\S\n](?:$|[^=,]))",
    re.MULTILINE,
)
ESCAPED = re.compile(r"^#[# ]*\+", re.MULTILINE)


def write(cells: Sequence[dict[str, Any]]) -> str | None:
    """The script of a Python notebook with these cells (type, source and metadata)."""
    lines: list[str] = []
    for cell in reversed(cells):
        block = _block(cell)
        if block is None:
            return None
        lines = block + [""] * _blank_lines(block, lines) + lines
    return HEADER + "\n" + "\n".join(lines) if lines else None


def read(text: str) -> list[dict[str, Any]] | None:
    """The cells of a script: type, source and metadata."""
    head = KNOWN_HEADER.match(text)
    body = text[head.end() :] if head else text
    if LINE_ENDS.search(text) or not body.startswith("# %%"):
        return None
    lines = body.split("\n")
    if not lines[-1]:
        lines.pop()
    starts = [number for number, line in enumerate(lines) if LIKE_A_MARKER.match(line)]
    cells = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        cell = _cell(_without_blank_end(lines[start:end]))
        if cell is None:
            return None
        cells.append(cell)
    return cells


def _block(cell: dict[str, Any]) -> list[str] | None:
    source, metadata = cell["source"], cell["metadata"]
    tags = metadata.get("tags") or []
    plain = isinstance(tags, list) and all(isinstance(t, str) and TAG.fullmatch(t) for t in tags)
    if not plain or set(metadata) - {"tags"} or LINE_ENDS.search(source) or _magic(source):
        return None
    options = f" tags={json.dumps(tags)}" if tags else ""
    lines = source.split("\n")
    if cell["cell_type"] == "markdown":
        return [f"# %% [markdown]{options}", *(f"# {line}" if line else "#" for line in lines)]
    indented = lines[0].strip() and lines[0][0].isspace()
    if cell["cell_type"] != "code" or indented or _odd_code(lines, source):
        return None
    return [f"# %%{options}", *(lines if source else [])]


def _cell(lines: list[str]) -> dict[str, Any] | None:
    found, source = MARKER.fullmatch(lines[0]), "\n".join(lines[1:])
    tags = json.loads(found[2]) if found and found[2] else []
    if not found or _magic(source) or not all(map(TAG.fullmatch, tags)):
        return None
    if found[1]:
        if not all(line.startswith("#") for line in lines[1:]):
            return None
        text = [line[2:] if line.startswith("# ") else line[1:] for line in lines[1:]]
        if not _fences_close(text):
            return None
        source = "\n".join(text)
    elif _odd_code(lines[1:], source):
        return None
    return {
        "cell_type": "markdown" if found[1] else "code",
        "metadata": {"tags": tags} if tags else {},
        "source": source,
    }


def _magic(source: str) -> bool:
    signs = "%" in source or "?" in source or "!" in source
    return bool((signs and MAGIC.search(source)) or SHELL.search(source))


def _odd_code(lines: list[str], source: str) -> bool:
    inside = ""
    for line in lines if _has_triple(source) else []:
        inside = _inside_after(line, inside)
    return bool(inside or ESCAPED.search(source))


def _fences_close(lines: list[str]) -> bool:
    """Whether each code fence is closed in the same cell, in the plainest way."""
    fences = [found for line in lines if (found := FENCE.fullmatch(line))]
    opening, closing = fences[::2], fences[1::2]
    return len(opening) == len(closing) and all(
        first[1] == last[1] and len(last[1]) == 3 and not last[2].strip() and "`" not in first[2]
        for first, last in zip(opening, closing, strict=True)
    )


def _without_blank_end(lines: list[str]) -> list[str]:
    """Without the blank lines that stand between a cell and the next."""
    blank = [not line.strip() for line in lines[-3:]]
    if blank == [False, True, True]:
        return lines[:-2]
    return lines[:-1] if not lines[-1] else lines


# The rest is jupytext's way to leave two blank lines around functions and classes.

DEFINITION = ("def ", "async ", "class ")


def _blank_lines(block: list[str], following: list[str]) -> int:
    if following and _ends_in_definition(block):
        return 2 if _has_code(following) else 1
    ends_in_code = block[-1].strip() and not block[-1].startswith("#")
    return 2 if following and ends_in_code and _starts_with_definition(following) else 1


def _ends_in_definition(lines: list[str]) -> bool:
    lines = [line for _, line in _unquoted(lines)][::-1]
    for number, line in enumerate(lines):
        if not line.strip():
            if number and not lines[number - 1].strip():
                return False
        elif not line.startswith(("#", " ", ")")):
            return line.startswith(DEFINITION)
    return False


def _starts_with_definition(lines: list[str]) -> bool:
    for number, line in _unquoted(lines):
        if not line.strip():
            if number and not lines[number - 1].strip():
                return False
        elif line.startswith(DEFINITION):
            return True
        elif not line.startswith(("#", "@", " ", ")")):
            return False
    return False


def _has_code(lines: list[str]) -> bool:
    for number, line in enumerate(lines):
        if not line.strip():
            if number and not lines[number - 1].strip():
                return False
        elif not line.strip().startswith("#"):
            return True
    return False


def _unquoted(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The lines, with their numbers, that do not begin inside a triple-quoted string."""
    inside = ""
    for number, line in enumerate(lines):
        if not inside:
            yield number, line
        if inside or _has_triple(line):
            inside = _inside_after(line, inside)


def _has_triple(text: str) -> bool:
    return '"""' in text or "'''" in text


def _inside_after(line: str, inside: str) -> str:
    """The quote of the string that goes on after the line; jupytext knows no prefixes."""
    if not inside and line.lstrip().startswith("#"):
        return ""
    single, last = "", -1
    for place, sign in enumerate(line):
        if sign == "#" and not single and not inside:
            break
        if sign not in "\"'" or line[place - 1 : place] == "\\" or single not in ("", sign):
            continue
        if single == sign:
            single = ""
        elif line[place - 2 : place + 1] == 3 * sign and place >= last + 3:
            if inside in ("", sign):
                inside, last = "" if inside else sign, place
        elif not inside:
            single = sign
    return inside
