"""From ``conf/jobs/`` to a plan in which everything that can be known beforehand is checked."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import PROJECT_ROOT, JobConfig, JobsConfig
from ..errors import UserError, nearest
from .parameters import Parameter, check, read_parameters, shown
from .summary import Summary

AUDIENCES = ("technical", "business")


@dataclass(frozen=True)
class Reference:
    """A parameter taken from what another job recorded: ``{from: job.value}`` in the spec."""

    job: str
    value: str


@dataclass(frozen=True)
class Job:
    """One notebook to execute; ``parameters`` are checked values or references."""

    name: str
    notebook: Path
    needs: tuple[str, ...]
    declared: dict[str, Parameter]
    parameters: dict[str, Any]
    timeout: float
    audience: str

    @property
    def where(self) -> str:
        return _where(self.name, self.notebook)

    def resolve(self, summaries: Mapping[str, Summary]) -> dict[str, Any]:
        """The parameters with references replaced by what those jobs recorded.

        Raises:
            UserError: the value was not recorded, or is not of the declared type.
        """
        given = dict(self.parameters)
        for name, reference in given.items():
            if isinstance(reference, Reference):
                values = summaries[reference.job].values
                if reference.value not in values:
                    raise UserError(
                        f"{self.where}: parameter '{name}' wants '{reference.value}' from "
                        f"'{reference.job}', which recorded: {', '.join(values) or 'nothing'}."
                        f"{nearest(reference.value, values)}"
                    )
                given[name] = values[reference.value]
        return check(given, self.declared, self.where)


def make_plan(
    config: JobsConfig, root: Path = PROJECT_ROOT, *, check_pairs: bool = True
) -> list[Job]:
    """The jobs to run, each after what it needs. No kernel is started.

    Args:
        check_pairs: Refuse a notebook that is not in step with its script; the slow part.

    Raises:
        UserError: the first thing that is wrong, with job, notebook and parameter.
    """
    graph = config.graph
    for name, job in graph.items():
        if not name.isidentifier():
            raise UserError(f"jobs.graph: '{name}' cannot be a job's name; use letters, digits, _.")
        _known(job.needs, graph, f"job '{name}': needs")
    _known(config.only, graph, "jobs.only:")
    try:
        needs = {name: job.needs for name, job in graph.items()}
        order = list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise UserError(f"jobs need each other in a circle: {circle}.") from None
    wanted = _with_needs(config.only or list(graph), graph)
    plan = [_job(name, graph, root) for name in order if name in wanted]
    for planned in plan if check_pairs else ():
        _check_pair(planned)
    return plan


def _job(name: str, graph: Mapping[str, JobConfig], root: Path) -> Job:
    config = graph[name]
    notebook = root / f"{config.notebook}.ipynb"
    for path in (notebook, notebook.with_suffix(".py")):
        if not path.is_file():
            raise UserError(
                f"job '{name}': there is no file {shown(path)}. Mend jobs.graph.{name}.notebook, "
                "or make the missing half of a pair with `make sync`."
            )
    if config.audience not in AUDIENCES:
        valid = " or ".join(AUDIENCES)
        raise UserError(f"job '{name}': audience={config.audience}: must be {valid}.")
    if config.timeout <= 0:
        raise UserError(f"job '{name}': timeout={config.timeout}: must be more than 0 seconds.")
    declared = read_parameters(notebook)
    given = config.parameters
    references = {
        parameter: _reference(value["from"], f"{_where(name, notebook)}: parameter '{parameter}'")
        for parameter, value in given.items()
        if isinstance(value, Mapping) and set(value) == {"from"}
    }
    for parameter, reference in references.items():
        if reference.job not in _with_needs(config.needs, graph):
            raise UserError(
                f"{_where(name, notebook)}: parameter '{parameter}' is taken from "
                f"'{reference.job}', which is not among the job's needs. "
                f"Add it: needs: [{', '.join([*config.needs, reference.job])}]."
            )
    # a reference is checked by name now, by type when its value is there
    stand_ins = {p: declared[p].default if p in declared else None for p in references}
    checked = check({**given, **stand_ins}, declared, _where(name, notebook))
    return Job(
        name=name,
        notebook=notebook,
        needs=tuple(config.needs),
        declared=declared,
        parameters={**checked, **references},
        timeout=config.timeout,
        audience=config.audience,
    )


def _reference(text: object, where: str) -> Reference:
    job, dot, value = str(text).partition(".")
    if not (job.isidentifier() and dot and value.isidentifier()):
        raise UserError(f"{where}: 'from' must be job_name.value_name, not {text!r}.")
    return Reference(job, value)


def _with_needs(names: list[str], graph: Mapping[str, JobConfig]) -> set[str]:
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += graph[name].needs if name in graph else []
    return found


def _known(names: list[str], graph: Mapping[str, JobConfig], where: str) -> None:
    for name in names:
        if name not in graph:
            raise UserError(
                f"{where} '{name}': there is no such job. Valid: {', '.join(graph)}."
                f"{nearest(name, graph)}"
            )


def _check_pair(job: Job) -> None:
    import jupytext

    script = job.notebook.with_suffix(".py")
    form = "py:percent"
    left = jupytext.reads(script.read_text(encoding="utf-8"), form)
    right = jupytext.reads(job.notebook.read_text(encoding="utf-8"), "ipynb")
    if _content(left) != _content(jupytext.reads(jupytext.writes(right, form), form)):
        raise UserError(f"{job.where}: the .ipynb and the .py differ. Run `make sync`.")


def _content(notebook: Any) -> list[tuple[str, str, list[str]]]:
    return [(c.cell_type, c.source.strip(), c.metadata.get("tags", [])) for c in notebook.cells]


def _where(name: str, notebook: Path) -> str:
    return f"job '{name}' ({shown(notebook)})"
