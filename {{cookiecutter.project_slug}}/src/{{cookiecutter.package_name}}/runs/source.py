"""The code of a run: the commit, and all that differs from it as a patch to apply again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATCH = "source.patch"
LARGEST = 20_000_000  # bytes of a patch that is stored
# A file of which only the difference is stored may be larger; that of a new one is about all of it.
LARGEST_FILES = 5 * LARGEST

# Variables that say where git finds its settings and programs; all others speak of a repository,
# such as those that a hook is called with, and may be about another one.
_KEPT = ("GIT_CONFIG", "GIT_CEILING", "GIT_DISCOVERY", "GIT_EXEC_PATH")
# Settings of the user's that would change what a command does or writes.
_PLAIN = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=true",
    "core.safecrlf=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "advice.addEmbeddedRepo=false",
]
_SUBMODULE = re.compile(
    rb"^(?:(?:new file|deleted file|old|new) mode 160000|index [0-9a-f.]+ 160000)$", re.MULTILINE
)


@dataclass(frozen=True)
class Source:
    """``facts`` is the ``git`` entry of a manifest, ``patch`` the bytes of ``source.patch``."""

    facts: dict[str, Any]
    patch: bytes | None = None


class _GitError(Exception):
    """What git said when it could not."""


def read_source(root: Path, results: Path) -> Source:
    """What is checked out at ``root``. All facts are None where there is no git or no commit yet.

    Files that are not tracked and not ignored count as changes and are part of the patch, but for
    those below ``results``. Neither the user's index nor the repository is written to.
    """
    facts: dict[str, Any] = dict.fromkeys(
        ("commit", "dirty", "diff_sha256", "patch", "patch_omitted")
    )
    where = ["--", ":/"]
    if results.is_relative_to(root) and results != root:
        where.append(f":(exclude,literal){results.relative_to(root)}")
    try:
        # With the commit in the first line, so that one command is enough where nothing changed.
        said = _git(
            root,
            *("status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z", *where),
        )
    except _GitError:
        return Source(facts)
    entries = said.decode(errors="surrogateescape").split("\0")
    commit = entries[0].removeprefix("# branch.oid ")
    if commit == "(initial)":
        return Source(facts)
    facts["commit"] = commit
    changes = [each for each in entries if each and not each.startswith("# ")]
    facts["dirty"] = bool(changes)
    if not changes:
        return Source(facts)
    try:
        patch = _patch(root, where, entries)
    except (_GitError, OSError, ValueError) as error:  # ValueError: a path with a line break in it
        facts["patch_omitted"] = str(error)
        return Source(facts)
    facts["diff_sha256"] = hashlib.sha256(patch).hexdigest()
    if len(patch) > LARGEST:
        facts["patch_omitted"] = _too_large(len(patch), LARGEST)
    elif _SUBMODULE.search(patch):
        facts["patch_omitted"] = "a repository inside the repository has changes, or is new"
    else:
        facts["patch"] = PATCH
        return Source(facts, patch)
    return Source(facts)


def _patch(root: Path, where: list[str], entries: list[str]) -> bytes:
    """All changes, made with an index and objects of its own, so that the user's stay as they are.

    Raises:
        _GitError: git cannot, or there is far too much.
    """
    top, index, objects = (
        Path(os.fsdecode(line))
        for line in _git(
            root,
            *("rev-parse", "--path-format=absolute", "--show-toplevel"),
            *("--git-path", "index", "--git-path", "objects"),
        ).splitlines()
    )
    size = sum(_size(top / name) for name in _changed(entries))
    if size > LARGEST_FILES:
        raise _GitError(_too_large(size, LARGEST_FILES))
    with tempfile.TemporaryDirectory(prefix="source-") as folder:
        own = Path(folder, "index")
        Path(folder, "objects").mkdir()  # without it, git does not take the repository for one
        if index.is_file():
            # With its time, by which git sees what may have changed since; so most files need not
            # be read.
            shutil.copy2(index, own)
        variables = {
            "GIT_INDEX_FILE": str(own),
            "GIT_OBJECT_DIRECTORY": str(Path(folder, "objects")),
            # In quotes, since a path may hold the colon that separates paths.
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": json.dumps(str(objects), ensure_ascii=False),
        }
        _git(root, "add", "--all", *_without_ignored(root, where), **variables)
        return _git(
            root,
            *("diff-index", "--cached", "--patch", "--binary", "--full-index", "--no-renames"),
            *("--no-color", "--no-ext-diff", "--no-textconv", "HEAD"),
            **variables,
        )


def _without_ignored(root: Path, where: list[str]) -> list[str]:
    """``git add`` refuses to leave out what is ignored anyway, as if asked to add it."""
    for each in where[2:]:
        with contextlib.suppress(_GitError):  # it is not ignored
            _git(root, "check-ignore", "--quiet", "--", each.partition(")")[2])
            return where[:2]
    return where


def _changed(entries: list[str]) -> list[str]:
    """The names of files in the lines of ``git status --porcelain=v2 -z``."""
    # The number of fields before the name, by the kind of line; the old name of a renamed file is
    # an entry of its own, which begins with no kind.
    fields = {"1": 8, "2": 9, "u": 10, "?": 1}
    return [e.split(" ", fields[e[0]])[-1] for e in entries if e[:2] in ("1 ", "2 ", "u ", "? ")]


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # it was deleted
        return 0


def _too_large(size: int, limit: int) -> str:
    return f"the changes are {size / 1e6:.0f} MB; at most {limit / 1e6:.0f} MB are stored"


def _git(root: Path, *arguments: str, **variables: str) -> bytes:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT)
    }
    wanted = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **variables}
    settings = [part for setting in _PLAIN for part in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *settings, *arguments],
            cwd=root,
            env=kept | wanted,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise _GitError(f"git: {error}") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise _GitError(f"git {arguments[0]}: {said[:500]}")
    return done.stdout
