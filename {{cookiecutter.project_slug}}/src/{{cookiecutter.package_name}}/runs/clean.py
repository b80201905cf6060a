"""``runs clean``: remove old runs and what nobody needs any more, and say how much was freed."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import UserError
from . import facts, locks
from .files import STALE, leftovers, runs_folder, unwritable
from .manifest import MANIFEST, ManifestError, read_manifest
from .run import NAME, PARTIAL, is_open

KEEP = 20
RESULTS = ".results"  # below the runs folder: what jobs made, by job and key
TRASH = ".trash-"  # how the name of a folder begins that is being removed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep", type=int, default=KEEP, metavar="N", help=f"so many of each kind ({KEEP})"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def main(args: argparse.Namespace) -> int:
    """Remove, or say what would be.

    Raises:
        UserError: the runs folder cannot be written.
    """
    if args.keep < 0:
        raise UserError(f"--keep {args.keep}: must be 0 or more.")
    root = runs_folder()
    folders = sorted(p for p in root.glob("*") if NAME.fullmatch(p.name) and p.is_dir())
    kept = _kept(folders, args.keep)
    doomed = {"run": [path for path in folders if path.name not in kept]}
    doomed["result"] = _unused_results(root, [root / name for name in kept])
    doomed["leftover"] = _leftovers(root, kept)
    freed = 0
    for what, paths in doomed.items():
        for path in paths:
            size = _size(path)
            freed += size
            print(f"{what:<10}{path.relative_to(root)}  {_megabytes(size)}")
            if not args.dry_run:
                _remove(path, root)
    if not args.dry_run:
        locks.sweep()
    counted = Counter({what: len(paths) for what, paths in doomed.items()})
    words = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for what, n in counted.items())
    print(f"{words}: {_megabytes(freed)} {'to free' if args.dry_run else 'freed'}.")
    return 0


def _kept(folders: Iterable[Path], number: int) -> set[str]:
    """The newest of each kind, those that are open, and those that a kept one builds on."""
    by_kind = defaultdict(list)
    for path in sorted(folders, reverse=True):
        if found := NAME.fullmatch(path.name):
            by_kind[found["kind"]].append(path)
    kept = {path.name for paths in by_kind.values() for path in paths[:number]}
    everything = [path for paths in by_kind.values() for path in paths]
    # A folder without a manifest is that of a run which is just beginning, or was killed there.
    kept |= {p.name for p in everything if is_open(p.name) or (_is_young(p) and not _manifest(p))}
    latest = runs_folder() / "latest"
    if latest.is_symlink():
        kept.add(latest.readlink().name)
    needs = {path.name: _needs(path) for path in everything}
    parents = {path.name: _manifest(path).get("parent") for path in everything}
    before: set[str] = set()
    while before != kept:
        before = set(kept)
        for name in before:
            kept |= needs.get(name, set())
        kept |= {name for name, parent in parents.items() if parent in before}
    return kept & set(needs)


def _needs(folder: Path) -> set[str]:
    """The runs that this one names: those of its jobs, and those whose files it read."""
    named: set[str] = set()
    for entry in facts.jobs(folder):
        runs = entry.get("runs") or []
        named |= {str(each) for each in ([runs] if isinstance(runs, str) else runs)}
    for name in _manifest(folder).get("inputs", {}):
        named |= set(Path(name).parts)
    return {name for name in named if NAME.fullmatch(name)}


def _unused_results(root: Path, kept: Iterable[Path]) -> list[Path]:
    """Results ``<job>-<key>`` that no kept run names by job and key."""
    kept = list(kept)
    if any(is_open(path.name) for path in kept):
        return []  # it may be about to use any of them
    used = {(e.get("job"), e.get("key")) for path in kept for e in facts.jobs(path)}
    names = {f"{job}-{key}" for job, key in used if key}
    found = sorted(path for path in (root / RESULTS).glob("*") if not path.name.startswith("."))
    return [path for path in found if path.name not in names]


def _leftovers(root: Path, kept: Iterable[str]) -> list[Path]:
    """What killed processes left in folders that stay."""
    found = [*root.glob(f"{TRASH}*"), *(p for p in root.glob(".latest-*") if not _is_young(p))]
    for folder in (root / RESULTS, *(root / name for name in sorted(kept))):
        if not is_open(folder.name):
            found += leftovers(folder)
            found += [p for p in (folder / PARTIAL,) if p.exists() and not _is_young(p)]
    return found


def _remove(path: Path, root: Path) -> None:
    """Out of sight in one step, so that nobody meets half a run."""
    trash = root / f"{TRASH}{secrets.token_hex(4)}"
    try:
        path.rename(trash)
        if trash.is_dir() and not trash.is_symlink():
            shutil.rmtree(trash)
        else:
            trash.unlink()
    except FileNotFoundError:  # somebody else is cleaning as well
        return
    except OSError as error:
        raise unwritable(error, root) from error


def _manifest(folder: Path) -> dict[str, Any]:
    """Also of an edited one: what it names is kept. Empty when there is none that can be read."""
    try:
        return read_manifest(folder)
    except ManifestError:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((folder / MANIFEST).read_bytes())
            return found if isinstance(found, dict) else {}
    return {}


def _is_young(path: Path) -> bool:
    try:
        return path.lstat().st_mtime > time.time() - STALE
    except OSError:
        return False


def _size(path: Path) -> int:
    """What removing it frees: a file with another name elsewhere stays."""
    total = 0
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        with contextlib.suppress(OSError):
            found = each.lstat()
            total += found.st_size if found.st_nlink == 1 else 0
    return total


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
