"""Whether a job has to run: everything its result depends on, by hash, and what of it has changed.

The parts are compared by content, never by time, so a copied, touched or newly cloned file is no
reason to run again, and a clock that goes backwards hides nothing.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config import CONF, PROJECT_ROOT
from ..errors import UserError
from .imports import ROOT, ImportReader
from .parameters import plain, shown
from .spec import Job, Reference

CONFIGURATION = ROOT / "config" / "load.py"
DATABASE = "postgresql:"  # how an input begins that is no file; nobody knows whether it has changed


@dataclass(frozen=True)
class Key:
    """What the result of one job depends on; ``parts`` maps a kind to names and their hashes."""

    job: str
    parts: dict[str, dict[str, Any]]
    libraries: frozenset[str] = frozenset()  # what it imports from outside, worth loading once
    files: tuple[tuple[Path, tuple[int, ...]], ...] = ()  # what was hashed, and how it lay there

    @cached_property
    def hash(self) -> str:
        """The key itself, 20 hexadecimal digits."""
        text = json.dumps(self.parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def moved(self) -> str:
        """The file that is not as it was when the key was made; empty when all are."""
        for path, state in self.files:
            if _state(path) != state:
                return shown(path)
        return ""

    def difference(self, before: Mapping[str, Mapping[str, Any]]) -> str:
        """What of ``before`` is no longer so, in a few words for a person."""
        said = []
        for kind, now in self.parts.items():
            then = before.get(kind, {})
            changed = [name for name in now if now[name] != then.get(name)]
            changed = changed or [name for name in then if name not in now]
            if changed:
                more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
                said.append(_said(kind, changed[:3], now, then) + more)
        return "; ".join(said) or "nothing that is known of"


def keys(plan: Sequence[Job], remembered: Path) -> dict[str, Key]:
    """The key of each job of ``plan``; what the package imports is remembered below ``remembered``.

    Raises:
        UserError: a declared input does not exist.
    """
    reader = ImportReader(remembered / "imports.json")
    common = {
        "lock": _digests([PROJECT_ROOT / "uv.lock"], reader.digest),
        "python": {"python": platform.python_version()},
    }
    conf = [path for path in sorted(CONF.rglob("*.yaml")) if path.parent.name != "jobs"]
    found: dict[str, Key] = {}
    for job in plan:
        code = reader.of_cells(
            "".join(cell["source"]) for cell in job.document["cells"] if cell["cell_type"] == "code"
        )
        parts: dict[str, dict[str, Any]] = {
            "notebook": {shown(job.notebook): hashlib.sha256(job.content).hexdigest()},
            "parameters": {name: _plain(value) for name, value in job.parameters.items()},
            "code": _digests(sorted(code.files), reader.digest),
            "conf": _digests(conf, reader.digest) if CONFIGURATION in code.files else {},
            "inputs": {name: _input(job, name, reader.digest) for name in job.inputs},
            "outputs": dict.fromkeys(job.outputs, True),
            "needs": {need: found[need].hash for need in job.needs},
            "engine": {"engine": job.engine},
            **common,
        }
        used = [*code.files, *conf, *(file for name in job.inputs for file in files_of(name))]
        states = tuple((path, _state(path)) for path in used)
        found[job.name] = Key(job.name, parts, code.libraries, states)
    reader.save()
    return found


def files_of(text: str) -> list[Path]:
    """The files that a declared input names: itself, or all in a folder, in their order."""
    path = _place(text)
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def _place(text: str) -> Path:
    """A path as seen from the working directory, or else from the project."""
    path = Path(text)
    return path if path.exists() else PROJECT_ROOT / path


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _input(job: Job, text: str, digest: Callable[[Path], str]) -> str:
    if text.startswith(DATABASE):
        return f"as of {datetime.datetime.now(datetime.UTC).isoformat()}"
    if not _place(text).exists():
        raise UserError(
            f"job '{job.name}': there is no input {text}, seen from {Path.cwd()}. "
            f"Mend jobs.graph.{job.name}.inputs, or what it is taken from."
        )
    files = {str(path): digest(path) for path in files_of(text)}
    return digest(_place(text)) if _place(text).is_file() else _hash(files)


def _digests(files: Sequence[Path], digest: Callable[[Path], str]) -> dict[str, str]:
    return {shown(path): digest(path) for path in files if path.is_file()}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A parameter as JSON that differs whenever the value does; a secret by its name alone."""
    return {"from": f"{value.job}.{value.value}"} if isinstance(value, Reference) else plain(value)


def _said(kind: str, names: Sequence[str], now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    if kind == "parameters":
        return ", ".join(_changed(name, then.get(name), now.get(name)) for name in names)
    if kind == "needs":
        return f"{', '.join(names)} changed before it"
    if kind == "engine":
        return f"engine: {then.get('engine')} -> {now['engine']}"
    if kind == "python":
        return f"Python {then.get('python')} -> {now['python']}"
    if names[0] not in now:
        return f"{', '.join(names)} no longer used"
    return f"{', '.join(names)} {'declared' if kind == 'outputs' else 'changed'}"


def _changed(name: str, then: Any, now: Any) -> str:
    if isinstance(then, list) and isinstance(now, list):
        gone = [f"-{item}" for item in then if item not in now]
        new = [f"+{item}" for item in now if item not in then]
        return f"{name}: {' '.join([*gone, *new]) or 'in another order'}"
    return f"{name}: {'unset' if then is None else then} -> {'unset' if now is None else now}"
