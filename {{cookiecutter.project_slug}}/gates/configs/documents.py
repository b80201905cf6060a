"""YAML files: their values, and the line in which each key stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Broken(Exception):
    """The file is not YAML; ``line`` is where reading stopped, where that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class Document:
    """A YAML file.

    Raises:
        Broken: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        import yaml

        try:
            self.text = path.read_text(encoding="utf-8")
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.text)
            self._root = loader.get_single_node()
            self.values: Any = loader.construct_document(self._root) if self._root else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            raise Broken(str(error.problem), mark.line + 1 if mark else None) from error
        except (yaml.YAMLError, OSError, ValueError, TypeError, RecursionError) as error:
            raise Broken(str(error).split("\n")[0]) from error

    @property
    def defaults(self) -> list[Any]:
        """Hydra's list of what else is composed."""
        found = self.values.get("defaults") if isinstance(self.values, dict) else None
        return found if isinstance(found, list) else []

    def find(self, *keys: str | int) -> tuple[int, int | None]:
        """How many of ``keys`` lead into the file, and the line of the last that does."""
        node, line = self._root, None
        for depth, key in enumerate(keys):
            step = _step(node, key)
            if step is None:
                return depth, line
            node, line = step
        return len(keys), line

    def line(self, *keys: str | int) -> int | None:
        return self.find(*keys)[1]


def _step(node: Any, key: str | int) -> tuple[Any, int] | None:
    """What stands under a key or an index of a node, and its line."""
    if node is None or node.id == "scalar":
        return None
    if node.id == "mapping":
        return next(
            (
                (value, name.start_mark.line + 1)
                for name, value in node.value
                if name.value == str(key)
            ),
            None,
        )
    found = node.value[int(key) : int(key) + 1] if str(key).isdigit() else []
    return (found[0], found[0].start_mark.line + 1) if found else None


def values_of(item: object, *keys: str) -> Any:
    """What stands under nested keys; None where there is no such thing."""
    for key in keys:
        item = item.get(key) if isinstance(item, dict) else None
    return item
