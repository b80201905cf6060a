"""What is remembered of each pair since it was last in step, inside git's own folder.

One small index tells whether a pair was touched at all; what it held when it was in step stands in
a file of its own, read only where the two sides differ.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from ..core.files import write
from .merge import Content, Version

EARLIER = 16  # states in step before the last one that are known again


@dataclass(frozen=True)
class State:
    """What a pair held when it was last in step."""

    version: Version
    commit: str = ""  # HEAD at that time
    earlier: list[str] = field(default_factory=list)  # digests of the states before


class Stamps:
    """For each pair the hashes of its two files when it was last in step, and what they held."""

    path: Path | None
    root: Path

    def __init__(self, root: Path) -> None:
        answer = git(root, "rev-parse", "--git-path", "gates-pairs.json", "--show-toplevel")
        places = [Path(line) for line in (answer or "").splitlines()]
        self.path, self.root = (root / places[0], places[1]) if len(places) == 2 else (None, root)
        self.known: dict[str, list[str]] = {}
        if self.path and self.path.is_file():
            with suppress(ValueError, TypeError):  # broken: every pair is looked at anew
                self.known = dict(json.loads(self.path.read_bytes()))
        self.before = dict(self.known)

    def unchanged(self, notebook: Path, files: list[str]) -> bool:
        """Whether both files are as they were when in step, by their hashes: no need to parse."""
        return self.known.get(self._key(notebook)) == files

    def last(self, notebook: Path) -> State | None:
        """The last state in which the pair was in step."""
        path = self._state(notebook)
        try:
            found = json.loads(zlib.decompress(path.read_bytes())) if path else {}
            cells: list[Content] = [(kind, text, more) for kind, text, more in found["cells"]]
            return State(Version(cells, found["ids"]), found["commit"], found["earlier"])
        except (OSError, ValueError, KeyError, TypeError, zlib.error):
            return None

    def note(self, notebook: Path, version: Version, files: list[str]) -> None:
        """Both files, of which these are the hashes, hold ``version``."""
        self.known[self._key(notebook)] = files
        path = self._state(notebook)
        if not path:
            return
        last = self.last(notebook)
        earlier = last.earlier if last else []
        if last and last.version.cells != version.cells:
            before = digest(last.version)
            earlier = [before, *(known for known in earlier if known != before)][:EARLIER]
        state = State(version, self.commit, earlier)
        if state != last:
            content = {"cells": version.cells, "ids": version.ids}
            content |= {"commit": state.commit, "earlier": state.earlier}
            path.parent.mkdir(exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(zlib.compress(json.dumps(content).encode(), 1))
            temporary.replace(path)

    @cached_property
    def commit(self) -> str:
        return (git(self.root, "rev-parse", "--quiet", "--verify", "HEAD") or "").strip()

    def save(self) -> None:
        if self.path and self.known != self.before:
            write(self.path, json.dumps(self.known, indent=1, sort_keys=True) + "\n")

    def _state(self, notebook: Path) -> Path | None:
        if not self.path:
            return None
        name = hashlib.sha256(self._key(notebook).encode()).hexdigest()[:16]
        return self.path.with_suffix("") / name

    def _key(self, notebook: Path) -> str:
        folder = _real(Path.cwd() / notebook.parent)
        inside = folder.is_relative_to(self.root)
        return str((folder.relative_to(self.root) if inside else folder) / notebook.name)


@lru_cache(maxsize=1000)
def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))


def digest(version: Version) -> str:
    return hashlib.sha256(json.dumps(version.cells).encode()).hexdigest()


def hashes(notebook: Path) -> list[str]:
    """Of the script and the notebook, as they are in the files now."""
    found = []
    for file in (notebook.with_suffix(".py"), notebook):
        try:
            found.append(hashlib.sha256(file.read_bytes()).hexdigest())
        except OSError:
            found.append("missing")
    return found


def git(folder: Path, *arguments: str) -> str | None:
    """What git answers; None where it fails."""
    answer = _run(folder, *arguments)
    return None if answer is None else answer.decode(errors="replace")


def revisions(notebook: Path, commit: str) -> dict[tuple[str, str], str]:
    """The texts of both files in git: by HEAD, index or ``then`` (a commit), and py or ipynb."""
    names = {
        (revision, side): f"{name}:./{notebook.with_suffix(f'.{side}').name}"
        for revision, name in (("HEAD", "HEAD"), ("index", ""), ("then", commit or "none"))
        for side in ("py", "ipynb")
    }
    asked = "".join(f"{name}\n" for name in names.values()).encode()
    answer = _run(notebook.parent, "cat-file", "--batch", given=asked) or b""
    texts = {}
    for key in names:
        line, _, answer = answer.partition(b"\n")
        if line and not line.endswith(b" missing"):
            size = int(line.split()[-1])
            texts[key] = answer[:size].decode(errors="replace")
            answer = answer[size + 1 :]
    return texts


def _run(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], input=given, capture_output=True, check=False
    )
    return done.stdout if done.returncode == 0 else None
