"""Compositions of ``conf/`` by Hydra: with any options, and from which line a value comes."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .documents import Document
from .targets import Keys

CONF = Path("conf")
# A variable without a default.
ENVIRONMENT = re.compile(r"\boc\.env:\s*(\w+)\s*\}")


class Choice(NamedTuple):
    """An option; ``key`` is its group as an override writes it, with + or @package where needed."""

    key: str
    path: Path

    def __str__(self) -> str:
        name = self.path.stem.replace("'", "\\'")
        return f"{self.key}='{name}'"


Choices = tuple[Choice, ...]


@dataclass(frozen=True)
class Composition:
    """An entry config with options: all values, and the option, or options, of each group."""

    entry: Path
    chosen: Choices
    config: dict[Any, Any]
    groups: dict[str, Any]

    @property
    def files(self) -> Iterator[Path]:
        """The files of all options."""
        for group in self.groups:
            yield from self.of_group(group)

    def of_group(self, group: str) -> list[Path]:
        found = self.groups.get(group)
        folder = CONF / group.split("@")[0]
        names = found if isinstance(found, list) else [found] if found else []
        return [folder / f"{str(name).removesuffix('.yaml')}.yaml" for name in names]

    def place(
        self, keys: Keys, documents: Mapping[Path, Document]
    ) -> tuple[Path | None, int | None]:
        """The file that sets a key last, and its line; or else the one where it would belong."""
        from hydra.core.global_hydra import GlobalHydra
        from hydra.types import RunMode

        best: tuple[int, Path | None, int | None] = (1, None, None)
        composed = (
            GlobalHydra.instance()
            .config_loader()
            .compute_defaults_list(self.entry.stem, list(map(str, self.chosen)), RunMode.RUN)
        )
        for part in composed.defaults:
            path = CONF / f"{part.config_path}.yaml"
            package = tuple(filter(None, (part.package or "").split(".")))
            if path in documents and keys[: len(package)] == package:
                depth, line = documents[path].find(*keys[len(package) :])
                if len(package) + depth >= best[0]:
                    best = (len(package) + depth, path, line)
        return best[1:]


def compose(entry: Path, chosen: Choices) -> Composition:
    """Compose as a command line would; raises what Hydra raises."""
    from hydra import compose
    from omegaconf import OmegaConf

    composed = compose(entry.stem, list(map(str, chosen)), return_hydra_config=True)
    OmegaConf.set_struct(composed, False)
    groups = OmegaConf.to_container(composed.pop("hydra").runtime.choices)
    config = OmegaConf.to_container(composed)
    assert isinstance(groups, dict)
    assert isinstance(config, dict)
    own = {str(key): name for key, name in groups.items() if not str(key).startswith("hydra/")}
    return Composition(entry, chosen, config, own)


@contextmanager
def composable(root: Path, documents: Mapping[Path, Document]) -> Iterator[None]:
    """Make Hydra ready for ``compose``.

    Variables of the environment that are not set have some value meanwhile: whoever checks the
    configuration need not know its secrets.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    names = {name for each in documents.values() for name in ENVIRONMENT.findall(each.text)}
    absent = names - set(os.environ)
    GlobalHydra.instance().clear()
    os.environ.update(dict.fromkeys(absent, "1"))
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            initialize_config_dir(str((root / CONF).resolve()), version_base="1.3"),
        ):
            yield
    finally:
        for name in absent:
            del os.environ[name]
