"""Manifests: written whole under a seal, read with a check of both.

``manifest.schema.json`` says what a manifest of the present version holds.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..errors import UserError
from .files import write_atomic

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
SCHEMA = Path(__file__).with_name("manifest.schema.json")

RUNNING, SUCCEEDED, FAILED, INTERRUPTED, KILLED = (
    "running",
    "succeeded",
    "failed",
    "interrupted",
    "killed",
)
# What a run of each version has at the top; an older one is read, but has no seal.
KEYS: dict[int, frozenset[str]] = {
    1: frozenset(
        [
            "schema_version",
            "id",
            "kind",
            "started",
            "ended",
            "status",
            "cause",
            "command",
            "git",
            "environment",
            "seeds",
            "config",
            "inputs",
            "outputs",
            "metrics",
        ]
    ),
}
KEYS[2] = KEYS[1] | {"parent", "records", "intervals", "model", "seal"}


class ManifestError(UserError):
    """A manifest that cannot be trusted; ``fault`` is missing, torn, edited or newer."""

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    """Write ``values`` and their seal as the manifest of the run in ``folder``.

    Raises:
        ValueError: a value is no JSON, such as NaN.
        UserError: the folder cannot be written.
    """
    values = {key: value for key, value in values.items() if key != "seal"}
    write_atomic(folder / MANIFEST, to_json({**values, "seal": seal(values)}))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the run in ``folder``, of this version or an older one.

    Raises:
        ManifestError: it is missing, torn (not whole), edited (its seal is broken), or newer than
            this code.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        message = f"{path}: there is no manifest to read ({error.strerror})."
        raise ManifestError(message, "missing") from error
    except ValueError as error:
        message = f"{path}: the manifest is torn: not whole JSON ({error})."
        raise ManifestError(message, "torn") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        message = (
            f"{path}: written by a newer version of this project (schema {version}, known here: "
            f"up to {SCHEMA_VERSION}). Read it with the code that wrote it."
        )
        raise ManifestError(message, "newer")
    if version not in KEYS:
        raise ManifestError(f"{path}: the manifest is torn: it names no version.", "torn")
    assert isinstance(manifest, dict)
    if missing := sorted(KEYS[version] - set(manifest)):
        message = f"{path}: the manifest is torn: it lacks {', '.join(missing)}."
        raise ManifestError(message, "torn")
    if version > 1 and manifest["seal"] != seal(manifest):
        message = f"{path}: the manifest was edited after the run: its seal does not fit."
        raise ManifestError(message, "edited")
    return manifest


def seal(values: dict[str, Any]) -> str:
    """The SHA-256 over the canonical JSON of all of a manifest but its seal."""
    # By way of JSON, so that what is sealed is what will be read, such as lists for tuples.
    plain = json.loads(to_json({key: value for key, value in values.items() if key != "seal"}))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(value: Any) -> str:
    """JSON in the order given and without NaN, so that equal values give equal bytes."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
