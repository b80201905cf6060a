"""What a manifest says, in the words of MLflow: parameters, metrics and tags."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..runs import facts
from ..runs.manifest import FAILED, SUCCEEDED

NAME = 250  # characters MLflow takes for a name, a parameter and a tag
PARAMETER = 6000
TAG = 5000
RUN = "run.id"  # the tag by which a run is found again
WHOLE = "run.whole"  # the seal of the manifest, once all of the run has arrived
# Of the configuration: how a run is done, and not what comes of it.
_HOW = ("overrides", "jobs.", "tracking.", "dry_run")


def parameters(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The configuration by dotted key, as text."""
    how = _HOW if manifest["kind"] == "tune" else (*_HOW, "tuning.")
    flat = facts.flat(manifest["config"])
    kept = {key: _text(value) for key, value in flat.items() if not key.startswith(how)}
    names = valid_names(kept)
    return {names[key]: cut(value, PARAMETER) for key, value in kept.items()}


def metrics(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Metrics that are defined, and their intervals as ``<name>.low`` and ``<name>.high``."""
    found: dict[str, float] = {}
    for name, value in manifest["metrics"].items():
        if isinstance(value, (int, float)):
            found[name] = float(value)
    for name, bounds in (manifest.get("intervals") or {}).items():
        for end, value in zip(("low", "high"), bounds, strict=True):
            if isinstance(value, (int, float)):
                found[f"{name}.{end}"] = float(value)
    names = valid_names(found)
    return {names[name]: value for name, value in found.items()}


def tags(manifest: Mapping[str, Any], parent: str | None = None) -> dict[str, str]:
    """What else tells runs apart. Names no machine and no person."""
    git = manifest["git"]
    found = {
        RUN: manifest["id"],
        "run.kind": manifest["kind"],
        "run.status": manifest["status"],
        "run.cause": manifest["cause"],
        "run.parent": parent or manifest.get("parent"),
        "run.overrides": " ".join(manifest["config"].get("overrides") or []),
        "model.fingerprint": manifest.get("model"),
        "git.commit": git["commit"],
        "git.dirty": git["dirty"],
        "lock.sha256": manifest["environment"]["lock_sha256"],
        "mlflow.runName": manifest["id"],
        "mlflow.source.name": " ".join(manifest["command"]),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git["commit"],
    }
    return {key: cut(_text(value), TAG) for key, value in found.items() if value not in (None, "")}


def status(manifest: Mapping[str, Any]) -> str:
    """The status in MLflow's words."""
    return {SUCCEEDED: "FINISHED", FAILED: "FAILED"}.get(manifest["status"], "KILLED")


def milliseconds(text: str) -> int:
    """A time of a manifest, since 1970."""
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def cut(value: str, length: int) -> str:
    """``value``, and where it is too long its beginning and a word about that.

    >>> cut("a" * 100, 50)
    'aaaaaaaaaaaaaaaaaaaaaaa… (cut: 100 characters)'
    """
    if len(value) <= length:
        return value
    note = f"… (cut: {len(value)} characters)"
    return value[: length - len(note) - 2] + note


def valid_names(names: Iterable[str]) -> dict[str, str]:
    """Names that MLflow takes, by the ones given; different ones stay different.

    It takes letters, digits, ``_``, ``-``, ``.`` and blanks, and no more than 250 of them.
    """
    found: dict[str, str] = {}
    for name in names:
        valid = re.sub(r"[^A-Za-z0-9_\-. ]", "_", name).strip() or "_"
        valid = "_" if set(valid) == {"."} else valid
        if len(valid) > NAME or valid in found.values():
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            valid = f"{valid[: NAME - 9]}_{digest}"
        found[name] = valid
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "null" if value is None else str(value)
