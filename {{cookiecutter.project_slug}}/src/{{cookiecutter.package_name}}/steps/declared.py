"""What ``conf/steps.yaml`` declares, and the overrides that all steps share."""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..config import CONF, PROJECT_ROOT
from ..errors import UserError, nearest

FILE = CONF / "steps.yaml"
PARAMS = PROJECT_ROOT / "params.yaml"


@dataclass
class Step:
    """A step of the path.

    Attributes:
        needs: steps whose outputs it reads.
        config: what its result depends on, as keys of the configuration.
        inputs: files that people made; ``null`` is none.
        outputs: what it leaves in its place, for other steps and for people.
        metrics: of the outputs, JSON of numbers; no step reads them.
        plots: pictures, or folders of them; no step reads them.
        records: what tells of the run and may differ from one to the next; no step reads them.
    """

    needs: list[str] = field(default_factory=list)
    config: list[str] = field(default_factory=list)
    inputs: list[str | None] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    plots: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)


def steps(config: DictConfig | None = None) -> dict[str, Step]:
    """The steps in their order; with ``config``, what they take from it is filled in.

    Raises:
        UserError: the file is no declaration of steps.
    """
    where = FILE.relative_to(PROJECT_ROOT)
    try:
        written = OmegaConf.load(FILE)
        names = [str(name) for name in written]
        merged = OmegaConf.merge(config or {}, {"steps": written})
        plain = OmegaConf.to_container(merged.steps, resolve=config is not None)
        assert isinstance(plain, dict)
        found = {name: _typed(plain[name]) for name in names}
    except (OSError, OmegaConfBaseException, yaml.YAMLError) as error:
        raise UserError(f"{where}: {' '.join(str(error).split())}") from error
    for name, step in found.items():
        for need in step.needs:
            if need not in found:
                what = f"step '{name}' needs '{need}', which is no step."
                raise UserError(f"{where}: {what}{nearest(need, found)}")
    try:
        TopologicalSorter({name: step.needs for name, step in found.items()}).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise UserError(f"{where}: steps need each other in a cycle: {circle}.") from error
    return found


def _typed(values: Any) -> Step:
    step = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Step), values))
    assert isinstance(step, Step)
    return step


def overrides(path: Path = PARAMS) -> list[str]:
    """What ``params.yaml`` changes of the configuration, for all steps.

    Raises:
        UserError: it is no list of overrides.
    """
    if not path.is_file():
        return []
    read: Any = OmegaConf.to_container(OmegaConf.load(path)) or {}
    found = (read.get("overrides") or []) if isinstance(read, dict) else None
    if not (isinstance(found, list) and all(isinstance(each, str) for each in found)):
        raise UserError(f"{path.name}: overrides must be a list, such as [model=linear, seed=7].")
    return found
