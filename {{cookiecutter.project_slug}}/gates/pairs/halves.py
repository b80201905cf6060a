"""The two halves of a pair, the script (left) and the notebook (right): reading and writing them.

jupytext says what a script means. For plain notebooks ``percent`` does the same without it.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.files import Notebook, Unreadable, read_text, source
from ..outputs import CELL_KEYS, KERNELSPEC, canonical, clean, give_ids
from . import percent
from .merge import Content, Merge, Version

SIDES = ("py", "ipynb")
FORMAT = "py:percent"
HEADER = re.compile(r"\A# ---\n(#.*\n)*?# ---\n")
VERSIONS = re.compile(r"^# +(format_version|jupytext_version):.*\n", re.MULTILINE)
IN_HEADER = {"kernel_info", "orphan", "tocdepth"}  # what jupytext writes there, if it is there
NO_TEXT = re.compile(r"[\ud800-\udfff]")  # half a character, which no file can hold


@dataclass(frozen=True)
class Pair:
    """Both halves as they were read."""

    path: Path  # of the notebook
    text: str  # of the script; empty without one
    raw: dict[str, Any]
    left: Version
    right: Version
    only: str | None = None  # the one side there is, or that may be looked at
    unfit: int | None = None  # the first cell of the notebook that the script would not bring back

    @property
    def script(self) -> Path:
        return self.path.with_suffix(".py")

    def contents(self, chosen: Merge) -> list[Content]:
        return [(self.left, self.right)[taken.side].cells[taken.number] for taken in chosen.taken]


def read(path: Path) -> Pair:
    """The pair of the notebook ``path``; both files are there."""
    text, raw = read_text(path.with_suffix(".py")), Notebook(path).raw
    left = of_script(text)
    right = of_notebook(raw, known=(text, left))
    mine = [(cell["cell_type"], source(cell).strip()) for cell in raw["cells"]]
    back = [(kind, text.strip()) for kind, text, _ in right.cells]
    unfit = None
    if mine != back:
        same = (a == b for a, b in zip(mine, back, strict=False))
        unfit = next((n for n, equal in enumerate(same, start=1) if not equal), len(mine))
    return Pair(path, text, raw, left, right, unfit=unfit)


def of_script_alone(path: Path, last: Version) -> Pair:
    """A pair without its notebook, of which only the ``last`` state in step is known."""
    text = read_text(path.with_suffix(".py"))
    raw = _read_script(text)
    raw["cells"] = [
        _new(content) | {"id": name} for content, name in zip(last.cells, last.ids, strict=False)
    ]
    right = Version(last.cells if last.ids else [], last.ids)
    return Pair(path, text, raw, of_script(text), right, only="py")


def of_notebook_alone(path: Path) -> Pair:
    raw = Notebook(path).raw
    right = of_notebook(raw)
    return Pair(path, "", raw, right, right, only="ipynb")


def of_script(text: str) -> Version:
    return Version(_contents(_read_script(text)["cells"]))


def of_notebook(raw: dict[str, Any], known: tuple[str, Version] | None = None) -> Version:
    """A notebook as its script would bring it back: blank lines around a cell do not count.

    Args:
        known: A script and what it means, which is often the same script.
    """
    ids = [cell.get("id") for cell in raw["cells"]]
    sound = all(isinstance(name, str) for name in ids) and len(set(ids)) == len(ids)
    text = _as_script([_stripped(cell) for cell in raw["cells"]], raw.get("metadata"))
    if known and split(text)[1] == split(known[0])[1]:
        cells = known[1].cells
    else:
        cells = of_script(text).cells
    return Version(cells, ids if sound else [])


def texts(pair: Pair, chosen: Merge, *, mend_header: bool) -> tuple[str | None, str | None]:
    """What is to be written so that both halves hold what was chosen.

    Returns:
        The notebook, None where it is right already; the script, None where it could not hold it.
    """
    contents = pair.contents(chosen)
    notebook = None
    if pair.only == "py" or contents != pair.right.cells:
        cells = []
        for taken, content in zip(chosen.taken, contents, strict=True):
            cells.append(_made(pair, content, taken.twin))
        give_ids(cells)
        made = {**pair.raw, "cells": cells, "nbformat": 4, "nbformat_minor": 5}
        notebook = canonical(made)
    head, body = split(_as_script([_bare(*content) for content in contents], pair.raw["metadata"]))
    old_head, old_body = split(pair.text)
    percent_before = (format_of(old_head) or "percent") == "percent"
    if pair.text and percent_before and not mend_header:
        head = old_head
    if pair.text and percent_before and contents == pair.left.cells:
        body = old_body
    script = head + body
    fits = of_script(script).cells == contents and not NO_TEXT.search(script)
    return notebook, script if fits else None


def split(script: str) -> tuple[str, str]:
    """Header and body."""
    found = HEADER.match(script)
    return (found[0], script[found.end() :]) if found else ("", script)


def format_of(head: str) -> str | None:
    """The jupytext format that a header names, such as percent or light."""
    found = re.search(r"^# +format_name: (\w+)", head, re.MULTILINE)
    return found[1] if found else None


def _made(pair: Pair, content: Content, twin: int | None) -> dict[str, Any]:
    """A cell for the notebook, with what only its twin there has: id, attachments, outputs."""
    cell = _new(content)
    old = pair.raw["cells"][twin] if twin is not None else {}
    held = pair.right.cells[twin] if twin is not None else None
    if held == content:
        return dict(old)
    if "id" in old:
        cell["id"] = old["id"]
    if held:
        hidden = set(old["metadata"]) - set(json.loads(held[2]))
        cell["metadata"] = {key: old["metadata"][key] for key in hidden} | cell["metadata"]
    if cell["cell_type"] != "code" and "attachments" in old:
        cell["attachments"] = old["attachments"]
    if held and held[:2] == content[:2] and cell["cell_type"] == "code":
        cell |= {key: old[key] for key in ("outputs", "execution_count") if key in old}
    return cell


def _new(content: Content) -> dict[str, Any]:
    made = _bare(*content)
    return made | ({"outputs": [], "execution_count": None} if content[0] == "code" else {})


def _bare(kind: str, text: str, more: str) -> dict[str, Any]:
    return {"cell_type": kind, "source": text, "metadata": json.loads(more)}


def _stripped(cell: dict[str, Any]) -> dict[str, Any]:
    """Without outputs and what a machine added."""
    metadata = cell["metadata"] if isinstance(cell["metadata"], dict) else {}
    metadata = {key: value for key, value in metadata.items() if key not in CELL_KEYS}
    return {"cell_type": cell["cell_type"], "source": source(cell), "metadata": metadata}


def _contents(cells: Sequence[dict[str, Any]]) -> list[Content]:
    return [
        (c["cell_type"], c["source"].strip("\n"), json.dumps(c["metadata"], sort_keys=True))
        for c in cells
    ]


def _read_script(text: str) -> dict[str, Any]:
    """The notebook that a script means: its cells, stripped, and its metadata."""
    cells = percent.read(text)
    if cells is not None:
        return {"cells": cells, "metadata": {"kernelspec": KERNELSPEC}}
    try:
        import jupytext

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            notebook = json.loads(json.dumps(jupytext.reads(text, FORMAT)))
    except Exception as error:  # whatever goes wrong there, the file is what is wrong
        raise Unreadable(f"jupytext cannot read its script ({error})") from error
    return {
        "cells": [_stripped(cell) for cell in notebook["cells"]],
        "metadata": clean({"cells": [], "metadata": notebook["metadata"]})["metadata"],
    }


def _as_script(cells: list[dict[str, Any]], metadata: Any) -> str:
    metadata = metadata if isinstance(metadata, dict) else {}
    metadata = clean({"cells": [], "metadata": metadata})["metadata"]
    if metadata.get("kernelspec") == KERNELSPEC and not IN_HEADER & set(metadata):
        text = percent.write(cells)
        if text is not None:
            return text
    try:
        import jupytext
        import nbformat

        plain = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = str(jupytext.writes(nbformat.from_dict(plain), FORMAT))
    except Exception as error:
        raise Unreadable(f"jupytext cannot write it as a script ({error})") from error
    head, body = split(text)
    return VERSIONS.sub("", head) + body
