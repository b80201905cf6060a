"""Run folders, their manifests and the files in them."""

from .files import atomic_path, runs_folder, sha256, write_atomic
from .locks import Busy, claim
from .manifest import ManifestError, read_manifest, to_json
from .run import Run, find_run, is_open, list_runs, open_run, settle

__all__ = [
    "Busy",
    "ManifestError",
    "Run",
    "atomic_path",
    "claim",
    "find_run",
    "is_open",
    "list_runs",
    "open_run",
    "read_manifest",
    "runs_folder",
    "settle",
    "sha256",
    "to_json",
    "write_atomic",
]
