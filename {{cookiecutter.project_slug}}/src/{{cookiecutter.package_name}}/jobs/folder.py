"""The files of a notebook: where it writes its own, where it finds those of the jobs it needs.

As a job it works in the folder that ``JOB_FOLDER`` names; opened by a person, it writes below
``runs/interactive/`` and reads what the newest jobs run left.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import UserError, nearest

FOLDER = "JOB_FOLDER"


@dataclass(frozen=True)
class JobFile:
    """A parameter that is a file another job wrote: ``{from: job, file: name}`` in the spec.

    Raises:
        UserError: a name that is no job's, or no file's below its folder.
    """

    job: str
    name: str

    def __post_init__(self) -> None:
        _check_job(self.job)
        _check_file(self.name)

    def __str__(self) -> str:
        return f"{self.job}/{self.name}"


def output(name: str) -> Path:
    """Where to write the file ``name``, such as ``"rows.parquet"``; its folder is there.

    Raises:
        UserError: ``name`` is absolute, or leads out of the job's folder.
    """
    path = _own() / "outputs" / _check_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def needed(job: str, name: str) -> Path:
    """The file ``name`` that ``job``, which this one needs, has written.

    Raises:
        UserError: there is no such file; the message names those there are.
    """
    from ..runs.run import find_run

    _check_job(job)
    folder = _own() / "needs" if _inside() else find_run("latest", "jobs")
    path = folder / job / _check_file(name)
    if path.is_file():
        return path
    jobs = sorted(each.name for each in _entries(folder) if each.is_dir() and _visible(each))
    if job not in jobs:
        what = "this job is given no files of" if _inside() else f"{folder.name} holds no files of"
        raise UserError(
            f"needed('{job}', '{name}'): {what} '{job}'; there are those of: {_listed(jobs)}."
            f"{nearest(job, jobs)}"
        )
    root = folder / job
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    raise UserError(
        f"needed('{job}', '{name}'): there is no such file. "
        f"'{job}' has written: {_listed(files)}.{nearest(name, files)}"
    )


def _inside() -> bool:
    return bool(os.environ.get(FOLDER))


def _own() -> Path:
    from ..runs.run import runs_folder

    return Path(os.environ[FOLDER]) if _inside() else runs_folder() / "interactive"


def _check_job(job: str) -> None:
    if not (isinstance(job, str) and job.isidentifier()):
        raise UserError(f"{job!r} is not the name of a job: letters, digits and _.")


def _check_file(name: str) -> str:
    path = PurePosixPath(name) if isinstance(name, str) else None
    if not (path and path.name and name.isprintable()) or path.is_absolute() or ".." in path.parts:
        raise UserError(
            f"{name!r} is not the name of a file below the job's folder: it is relative and has "
            "no '..', such as 'rows.parquet' or 'plots/roc.png'."
        )
    return name


def _entries(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
