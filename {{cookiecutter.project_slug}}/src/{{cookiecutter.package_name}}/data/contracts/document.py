"""Contracts as YAML: written for people to edit, and read strictly."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from ...errors import UserError, nearest
from ...runs.files import write_atomic
from .contract import ColumnRule, Contract, Freshness, RowRule
from .validity import Place, mistakes, name_of, refuse_mistakes

_HEADER = """\
# What must hold of a table: checked whenever it is read. Edit it; docs/contracts.md has all.
#
#   columns:  name: type, one of integer, number, boolean, date, datetime, text; or {type: …, …}\
 with
#             nullable: false, minimum, maximum, values: [the only ones], unique: true, policy;
#             of text also format: "%d.%m.%Y", decimal: ",", true: [yes], false: [no]
#   policy:   what happens to rows that break a rule: stop, set_aside (below data/quarantine/, with
#             the reason) or warn; of the contract, of a column or of a rule
#   further:  fewest_rows, most_rows, unique: [[columns, that, together, name, a row]],
#             freshness: {column: …, days: …}, rules: [{name: …, sql: "price > 0"}]
"""
_BOOL, _NULL = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"


def read_contract(path: Path) -> Contract:
    """Read a contract that people have written.

    Raises:
        UserError: there is no such file, or something in it is no contract: names the line.
    """
    contract, lines = _read(path)
    if found := mistakes(contract):
        told = [
            f"{path}, line {_line(lines, each.place)}: {name_of(each.place)}: {each.what}"
            for each in found
        ]
        raise UserError("\n".join(told))
    return contract


def write_contract(contract: Contract, path: Path) -> None:
    """Write a contract as YAML, without what is as it is anyway.

    Raises:
        UserError: the contract cannot be checked, or the file cannot be written.
    """
    refuse_mistakes(contract)
    text = yaml.serialize(_node(contract), Dumper=_Dumper, width=100, allow_unicode=True)
    write_atomic(path, f"{_HEADER}\n{text}")


def line_of(path: Path, place: Place) -> int | None:
    """The line of a contract's file that says what is found at ``place``; None where nothing is."""
    try:
        return _line(_read(path)[1], place)
    except UserError:
        return None


def _line(lines: dict[Place, int], place: Place) -> int:
    """The line of ``place``, or of what it stands in."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


# Reading


def _read(path: Path) -> tuple[Contract, dict[Place, int]]:
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        folder = path.parent
        hint = nearest(path.name, (p.name for p in folder.glob("*"))) if folder.is_dir() else ""
        raise UserError(f"{path}: there is no such contract.{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error}).") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: this is no YAML: {error.problem}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{path}: this is no YAML: {error}") from error
    reader = _Reader(path)
    if root is None:
        raise UserError(f"{path}: the file is empty; a contract has a table and columns.")
    return reader.contract(root), reader.lines


class _Reader:
    """Turns the nodes of a document into a contract, and remembers where each stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}

    def fail(self, node: yaml.Node, place: Place, what: str) -> UserError:
        where = f"{name_of(place)}: " if place else ""
        return UserError(f"{self.path}, line {node.start_mark.line + 1}: {where}{what}")

    def contract(self, node: yaml.Node) -> Contract:
        return self.record(
            Contract,
            node,
            (),
            {
                "table": self.text,
                "columns": self.columns,
                "policy": self.text,
                "fewest_rows": self.whole,
                "most_rows": self.whole,
                "unique": lambda n, p: self.list_of(self.texts, n, p),
                "freshness": self.freshness,
                "rules": lambda n, p: self.list_of(self.rule, n, p),
            },
        )

    def columns(self, node: yaml.Node, place: Place) -> dict[str, ColumnRule]:
        return {
            name: self.column(value, (*place, name)) for name, _, value in self.pairs(node, place)
        }

    def column(self, node: yaml.Node, place: Place) -> ColumnRule:
        if isinstance(node, yaml.ScalarNode):  # `age: integer` is `age: {type: integer}`
            return ColumnRule(self.text(node, (*place, "type")))  # type: ignore[arg-type]
        return self.record(
            ColumnRule,
            node,
            place,
            {
                "type": self.text,
                "nullable": self.flag,
                "minimum": self.bound,
                "maximum": self.bound,
                "values": self.texts,
                "unique": self.flag,
                "policy": self.text,
                "format": self.text,
                "decimal": self.text,
                "true": self.texts,
                "false": self.texts,
            },
        )

    def freshness(self, node: yaml.Node, place: Place) -> Freshness:
        known = {"column": self.text, "days": self.bound}
        return self.record(Freshness, node, place, known)

    def rule(self, node: yaml.Node, place: Place) -> RowRule:
        known = {"name": self.text, "sql": self.text, "policy": self.text}
        return self.record(RowRule, node, place, known)

    def record(
        self,
        kind: type[Any],
        node: yaml.Node,
        place: Place,
        known: Mapping[str, Callable[[yaml.Node, Place], Any]],
    ) -> Any:
        given = {}
        for key, key_node, value in self.pairs(node, place):
            if key not in known:
                valid = f"Valid here: {', '.join(known)}.{nearest(key, known)}"
                raise self.fail(key_node, (*place, key), f"there is no such key. {valid}")
            given[key] = known[key](value, (*place, key))
        for each in fields(kind):
            needed = each.default is MISSING and each.default_factory is MISSING
            if needed and each.name not in given:
                raise self.fail(node, place, f"{each.name} is needed.")
        return kind(**given)

    def pairs(self, node: yaml.Node, place: Place) -> Iterable[tuple[str, yaml.Node, yaml.Node]]:
        """Keys as text, whatever YAML takes them for: a column may be called `no`, or `1`."""
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, place, "must be `key: value` pairs.")
        self.lines.setdefault(place, node.start_mark.line + 1)
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.fail(key, place, "a key must be text.")
            if key.value in seen:
                raise self.fail(key, (*place, key.value), "stands here twice.")
            seen.add(key.value)
            self.lines[(*place, key.value)] = key.start_mark.line + 1
            yield key.value, key, value

    def list_of(
        self, read: Callable[[yaml.Node, Place], Any], node: yaml.Node, place: Place
    ) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.fail(node, place, "must be a list, such as [a, b].")
        found = []
        for number, each in enumerate(node.value):
            self.lines[(*place, number)] = each.start_mark.line + 1
            found.append(read(each, (*place, number)))
        return found

    def texts(self, node: yaml.Node, place: Place) -> list[str]:
        return self.list_of(self.text, node, place)

    def text(self, node: yaml.Node, place: Place) -> str:
        """What is written, as text: 1 and no and 2024-01-31 need no quotes."""
        if not isinstance(node, yaml.ScalarNode) or (node.tag == _NULL and node.style is None):
            raise self.fail(node, place, "must be text.")
        return str(node.value)

    def flag(self, node: yaml.Node, place: Place) -> bool:
        if node.tag != _BOOL:
            raise self.fail(node, place, "must be true or false.")
        return str(node.value).lower() in ("true", "yes", "on")

    def whole(self, node: yaml.Node, place: Place) -> int | None:
        if node.tag == _NULL:
            return None if place == ("most_rows",) else self._no_whole(node, place)
        try:
            if not isinstance(node, yaml.ScalarNode) or node.style is not None:
                raise ValueError
            return int(node.value)
        except ValueError:
            return self._no_whole(node, place)

    def _no_whole(self, node: yaml.Node, place: Place) -> int:
        raise self.fail(node, place, "must be a whole number.")

    def bound(self, node: yaml.Node, place: Place) -> float | str:
        """A number where it is one and has no quotes, else text; 1e-4 is a number here."""
        text = self.text(node, place)
        if isinstance(node, yaml.ScalarNode) and node.style is not None:
            return text
        for read in (int, float):
            try:
                return read(text.replace(".inf", "inf"))
            except ValueError:
                continue
        return text


# Writing


class _Dumper(yaml.SafeDumper):
    """Lists within lists are indented: it is easier to see what belongs to what."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _node(contract: Contract) -> yaml.MappingNode:
    pairs: list[tuple[str, yaml.Node]] = [
        ("table", _scalar(contract.table)),
        ("policy", _scalar(contract.policy)),
    ]
    for key in ("fewest_rows", "most_rows"):
        if getattr(contract, key) != _default(Contract, key):
            pairs.append((key, _scalar(getattr(contract, key))))
    if contract.freshness:
        pairs.append(("freshness", _record(contract.freshness, Freshness)))
    if contract.unique:
        pairs.append(("unique", _list([_list(map(_scalar, key)) for key in contract.unique])))
    columns = [(name, _column(rule)) for name, rule in contract.columns.items()]
    pairs.append(("columns", _mapping(columns, flow=False)))
    if contract.rules:
        rules = [_record(rule, RowRule) for rule in contract.rules]
        pairs.append(("rules", _list(rules, flow=False)))
    return _mapping(pairs, flow=False)


def _column(rule: ColumnRule) -> yaml.Node:
    node = _record(rule, ColumnRule)
    return node.value[0][1] if len(node.value) == 1 else node


def _record(value: Any, kind: type[Any]) -> yaml.MappingNode:
    pairs: list[tuple[str, yaml.Node]] = []
    for each in fields(kind):
        content = getattr(value, each.name)
        if content != _default(kind, each.name):
            node = _list(map(_scalar, content)) if isinstance(content, list) else _scalar(content)
            pairs.append((each.name, node))
    return _mapping(pairs)


def _default(kind: type[Any], name: str) -> Any:
    found = next(each for each in fields(kind) if each.name == name)
    return [] if found.default_factory is list else found.default


def _mapping(pairs: Sequence[tuple[str, yaml.Node]], flow: bool = True) -> yaml.MappingNode:
    # `true` and `false` are keys of a column: without quotes, as people write them.
    keys = [
        yaml.ScalarNode(_BOOL, key) if flow and key in ("true", "false") else _scalar(key)
        for key, _ in pairs
    ]
    values = [value for _, value in pairs]
    content = list(zip(keys, values, strict=True))
    return yaml.MappingNode("tag:yaml.org,2002:map", content, flow_style=flow)


def _list(nodes: Iterable[yaml.Node], flow: bool = True) -> yaml.SequenceNode:
    return yaml.SequenceNode("tag:yaml.org,2002:seq", list(nodes), flow_style=flow)


def _scalar(value: Any) -> yaml.ScalarNode:
    if isinstance(value, float) and math.isfinite(value):
        return yaml.ScalarNode("tag:yaml.org,2002:float", _decimal(value))
    node = yaml.SafeDumper(io.StringIO()).represent_data(value)
    assert isinstance(node, yaml.ScalarNode)
    if isinstance(value, str) and not value.isprintable():
        node.style = '"'  # without quotes, breaks of lines would be lost within { }
    return node


def _decimal(value: float) -> str:
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
