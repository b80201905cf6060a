"""The fixed places of steps, ``data/steps/<step>/``, and what lies below ``data/`` by its key.

The package keeps what it makes in folders whose names hold a hash of what they were made of, such
as ``data/shop/1000-users-ad3ab53b52``, so that nothing stale is ever read. DVC wants a place that
does not move. So a step takes over what earlier steps left, from their places into those folders,
works as any command does, and then links its own outputs to its place. A link costs no room.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..config import PROJECT_ROOT
from ..data.folders import data_folder
from ..runs.files import WRITING, atomic_path, make_folder
from ..runs.manifest import to_json

FILES = "files"  # of a step: <kind>/<key>/..., as it made them
_TRACES = ("profile.json",)  # of when a file was read: made anew in a moment


def folder(step: str) -> Path:
    """The place of a step."""
    return PROJECT_ROOT / "data" / "steps" / step


def take_over(*steps: str) -> None:
    """Let what these steps left be found by its key; what is there already stays."""
    for step in steps:
        place = folder(step) / FILES
        for source in _files(place):
            kind, *rest = source.relative_to(place).parts
            target = _home(kind).joinpath(*rest)
            if not target.exists():
                link(source, target)


def leave(step: str, *folders: Path) -> None:
    """Make these folders, ``data/<kind>/<key>``, those of the step's place, and no others."""
    place = folder(step) / FILES
    shutil.rmtree(place, ignore_errors=True)
    make_folder(place)
    for made in folders:
        for source in _files(made):
            link(source, place / made.parent.name / made.name / source.relative_to(made))


def _home(kind: str) -> Path:
    """Where the package looks for folders of a kind."""
    return (PROJECT_ROOT / "data" if kind in ("shop", "features") else data_folder()) / kind


def leave_run(step: str, run: Path, names: Iterable[str]) -> None:
    """Make these files and folders of a run those of the step's place."""
    for name in names:
        target = folder(step) / name
        if (run / name).is_dir():
            shutil.rmtree(target, ignore_errors=True)
            make_folder(target)
            for source in _files(run / name):
                link(source, target / source.relative_to(run / name))
        else:
            link(run / name, target)


def metrics(manifest: dict[str, object], part: str, model: str) -> str:
    """The metrics of a run's own model, with their intervals, as JSON.

    The model is not named, so that metrics of several models stand in one column.
    """
    values, intervals = manifest["metrics"], manifest["intervals"]
    assert isinstance(values, dict)
    assert isinstance(intervals, dict)
    start = f"{part}.{model}."
    found = {}
    for name, value in values.items():
        if name.startswith(start):
            low, high = intervals.get(name, (None, None))
            found[name.removeprefix(start)] = {"value": value, "low": low, "high": high}
    return to_json(found)


def link(source: Path, target: Path) -> None:
    """The file ``source`` at ``target`` as well: the same one, or a copy on another file system."""
    with atomic_path(target, synced=False) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def _files(root: Path) -> list[Path]:
    """The files below a folder, but for those that are being written or tell of a time."""
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.name not in _TRACES
        and not any(part.startswith((".", WRITING)) for part in path.relative_to(root).parts)
    ]
