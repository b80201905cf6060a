"""Tables that are files, each a part: one file, or all the files of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .base import Part, file_name


class Files:
    """Files by the names of their parts; ``folder`` is that of which they are all the files, if it
    is one."""

    def __init__(self, label: str, paths: Sequence[Path], folder: Path | None) -> None:
        self.label, self._folder = label, folder
        self._paths = {_part_name(path, folder): path for path in paths}

    def inputs(self) -> dict[Path, int | None]:
        return dict.fromkeys(self._paths.values())

    def path(self, part: Part) -> Path:
        return self._paths[part.name]

    def label_of(self, part: Part) -> str:
        return str(self._paths[part.name])


def _part_name(path: Path, folder: Path | None) -> str:
    if folder:
        return file_name(path.relative_to(folder).as_posix())
    return file_name(path.name.removesuffix(".gz").rsplit(".", 1)[0])
