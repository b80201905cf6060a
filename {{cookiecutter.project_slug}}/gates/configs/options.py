"""CF501, CF502, CF504-CF507: the configuration composes, whichever option is chosen.

Every entry config of ``conf/`` (a file at its top with a defaults list) is composed by Hydra as it
stands, then with every option of every group, and checked by the package's own schema.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..core.gate import Context, Gate
from ..core.rules import Finding, Rule
from ..core.spelling import near
from . import jobs, targets
from .composing import CONF, Choice, Choices, Composition, composable, compose
from .documents import Broken, Document
from .targets import Keys

CF501 = Rule(
    "CF501",
    "an entry config does not compose",
    "no command that uses it would start",
    "Mend the line, or the schema in src/*/config/schema.py",
    bad="""\
# conf/config.yaml, where conf/model/ holds boosting.yaml and linear.yaml
defaults:
  - model: bosting""",
    good="""\
# conf/config.yaml, where conf/model/ holds boosting.yaml and linear.yaml
defaults:
  - model: boosting""",
)
CF502 = Rule(
    "CF502",
    "an option does not compose",
    "whoever chooses it finds out last, perhaps in production",
    "Mend the line, or the schema in src/*/config/schema.py",
    bad="""\
# conf/model/linear.yaml, where the schema has l2: float
name: linear
l2: strong""",
    good="""\
# conf/model/linear.yaml, where the schema has l2: float
name: linear
l2: 10.0""",
)
CF504 = Rule(
    "CF504",
    "the schema has no such key",
    "a misspelt key would leave the setting at its default, so the program refuses it",
    "Mend the key, or add it to src/*/config/schema.py",
    bad="""\
# conf/model/linear.yaml
name: linear
l3: 1.0""",
    good="""\
# conf/model/linear.yaml
name: linear
l2: 1.0""",
)
CF505 = Rule(
    "CF505",
    "a value that must be given is missing",
    "the plain command, without arguments, stops at it",
    "Write the value, or choose another default; ??? is for options that people choose themselves",
    bad="""\
# conf/data/table.yaml, where conf/config.yaml says - data: table
kind: table
path: ???""",
    good="""\
# conf/data/table.yaml, where conf/config.yaml says - data: table
kind: table
path: data/orders.csv""",
)
CF506 = Rule(
    "CF506",
    "nothing can select this option file",
    "people edit it and wonder why nothing changes",
    "Remove it, move it into the folder of a group, or name its group in a defaults list",
    bad="""\
conf/model/linear.yaml
conf/model/old/ridge.yaml   # no defaults list names the group model/old""",
    good="""\
conf/model/linear.yaml
conf/model/ridge.yaml       # model=ridge""",
)
CF507 = Rule(
    "CF507",
    "a `_target_` that does not import, or does not take these arguments",
    "the run stops where it is instantiated, perhaps after hours",
    "Mend the dotted name or the argument",
    bad="""\
noise:
  _target_: statistics.NormalDist
  sigm: 2.0""",
    good="""\
noise:
  _target_: statistics.NormalDist
  sigma: 2.0""",
)
RULES = (CF501, CF502, CF504, CF505, CF506, CF507)

ENTRY = CONF / "config.yaml"
CONTRACTS = CONF / "contracts"  # what must hold of tables: read by the package, not by Hydra


def check(context: Context) -> Iterator[Finding]:
    if context.settings.package and (context.root / CONF).is_dir():
        # a mistake in a default shows up with every other option again
        yield from dict.fromkeys(_findings(context))


def _findings(context: Context) -> Iterator[Finding]:
    documents: dict[Path, Document] = {}
    for path in sorted((context.root / CONF).rglob("*.y*ml")):
        name = path.relative_to(context.root)
        if any(part.startswith(".") for part in name.parts):
            continue
        if path.suffix == ".yml" and name.parent != CONF:
            yield Finding(CF506, name, "Hydra reads only files whose names end in .yaml")
        elif path.suffix == ".yaml":
            try:
                documents[name] = Document(path)
            except Broken as error:
                yield Finding(_rule(name), name, f"it is not YAML: {error}", line=error.line)
                return
    try:
        package = Package(context.settings.package)
    except Exception as error:
        what = f"the package '{context.settings.package}' does not import: {_first_line(error)}"
        yield Finding(CF501, ENTRY, what)
        return
    contracts = [name for name in documents if name.is_relative_to(CONTRACTS)]
    for name in contracts:
        yield from package.contract(context.root, name)
        del documents[name]
    with composable(context.root, documents):
        yield from _composed(context, documents, package)


def _composed(
    context: Context, documents: dict[Path, Document], package: Package
) -> Iterator[Finding]:
    entries = [path for path in documents if path.parent == CONF and documents[path].defaults]
    planned = {finding.path for finding in jobs.check(context)}  # they have their findings
    seen: set[Path] = set()
    explorers = [
        Explorer(entry, documents, package, context.root, seen, planned)
        for entry in dict.fromkeys([ENTRY, *entries])
    ]
    for explorer in explorers:
        yield from explorer.explore()
    if all(explorer.composes for explorer in explorers):
        for path in sorted(set(documents) - seen):
            if _is_option(path) and not _is_included(path, documents):
                yield from _added(path, explorers)


def _is_option(path: Path) -> bool:
    """Whether a file is an option that is chosen by its name, not a base that others build on."""
    group = path.relative_to(CONF).parts[:-1]
    return bool(group) and group[0] != "hydra" and not path.name.startswith("_")


def _is_included(path: Path, documents: dict[Path, Document]) -> bool:
    """Whether a defaults list may mean this file as itself, not as the option of a group."""
    items = [item for document in documents.values() for item in document.defaults]
    return any(path.stem in _named(item) for item in items if isinstance(item, str))


def _added(path: Path, explorers: Sequence[Explorer]) -> Iterator[Finding]:
    """What is wrong with an option of a group that no defaults list names."""
    group = path.parent.relative_to(CONF).as_posix()
    choice = Choice(f"+{group}", path)
    for explorer in explorers:
        if explorer.accepts(choice):
            explorer.groups.add(group)
            yield from explorer.explore((), (choice,))
            return
    what = f"no defaults list names the group '{group}', and the schema has no place for it"
    yield Finding(CF506, path, what)


class Package:
    """What is asked of the package: its schema, and whether its jobs can be planned."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._load = importlib.import_module(f"{name}.config.load")
        schema = importlib.import_module(f"{name}.config.schema")
        self.sections = {*schema.VARIANTS, *schema.SECTIONS}
        self._plan = importlib.import_module(f"{name}.jobs.spec").make_plan

    def parse(self, config: dict[Any, Any]) -> Any:
        from omegaconf import OmegaConf

        return self._load.parse(OmegaConf.create(config), [])

    def plan(self, config: Any, root: Path) -> None:
        self._plan(config.jobs, root)

    def contract(self, root: Path, name: Path) -> Iterator[Finding]:
        try:
            contracts = importlib.import_module(f"{self._name}.data.contracts")
            contracts.read_contract(root / name)
        except Exception as error:
            what = _first_line(error)
            place = re.match(r".*?, line (\d+): ", what)
            line = int(place[1]) if place else None
            yield Finding(CF502, name, what[place.end() :] if place else what, line=line)

    def explained(self, error: Exception, overrides: list[str]) -> str:
        try:
            return _first_line(self._load.message(error, overrides) or error)
        except Exception:  # it composes once more to know what is valid
            return _first_line(error)

    def rule(self, error: Exception, path: Path) -> Rule:
        if isinstance(error, self._load.UnknownKey):
            return CF504
        return CF505 if isinstance(error, self._load.MissingValue) else _rule(path)


@dataclass
class Explorer:
    """Composes one entry config with the options of the groups that it names."""

    entry: Path
    documents: dict[Path, Document]
    package: Package
    root: Path
    seen: set[Path]  # files that were composed
    planned: set[Path]  # files of jobs that need no plan any more
    groups: set[str] = field(default_factory=set)
    composes: bool = True

    def explore(self, base: Choices = (), more: Choices = ()) -> Iterator[Finding]:
        """What is wrong when the options ``base`` and ``more`` are chosen, and with each option of
        the groups that these bring in.

        Options of several groups are tried at once. Only where something is wrong, each of them
        is tried alone, to tell whose fault it is.
        """
        subject = more[-1].path if more else self.entry
        composition = None
        try:
            composition = compose(self.entry, base + more)
        except Exception as error:
            found = [self._not_composed(error, base + more, subject)]
            self.composes = self.composes and bool(more)
        else:
            found = list(self._faults(composition, subject))
        if found and len(more) > 1:
            for choice in more:
                yield from self.explore(base, (choice,))
            return
        yield from found
        self.seen.update(choice.path for choice in more)
        if composition:
            self.seen.update(composition.files)
            new = sorted(set(composition.groups) - self.groups)
            self.groups.update(new)
            for together in zip_longest(*(list(self._options(key)) for key in new)):
                yield from self.explore(base + more, tuple(filter(None, together)))

    def _options(self, key: str) -> Iterator[Choice]:
        folder = CONF / key.split("@")[0]
        for path in self.documents:
            if path.parent == folder and path not in self.seen and _is_option(path):
                yield Choice(key, path)

    def accepts(self, choice: Choice) -> bool:
        """Whether the schema has a place for an option of a group that is not in the defaults."""
        try:
            self.package.parse(compose(self.entry, (choice,)).config)
        except Exception as error:
            if self.package.rule(error, choice.path) is CF504:
                place = choice.key.lstrip("+").replace("/", ".")
                return not f"{place}.".startswith(f"{getattr(error, 'key', '')}.")
        return True

    def _faults(self, composition: Composition, subject: Path) -> Iterator[Finding]:
        missing = list(_fill(composition.config))
        for keys in missing if not composition.chosen else ():
            what = f"{'.'.join(keys)} is ???, and {self.entry} chooses it"
            yield self._finding(CF505, what, composition, keys, subject)
        if self.entry == ENTRY or self.package.sections <= set(composition.config):
            yield from self._by_schema(composition, missing, subject)
        if any("_target_" in document.text for document in self.documents.values()):
            for keys, call in targets.find(composition.config):
                for argument, what in targets.faults(call):
                    yield self._finding(CF507, what, composition, (*keys, argument), subject)

    def _finding(
        self, rule: Rule | None, what: str, composition: Composition, keys: Keys, subject: Path
    ) -> Finding:
        path, line = composition.place(keys, self.documents)
        path = path or (self.entry if keys else subject)
        return Finding(rule or _rule(path), path, what, line=line)

    def _by_schema(
        self, composition: Composition, missing: Sequence[Keys], subject: Path
    ) -> Iterator[Finding]:
        try:
            parsed = self.package.parse(composition.config)
        except Exception as error:
            key = getattr(error, "key", "")
            keys = tuple(re.findall(r"[^.\[\]]+", key))  # a.b[0] is a, b, 0
            if keys in missing:
                return  # it has a value of ours
            finding = self._finding(None, _first_line(error), composition, keys, subject)
            rule = self.package.rule(error, finding.path)
            if rule is CF505:
                what = f"{key} has no value; write one, or ??? for whoever chooses the option"
                finding = replace(finding, what=what)
            yield replace(finding, rule=rule)
            return
        if not any(keys[0] == "jobs" for keys in missing):
            yield from self._plan(parsed, composition.of_group("jobs"))

    def _plan(self, parsed: Any, paths: Iterable[Path]) -> Iterator[Finding]:
        """What is wrong with jobs beyond what their own gate sees, such as the type of a value."""
        for path in paths:
            if path in self.documents and path not in self.planned:
                self.planned.add(path)
                try:
                    self.package.plan(parsed, self.root)
                except Exception as error:
                    name = re.search(r"job '(\w+)'", str(error))
                    line = self.documents[path].line("graph", name[1]) if name else None
                    yield Finding(CF502, path, _first_line(error), line=line)

    def _not_composed(self, error: Exception, chosen: Choices, subject: Path) -> Finding:
        import yaml

        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            mark = error.problem_mark
            path = Path(mark.name).relative_to((self.root / CONF).resolve().parent)
            return Finding(_rule(path), path, str(error.problem), line=mark.line + 1)
        named = re.match(r"In '([^']+)'", str(error))
        path = CONF / f"{named[1].removesuffix('.yaml')}.yaml" if named else subject
        path, line = path if path in self.documents else subject, None
        what = self.package.explained(error, [str(choice) for choice in chosen])
        if absent := getattr(error, "missing_cfg_file", None):
            file = CONF / f"{absent}.yaml"
            known = [other.stem for other in self.documents if other.parent == file.parent]
            if not absent.startswith("hydra/"):
                what = f"there is no {file}{near(file.stem, known)}"
            if document := self.documents.get(path):
                items = enumerate(document.defaults)
                index = next((n for n, item in items if file.stem in _named(item)), -1)
                line = document.line("defaults", index)
        return Finding(_rule(path), path, what, line=line)


def _named(item: Any) -> set[str]:
    """The names of the files that an item of a defaults list may mean."""
    names = item.values() if isinstance(item, dict) else [item]
    flat = [one for name in names for one in (name if isinstance(name, list) else [name])]
    return {str(name).split("@")[0].split("/")[-1].removesuffix(".yaml") for name in flat}


def _fill(item: Any, keys: Keys = ()) -> Iterator[Keys]:
    """Give every ??? in nested values a value, to see what else is wrong; yields their keys."""
    if not isinstance(item, (dict, list)):
        return
    for key, value in list(item.items() if isinstance(item, dict) else enumerate(item)):
        if value == "???":
            item[key] = 1
            yield (*keys, str(key))
        yield from _fill(value, (*keys, str(key)))


def _rule(path: Path) -> Rule:
    return CF501 if path.parent == CONF else CF502


def _first_line(error: object) -> str:
    text = str(error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__


GATE = Gate(RULES, on_project=check)
main = GATE.main
