"""CF503, CF509: the jobs of conf/jobs/ fit the notebooks and each other.

Nothing of the package is imported, so that this can run at every commit of a notebook.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from ..core.files import Notebook, Unreadable
from ..core.gate import Context, Gate
from ..core.rules import Finding, Rule
from ..core.spelling import near
from .documents import Broken, Document, values_of

CF503 = Rule(
    "CF503",
    "a job names a notebook, parameter or job that does not exist",
    "the run stops at it, perhaps after hours of other jobs, or leaves a value at its default",
    "Mend the name in conf/jobs/, or the parameters cell of the notebook",
    bad="""\
# the parameters cell of notebooks/04_evaluate_model says: run: str = "latest"
graph:
  evaluate_model:
    notebook: notebooks/04_evaluate_model
    parameters: {runs: newest}""",
    good="""\
# the parameters cell of notebooks/04_evaluate_model says: run: str = "latest"
graph:
  evaluate_model:
    notebook: notebooks/04_evaluate_model
    parameters: {run: newest}""",
)
CF509 = Rule(
    "CF509",
    "jobs need each other in a cycle",
    "each would wait for the other, so none of them can start",
    "Remove the need that is not real; what both need belongs into a job of its own",
    bad="""\
graph:
  build_features: {notebook: notebooks/02_build_features, needs: [train_model]}
  train_model: {notebook: notebooks/03_train_model, needs: [build_features]}""",
    good="""\
graph:
  build_features: {notebook: notebooks/02_build_features, needs: []}
  train_model: {notebook: notebooks/03_train_model, needs: [build_features]}""",
)
RULES = (CF503, CF509)

FOLDER = Path("conf/jobs")


def check(context: Context) -> Iterator[Finding]:
    if not context.settings.package:
        return
    for path in sorted((context.root / FOLDER).glob("*.yaml")):
        try:
            document = Document(path)
        except Broken:
            continue  # the gate of the configuration says so
        yield from Jobs(context.root, FOLDER / path.name, document).check()


@dataclass(frozen=True)
class Jobs:
    """The jobs of one file, as far as they are written in it."""

    root: Path
    path: Path
    document: Document

    @cached_property
    def graph(self) -> dict[str, dict[str, Any]]:
        jobs = _mapping(values_of(self.document.values, "graph"))
        return {str(name): job for name, job in jobs.items() if isinstance(job, dict)}

    @cached_property
    def needs(self) -> dict[str, list[str]]:
        return {name: _names(job.get("needs")) for name, job in self.graph.items()}

    @cached_property
    def notebooks(self) -> dict[str, Notebook]:
        """The notebook of each job that has one which can be read."""
        found = {}
        for name, job in self.graph.items():
            with suppress(Unreadable, OSError):  # of a broken notebook its own gate speaks
                found[name] = Notebook(self.root / f"{job.get('notebook')}.ipynb")
        return found

    def check(self) -> Iterator[Finding]:
        yield from self._absent()
        yield from self._parameters()
        if all(item == "_self_" for item in self.document.defaults):  # no other file adds jobs
            yield from self._needs()
            yield from self._cycles()
            yield from self._references()

    def _finding(self, what: str, *keys: str | int, rule: Rule = CF503) -> Finding:
        return Finding(rule, self.path, what, line=self.document.line(*keys))

    def _given(self, name: str) -> dict[str, Any]:
        return {
            str(parameter): value
            for parameter, value in _mapping(self.graph[name].get("parameters")).items()
        }

    def _absent(self) -> Iterator[Finding]:
        for name, job in self.graph.items():
            for notebook in _names([job.get("notebook")]):
                path = self.root / f"{notebook}.ipynb"
                if path.is_file() or path.with_suffix(".py").is_file():
                    continue  # without its partner it is a matter of pairs
                folders = {path.parent, self.root / "notebooks"}
                there = sorted(file for folder in folders for file in folder.glob("*.ipynb"))
                known = [file.relative_to(self.root).with_suffix("").as_posix() for file in there]
                what = f"job '{name}': there is no notebook '{notebook}'{near(notebook, known)}"
                yield self._finding(what, "graph", name, "notebook")

    def _parameters(self) -> Iterator[Finding]:
        for name, notebook in self.notebooks.items():
            declared = _declared(notebook)
            for parameter in self._given(name):
                if declared is not None and parameter not in declared:
                    what = f"'{self.graph[name]['notebook']}' has no parameter '{parameter}'"
                    what = f"job '{name}': {what}{near(parameter, declared)}"
                    yield self._finding(what, "graph", name, "parameters", parameter)

    def _needs(self) -> Iterator[Finding]:
        known = list(self.graph)
        for name, needs in self.needs.items():
            for index, need in enumerate(needs):
                if need not in self.graph:
                    what = f"job '{name}' needs '{need}', which is no job{near(need, known)}"
                    yield self._finding(what, "graph", name, "needs", index)
        for index, name in enumerate(_names(values_of(self.document.values, "only"))):
            if name not in self.graph:
                what = f"'only' names '{name}', which is no job{near(name, known)}"
                yield self._finding(what, "only", index)

    def _cycles(self) -> Iterator[Finding]:
        needs = {name: [*dict.fromkeys(names)] for name, names in self.needs.items()}
        while True:
            try:
                TopologicalSorter(needs).prepare()
                return
            except CycleError as error:
                cycle = error.args[1][:0:-1]  # each needs the next, the last the first
            first = min(range(len(cycle)), key=lambda index: [*needs].index(cycle[index]))
            name, *others = cycle[first:] + cycle[:first]
            need = others[0] if others else name
            circle = " -> ".join([name, *others, name])
            what = f"jobs need each other in a cycle: {circle}"
            index = self.needs[name].index(need)
            yield self._finding(what, "graph", name, "needs", index, rule=CF509)
            needs[name].remove(need)  # and look for another one

    def _references(self) -> Iterator[Finding]:
        for name in self.graph:
            for parameter, value in self._given(name).items():
                if not (isinstance(value, dict) and set(value) == {"from"}):
                    continue
                if what := self._of_reference(name, str(value["from"])):
                    what = f"job '{name}': parameter '{parameter}' {what}"
                    yield self._finding(what, "graph", name, "parameters", parameter)

    def _of_reference(self, name: str, text: str) -> str:
        """What is wrong with ``{from: job.value}``; nothing where it is right."""
        job, _, value = text.partition(".")
        if "${" in text:
            return ""
        if not (job and value.isidentifier()):
            return f"is taken from '{text}'; write job_name.value_name"
        if job not in self.graph:
            return f"is taken from '{job}', which is no job{near(job, list(self.graph))}"
        if job not in self._before(name):
            return f"is taken from '{job}', which is not among the job's needs; add it to them"
        recorded = _recorded(self.notebooks[job]) if job in self.notebooks else None
        if recorded and value not in recorded:
            return (
                f"is taken from '{text}', but '{job}' records no '{value}'{near(value, recorded)}"
            )
        return ""

    def _before(self, name: str) -> set[str]:
        """All jobs that come before one."""
        found: set[str] = set()
        todo = list(self.needs[name])
        while todo:
            need = todo.pop()
            if need not in found:
                found.add(need)
                todo += self.needs.get(need, [])
        return found


def _declared(notebook: Notebook) -> list[str] | None:
    """The parameters of a notebook; None where its cell does not tell them."""
    cells = [cell for cell in notebook.code if "parameters" in cell.tags]
    if len(cells) != 1:
        return None
    try:
        statements = ast.parse(cells[0].source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names: list[str] = []
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names


def _recorded(notebook: Notebook) -> list[str] | None:
    """The values that a notebook hands to other jobs; None where its code does not tell them."""
    if notebook.program is None:
        return None
    names: list[str | None] = []
    for call, name in notebook.program.calls():
        if (name or "").split(".")[-1] == "summarise":
            names += [keyword.arg for keyword in call.keywords]
    known = [name for name in names if name]
    return known if len(known) == len(names) else None


def _names(item: object) -> list[str]:
    """The names in a list as far as they are written out."""
    listed = item if isinstance(item, list) else []
    return [name for name in listed if isinstance(name, str) and not re.search(r"\$\{|\?{3}", name)]


def _mapping(item: object) -> dict[Any, Any]:
    return item if isinstance(item, dict) else {}


GATE = Gate(RULES, on_project=check)
main = GATE.main

if __name__ == "__main__":
    sys.exit(main())
