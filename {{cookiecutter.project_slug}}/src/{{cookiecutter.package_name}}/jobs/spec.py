"""From ``conf/jobs/`` to a plan in which everything that can be known beforehand is checked."""

from __future__ import annotations

import graphlib
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from ..config import PROJECT_ROOT, JobConfig, JobsConfig
from ..errors import UserError, nearest
from .folder import JobFile
from .parameters import Parameter, check, parameters_of, shown
from .summary import Summary

AUDIENCES = ("technical", "business")


@dataclass(frozen=True)
class Reference:
    """A parameter taken from what another job recorded: ``{from: job.value}`` in the spec."""

    job: str
    value: str


@dataclass(frozen=True)
class Job:
    """One notebook to execute; ``parameters`` are checked values or references.

    ``content`` is the notebook's text when the plan was made: an edit during the run is for the
    next one. ``timeout`` is in seconds, ``memory`` in MiB.
    """

    name: str
    notebook: Path
    content: bytes
    script_sha256: str
    needs: tuple[str, ...]
    declared: dict[str, Parameter]
    parameters: dict[str, Any]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    timeout: float = 600.0
    memory: int | None = None
    retries: int = 0
    engine: str = "kernel"
    audience: str = "technical"
    forced: bool = False

    @property
    def where(self) -> str:
        return _where(self.name, self.notebook)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The notebook as nbformat JSON."""
        document = json.loads(self.content)
        assert isinstance(document, dict)
        return document

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


def make_plan(config: JobsConfig, root: Path = PROJECT_ROOT) -> list[Job]:
    """The jobs that were asked for, each after what it needs. Nothing is started.

    Raises:
        UserError: the first thing that is wrong, with job, notebook and parameter.
    """
    graph = config.graph
    for name, job in graph.items():
        if not name.isidentifier():
            raise UserError(f"jobs.graph: '{name}' cannot be a job's name; use letters, digits, _.")
        _known(job.needs, graph, f"job '{name}': needs")
    _known(config.only, graph, "jobs.only:")
    _known(config.from_, graph, "jobs.from:")
    try:
        needs = {name: job.needs for name, job in graph.items()}
        order = list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise UserError(f"jobs need each other in a circle: {circle}.") from None
    again = {name for name in graph if _with_needs([name], graph) & set(config.from_)}
    wanted = _with_needs([*config.only, *again] or list(graph), graph)
    return [
        _job(name, graph, root, config.engine, config.force or name in again)
        for name in order
        if name in wanted
    ]


def check_pairs(jobs: Iterable[Job]) -> None:
    """See that each notebook says the same as its script.

    Raises:
        UserError: the first that does not.
    """
    for job in jobs:
        script = job.notebook.with_suffix(".py").read_text(encoding="utf-8")
        if not (_plainly_equal(script, job.document) or _equal(script, job.content.decode())):
            raise UserError(f"{job.where}: the .ipynb and the .py differ. Run `make sync`.")


def _job(name: str, graph: Mapping[str, JobConfig], root: Path, engine: str, forced: bool) -> Job:
    config = graph[name]
    notebook = root / f"{config.notebook}.ipynb"
    script = notebook.with_suffix(".py")
    for path in (notebook, script):
        if not path.is_file():
            raise UserError(
                f"job '{name}': there is no file {shown(path)}. Mend jobs.graph.{name}.notebook, "
                "or make the missing half of a pair with `make sync`."
            )
    _check_settings(name, config)
    content = notebook.read_bytes()
    try:
        declared = parameters_of(json.loads(content), shown(notebook))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown(notebook)}: cannot be read as a notebook ({error}).") from error
    return Job(
        name=name,
        notebook=notebook,
        content=content,
        script_sha256=hashlib.sha256(script.read_bytes()).hexdigest(),
        needs=tuple(config.needs),
        declared=declared,
        parameters=_parameters(name, notebook, declared, graph),
        inputs=tuple(text for text in config.inputs if text is not None),
        outputs=tuple(config.outputs),
        timeout=config.timeout,
        memory=config.memory,
        retries=config.retries,
        engine=engine,
        audience=config.audience,
        forced=forced,
    )


def _check_settings(name: str, config: JobConfig) -> None:
    where = f"job '{name}'"
    if config.audience not in AUDIENCES:
        valid = " or ".join(AUDIENCES)
        raise UserError(f"{where}: audience={config.audience}: must be {valid}.")
    if not config.timeout > 0:
        raise UserError(f"{where}: timeout={config.timeout:g}: must be more than 0 seconds.")
    if config.memory is not None and config.memory <= 0:
        raise UserError(f"{where}: memory={config.memory}: must be more than 0 MiB, or null.")
    if config.retries < 0:
        raise UserError(f"{where}: retries={config.retries}: must be 0 or more.")
    for output in config.outputs:
        path = PurePosixPath(output)
        if not output or path.is_absolute() or ".." in path.parts or path.as_posix() != output:
            raise UserError(
                f"{where}: output '{output}' must be a file name, perhaps in a folder, such as "
                "'table.csv' or 'tables/top.csv'; the notebook writes it to output('table.csv')."
            )


def _parameters(
    name: str, notebook: Path, declared: Mapping[str, Parameter], graph: Mapping[str, JobConfig]
) -> dict[str, Any]:
    """The values of the spec, checked; what another job will record stands as a reference."""
    where = _where(name, notebook)
    given = graph[name].parameters
    taken: dict[str, Reference | JobFile] = {}
    for parameter, value in given.items():
        if isinstance(value, Mapping) and "from" in value and set(value) <= {"from", "file"}:
            taken[parameter] = _taken(value, name, f"{where}: parameter '{parameter}'", graph)
    fixed = {p: value for p, value in given.items() if p not in taken}
    # what another job records is checked by name now, by type when it is there
    return {**check(fixed, declared, where, later=taken), **taken}


def _taken(
    value: Mapping[str, Any], name: str, where: str, graph: Mapping[str, JobConfig]
) -> Reference | JobFile:
    """What ``{from: job.value}`` or ``{from: job, file: name}`` refers to."""
    taken: Reference | JobFile
    if "file" in value:
        taken = JobFile(str(value["from"]), str(value["file"]))
    else:
        taken = _reference(value["from"], where)
    needs = graph[name].needs
    if taken.job not in _with_needs(needs, graph):
        raise UserError(
            f"{where} is taken from '{taken.job}', which is not among the job's needs. "
            f"Add it: needs: [{', '.join([*needs, taken.job])}]."
        )
    if isinstance(taken, JobFile) and taken.name not in graph[taken.job].outputs:
        valid = ", ".join(graph[taken.job].outputs) or "none"
        raise UserError(
            f"{where}: job '{taken.job}' declares no output '{taken.name}'. Valid: {valid}."
            f"{nearest(taken.name, graph[taken.job].outputs)}"
        )
    return taken


def _reference(text: object, where: str) -> Reference:
    job, dot, value = str(text).partition(".")
    if not (job.isidentifier() and dot and value.isidentifier()):
        raise UserError(f"{where}: 'from' must be job_name.value_name, not {text!r}.")
    return Reference(job, value)


def _with_needs(names: Collection[str], graph: Mapping[str, JobConfig]) -> set[str]:
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


def _plainly_equal(script: str, document: Mapping[str, Any]) -> bool:
    """Whether a percent script without anything special in it says what ``document`` says.

    jupytext, which knows all that can be special, is slow to import; it is asked when this is not
    sure.
    """
    _, *cells = re.split(r"^# %%(.*)\n?", script, flags=re.MULTILINE)
    found = []
    for head, body in zip(cells[::2], cells[1::2], strict=True):
        kind = "markdown" if head.strip().startswith("[markdown]") else "code"
        if kind == "markdown":
            lines = body.strip("\n").splitlines()
            body = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)
        tags = re.search(r"\btags=(\[[^]]*\])", head)
        found.append((kind, json.loads(tags[1]) if tags else [], body.strip()))
    return found == [
        (cell["cell_type"], cell["metadata"].get("tags", []), _source(cell))
        for cell in document["cells"]
    ]


def _source(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"]).strip()


def _equal(script: str, notebook: str) -> bool:
    import jupytext

    form = "py:percent"
    left = jupytext.reads(script, form)
    right = jupytext.reads(notebook, "ipynb")
    return _content(left) == _content(jupytext.reads(jupytext.writes(right, form), form))


def _content(notebook: Any) -> list[tuple[str, str, list[str]]]:
    return [(c.cell_type, c.source.strip(), c.metadata.get("tags", [])) for c in notebook.cells]


def _where(name: str, notebook: Path) -> str:
    return f"job '{name}' ({shown(notebook)})"
