"""``dvc.yaml``, written from ``conf/steps.yaml``, the configuration and the imports of each step.

A step is run again when one of these has changed: what it needs; the files of ``conf/`` that hold
its part of the configuration, key by key, and which of them are chosen; the modules that it
imports; ``uv.lock``; ``params.yaml``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from ..config import CONF, PROJECT_ROOT
from ..errors import UserError
from ..jobs.imports import PACKAGE, ROOT, ImportReader
from ..runs.files import write_atomic
from . import declared, places
from .declared import Step

FILE = PROJECT_ROOT / "dvc.yaml"
DATABASE = "postgresql:"  # how an input begins that is no file: it may always have changed
HEAD = "# Written from conf/steps.yaml by `make steps`: edit that. See docs/versioning.md\n"


def write() -> bool:
    """Write ``dvc.yaml``; False when it is as it should be.

    Raises:
        UserError: as for :func:`text`.
    """
    wanted = text()
    if FILE.is_file() and FILE.read_text(encoding="utf-8") == wanted:
        return False
    write_atomic(FILE, wanted)
    return True


def text() -> str:
    """What ``dvc.yaml`` has to hold.

    Raises:
        UserError: ``conf/steps.yaml`` declares what there is not, or the configuration does not
            compose.
    """
    composed = _Composed(declared.overrides())
    steps = declared.steps(composed.config)
    reader = ImportReader(FILE.with_name(".none"))  # nothing is remembered
    stages = {name: _stage(name, steps, composed, reader) for name in steps}
    dumped = yaml.safe_dump({"stages": stages}, sort_keys=False, allow_unicode=True, width=1000)
    return HEAD + dumped.replace(": null\n", ":\n")


def _stage(
    name: str, steps: dict[str, Step], composed: _Composed, reader: ImportReader
) -> dict[str, Any]:
    step = steps[name]
    if not (ROOT / "steps" / f"{name}.py").is_file():
        module = f"src/{PACKAGE}/steps/{name}.py"
        raise UserError(f"conf/steps.yaml: step '{name}' has no module {module}.")
    code = reader.of_cells([f"import {PACKAGE}.steps.{name}"]).files
    inputs = [each for each in step.inputs if each and not each.startswith(DATABASE)]
    needed = [_place(need, out) for need in step.needs for out in steps[need].outputs]
    params = [{file: keys} for file, keys in composed.sources(step.config).items()]
    stage = {
        # The code of this folder, also where an experiment has a copy of the project of its own.
        "cmd": f"env PYTHONPATH=src python -m {PACKAGE}.steps {name}",
        "deps": [*needed, *inputs, *_folded(code), "uv.lock"],
        "params": [*(["overrides"] if declared.PARAMS.is_file() else []), *params],
        "outs": [_place(name, out) for out in (*step.outputs, *step.records)],
        "metrics": [_place(name, out) for out in step.metrics],
        "plots": [_place(name, out) for out in step.plots],
        "always_changed": len(inputs) < len([each for each in step.inputs if each]),
    }
    return {key: value for key, value in stage.items() if value}


def _place(step: str, output: str) -> str:
    return (places.folder(step) / output).relative_to(PROJECT_ROOT).as_posix()


def _folded(files: Collection[Path]) -> list[str]:
    """Files as paths from the project; a folder stands for its modules where all are among them."""
    found: list[Path] = []
    todo = [ROOT]
    while todo:
        folder = todo.pop()
        if set(folder.rglob("*.py")) <= set(files):
            found.append(folder)
        else:
            found += [file for file in folder.glob("*.py") if file in files]
            todo += [below for below in folder.iterdir() if any(below in f.parents for f in files)]
    return sorted(path.relative_to(PROJECT_ROOT).as_posix() for path in found)


class _Composed:
    """The configuration as Hydra composes it, and which files it comes from.

    Raises:
        UserError: it does not compose.
    """

    def __init__(self, overrides: list[str]) -> None:
        from hydra import compose, initialize_config_dir
        from hydra.core.global_hydra import GlobalHydra
        from hydra.types import RunMode

        from ..config.load import load_config

        load_config(overrides)  # says in words what is wrong
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            self.config: DictConfig = compose("config", overrides=overrides)
            loader = GlobalHydra.instance().config_loader()
            defaults = loader.compute_defaults_list("config", overrides, RunMode.RUN).defaults
        OmegaConf.set_struct(self.config, False)
        # Path and package of each file that is composed, and what it holds.
        self._files = [
            (CONF / f"{each.config_path}.yaml", each.package or "")
            for each in defaults
            if not str(each.config_path).startswith("hydra/")
        ]
        self._chosen: list[Any] = _read(CONF / "config.yaml").get("defaults", [])

    def sources(self, keys: Iterable[str]) -> dict[str, list[str] | None]:
        """The files that set these keys of the configuration, and where in them; None: all."""
        found: dict[str, list[str] | None] = {}
        for path, package in self._files:
            name = path.relative_to(PROJECT_ROOT).as_posix()
            inside = [each for key in keys for each in _inside(key, package, _read(path))]
            if "" in inside:
                found[name] = None
            elif inside:
                found[name] = inside
        entry = (CONF / "config.yaml").relative_to(PROJECT_ROOT).as_posix()
        groups = dict.fromkeys(key.partition(".")[0] for key in keys)
        # DVC looks keys up as patterns, so an option is found wherever it stands in the list.
        chosen = [f"defaults.*.{group}" for group in groups if self._is_option(group)]
        if chosen:
            found[entry] = [*chosen, *(found.get(entry) or [])]
        return found

    def _is_option(self, group: str) -> bool:
        listed = [each for each in self._chosen if isinstance(each, dict) and group in each]
        return len(listed) == 1


def _inside(key: str, package: str, values: dict[str, Any]) -> list[str]:
    """Where a file that is composed into ``package`` sets ``key``; "" is all of it."""
    if package == key or package.startswith(f"{key}."):
        return [""]
    if package and not key.startswith(f"{package}."):
        return []
    rest = key.removeprefix(f"{package}.") if package else key
    found: Any = values
    for part in rest.split("."):
        if not (isinstance(found, dict) and part in found):
            return []
        found = found[part]
    return [rest]


def _read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if isinstance(found, dict) else {}
