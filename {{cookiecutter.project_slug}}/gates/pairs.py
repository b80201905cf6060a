"""NB301-NB303: a notebook and its script say the same, and no edit of either is ever lost.

People edit the ``.py``; the ``.ipynb`` without outputs is for Jupyter and papermill. Which side
follows is decided by content: the side that still is as it was when both were last in step (noted
in git's own folder), or else as in git's HEAD. When both have changed, nothing is written.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .notebooks import (
    NB300,
    Finding,
    Rule,
    Unreadable,
    canonical,
    find,
    read,
    read_text,
    report,
    source,
    write,
)
from .outputs import clean

NB301 = Rule(
    "NB301",
    "the .py and the .ipynb are out of step",
    "reviews read the one and jobs run the other",
    "Run `make sync`",
)
NB302 = Rule(
    "NB302",
    "the .py and the .ipynb differ, and it is not certain that only one was changed",
    "whichever followed the other, an edit could be lost",
    "If one is not staged, `git add` both; otherwise decide with "
    "`python -m gates.pairs --from py FILE` or `--from ipynb FILE`",
)
NB303 = Rule(
    "NB303",
    "the header of the .py is not in the project's form",
    "versions of tools in it would change with every machine",
    "Run `make sync`",
)
RULES = (NB301, NB302, NB303)

FORMAT = "py:percent"
HEADER = re.compile(r"\A# ---\n(#.*\n)*?# ---\n")
VERSIONS = re.compile(r"^# +(format_version|jupytext_version):.*\n", re.MULTILINE)

Content = list[tuple[str, str, str]]


class Stamps:
    """For each pair the hash of its last content in step, and of the two files then."""

    path: Path | None
    root: Path

    def __init__(self) -> None:
        answer = _git(Path.cwd(), "rev-parse", "--git-path", "gates-pairs.json", "--show-toplevel")
        places = [Path(line) for line in (answer or "").splitlines()]
        self.path, self.root = places or (None, Path.cwd())
        self.known: dict[str, list[str]] = {}
        if self.path and self.path.is_file():
            self.known = json.loads(self.path.read_text())
        self.before = dict(self.known)

    def content(self, notebook: Path) -> str | None:
        return self.known.get(self._key(notebook), [None])[0]

    def unchanged(self, notebook: Path) -> bool:
        """Whether neither file has changed since they were in step: nothing need be parsed."""
        return self.known.get(self._key(notebook), [])[1:] == _files(notebook)

    def note(self, notebook: Path, content: Content) -> None:
        self.known[self._key(notebook)] = [_digest(content), *_files(notebook)]

    def save(self) -> None:
        if self.path and self.known != self.before:
            write(self.path, json.dumps(self.known, indent=1, sort_keys=True) + "\n")

    def _key(self, notebook: Path) -> str:
        full = notebook.resolve()
        return str(full.relative_to(self.root) if full.is_relative_to(self.root) else full)


def check(path: Path, stamps: Stamps) -> Iterator[Finding]:
    """Findings for the pair of the notebook ``path``; of the two files one may be missing."""
    script = path.with_suffix(".py")
    if stamps.unchanged(path):
        return
    for there, absent in ((path, script), (script, path)):
        if not absent.is_file():
            yield Finding(NB301, there, f"{absent.name} is missing")
            return
    left, right = _read_script(read_text(script)), _through_script(read(path))
    if _content(left) == _content(right):
        text = read_text(script)
        if _split(text)[0] != _split(_as_script(left))[0]:
            yield Finding(NB303, script)
        else:
            stamps.note(path, _content(left))
        return
    side = _changed_side(path, _content(left), _content(right), stamps)
    if side:
        yield Finding(NB301, script, f"only the .{side} was changed; the other has to follow")
    else:
        yield Finding(NB302, script)


def fix(path: Path, stamps: Stamps, side: str | None = None) -> Path | None:
    """Bring a pair in step; ``side`` (py or ipynb) decides, without it the content does.

    Returns:
        The file that was written, or None when nothing had to be, or nothing may be.
    """
    script = path.with_suffix(".py")
    if stamps.unchanged(path):
        return None
    if not script.is_file() or not path.is_file():
        side = "ipynb" if path.is_file() else "py"
    else:
        left = _read_script(read_text(script))
        right = _through_script(read(path))
        if _content(left) == _content(right):
            text = read_text(script)
            changed = write(script, _split(_as_script(left))[0] + _split(text)[1])
            return script if changed else None
        side = side or _changed_side(path, _content(left), _content(right), stamps)
    if side == "py":
        old = read(path) if path.is_file() else None
        write(path, canonical(_follow(_read_script(read_text(script)), old)))
        return path
    if side == "ipynb":
        write(script, _as_script(read(path)))
        return script
    return None


def show(path: Path) -> str:
    """Both versions of a pair whose sides were both changed, as a diff."""
    script = path.with_suffix(".py")
    left = _split(read_text(script))[1].splitlines()
    right = _split(_as_script(read(path)))[1].splitlines()
    return "\n".join(difflib.unified_diff(left, right, str(script), str(path), lineterm="", n=2))


def _changed_side(path: Path, left: Content, right: Content, stamps: Stamps) -> str | None:
    """The one side that was changed since both were in step; None when that is not certain."""
    known = stamps.content(path)
    stamped = (_digest(left) == known, _digest(right) == known)
    script = _git(path.parent, "show", f"HEAD:./{path.with_suffix('.py').name}")
    notebook = _git(path.parent, "show", f"HEAD:./{path.name}")
    committed = (
        script is not None and _content(_read_script(script)) == left,
        notebook is not None and _content(_through_script(json.loads(notebook))) == right,
    )
    if any(stamped) and committed == (stamped[1], stamped[0]):
        return None  # one is the newest in step, one is the last commit's: perhaps half is staged
    unchanged = stamped if any(stamped) else committed
    return {(True, False): "ipynb", (False, True): "py"}.get(unchanged)


def _follow(new: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
    """The notebook of a script; what only the ``old`` notebook holds is kept: ids, attachments."""
    for cell in new["cells"]:
        cell.pop("id", None)
    if old is not None:
        new["metadata"] = old["metadata"]
        matcher = difflib.SequenceMatcher(None, _content(clean(old)), _content(new), autojunk=False)
        for _, i1, i2, j1, j2 in matcher.get_opcodes():
            for before, after in zip(old["cells"][i1:i2], new["cells"][j1:j2], strict=False):
                after |= {key: before[key] for key in ("id", "attachments") if key in before}
                if after["cell_type"] == "code":
                    after.pop("attachments", None)
    return clean(new)


def _read_script(text: str) -> dict[str, Any]:
    import jupytext

    return clean(json.loads(json.dumps(jupytext.reads(text, FORMAT))))


def _as_script(notebook: dict[str, Any]) -> str:
    import jupytext
    import nbformat

    node = nbformat.from_dict(clean(notebook))
    for cell in node["cells"]:
        cell["source"] = source(cell)
    text = str(jupytext.writes(node, FORMAT))
    head, body = _split(text)
    return VERSIONS.sub("", head) + body


def _through_script(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook as its script would bring it back: blank lines around a cell do not count."""
    return _read_script(_as_script(notebook))


def _split(script: str) -> tuple[str, str]:
    found = HEADER.match(script)
    return (found[0], script[found.end() :]) if found else ("", script)


def _content(notebook: dict[str, Any]) -> Content:
    return [
        (c["cell_type"], source(c).strip("\n"), json.dumps(c["metadata"], sort_keys=True))
        for c in notebook["cells"]
    ]


def _digest(content: Content) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _files(notebook: Path) -> list[str]:
    files = (notebook.with_suffix(".py"), notebook)
    if not all(file.is_file() for file in files):
        return ["missing"]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def _git(folder: Path, *arguments: str) -> str | None:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    return done.stdout.decode() if done.returncode == 0 else None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="files or folders; without any: notebooks/")
    parser.add_argument("--fix", action="store_true", help="bring pairs in step")
    parser.add_argument(
        "--from", dest="side", choices=("py", "ipynb"), help="the side that is right"
    )
    options = parser.parse_args(argv)
    stamps = Stamps()
    findings: list[Finding] = []
    for path in find(options.files):
        try:
            if options.fix or options.side:
                written = fix(path, stamps, options.side)
                if written:
                    print(f"{written}: brought in step")
            found = list(check(path, stamps))
            findings += found
            if any(finding.rule is NB302 for finding in found):
                print(show(path))
        except Unreadable as error:
            findings.append(Finding(NB300, path, str(error)))
    stamps.save()
    return report(findings)


if __name__ == "__main__":
    sys.exit(main())
