"""Run folders, their manifests and the files in them."""

from .files import atomic_path, sha256, write_atomic
from .run import Run, find_run, open_run, read_manifest, to_json

__all__ = [
    "Run",
    "atomic_path",
    "find_run",
    "open_run",
    "read_manifest",
    "sha256",
    "to_json",
    "write_atomic",
]
