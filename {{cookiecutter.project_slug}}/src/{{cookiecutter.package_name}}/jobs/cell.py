"""The parameters cell of a notebook as it is written: its imports, types and default values.

It is parsed, never executed. A default is a plain value or one of a few constructors that are
called here with plain values: ``date``, ``datetime``, ``Path`` and ``Secret``.
"""

from __future__ import annotations

import ast
import operator
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Union, get_args

from ..errors import UserError
from .secret import Secret

TAG = "parameters"
PACKAGE = __name__.rpartition(".")[0]
SECRET = f"{PACKAGE}.Secret"
MODULES = ("datetime", "pathlib", "typing")
TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "datetime.date": date,
    "datetime.datetime": datetime,
    "pathlib.Path": Path,
    SECRET: Secret,
}
BUILTINS = frozenset(["int", "float", "bool", "str", "list", "dict"])
MAKERS: dict[str, Callable[..., Any]] = {
    "datetime.date": date,
    "datetime.date.fromisoformat": date.fromisoformat,
    "datetime.datetime": datetime,
    "datetime.datetime.fromisoformat": datetime.fromisoformat,
    "pathlib.Path": Path,
    SECRET: Secret,
}
CONSTANTS = {"datetime.UTC": UTC, "datetime.timezone.utc": UTC}
IMPORTED = (
    *TYPES,
    *CONSTANTS,
    "datetime.timezone",
    *(f"typing.{t}" for t in ("Literal", "Optional", "Union")),
)


def parse(source: str) -> list[ast.stmt]:
    """The statements of a cell.

    Raises:
        SyntaxError: it is no Python.
    """
    try:
        return ast.parse(source).body
    except ValueError as error:
        raise SyntaxError(str(error)) from error
    except (RecursionError, MemoryError) as error:
        raise SyntaxError("it is nested too deep to be read") from error


def bound(statement: ast.stmt) -> dict[str, str] | None:
    """The names that an import binds, with what they stand for; None when it is none to have here.

    ``from datetime import date as day`` gives ``{"day": "datetime.date"}``.
    """
    match statement:
        case ast.Import(names=names) if all(each.name in MODULES for each in names):
            return {each.asname or each.name: each.name for each in names}
        case ast.ImportFrom(module=module, names=names, level=0):
            full = {each.asname or each.name: f"{module}.{each.name}" for each in names}
            if all(
                n != f"{module}.*" and (module in MODULES or n == SECRET) for n in full.values()
            ):
                return full
    return None


def spellings(source: str) -> dict[str, str]:
    """How the cell spells what it imports: ``{"datetime.date": "dt.date"}`` after ``import
    datetime as dt``."""
    names: dict[str, str] = {}
    for statement in parse(source):
        names |= bound(statement) or {}
    found: dict[str, str] = {}
    for local, stands_for in names.items():
        for full in TYPES:
            if full == stands_for or full.startswith(f"{stands_for}."):
                found[full] = local + full.removeprefix(stands_for)
    return found


def type_of(node: ast.expr, names: Mapping[str, str]) -> Any:
    """The type that an annotation names.

    Raises:
        ValueError: it is none of those that can be checked; perhaps with a hint.
    """
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Name() | ast.Attribute():
            full = _full(node, names)
            if full in TYPES:
                return TYPES[full]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union(type_of(left, names), type_of(right, names))
        case ast.Subscript(value=base, slice=inner):
            return _subscripted(_full(base, names), inner, names)
    raise ValueError


def value_of(node: ast.expr, names: Mapping[str, str]) -> Any:
    """The value that a default gives.

    Raises:
        ValueError: it is not plain, or no value of its type; perhaps with a hint.
    """
    match node:
        case ast.List(elts=items):
            return [value_of(item, names) for item in items]
        case ast.Tuple(elts=items):
            return tuple(value_of(item, names) for item in items)
        case ast.Dict(keys=keys, values=values):
            return {_key(k): value_of(v, names) for k, v in zip(keys, values, strict=True)}
        case ast.Name() | ast.Attribute():
            full = _full(node, names)
            if full in CONSTANTS:
                return CONSTANTS[full]
        case ast.Call(func=ast.Name() | ast.Attribute() as function, args=args, keywords=keywords):
            maker = MAKERS.get(_full(function, names))
            if maker and all(keyword.arg for keyword in keywords):
                named = {str(k.arg): value_of(k.value, names) for k in keywords}
                try:
                    return maker(*(value_of(arg, names) for arg in args), **named)
                except (TypeError, OverflowError, UserError) as error:
                    raise ValueError(str(error)) from error
        case ast.Constant() | ast.UnaryOp():
            return ast.literal_eval(node)
    raise ValueError


def mentions(kind: Any, part: type) -> bool:
    """Whether ``part`` is ``kind`` or within it."""
    return kind is part or any(mentions(each, part) for each in get_args(kind))


def _full(node: ast.expr, names: Mapping[str, str]) -> str:
    """What a dotted name stands for, by the imports before it."""
    parts = list(_parts(node))
    if parts[0] in names:
        return ".".join([names[parts[0]], *parts[1:]])
    if parts[0] in BUILTINS:
        return ".".join(parts)
    for full in IMPORTED:
        module, _, name = full.rpartition(".")
        if f"{'.'.join(parts)}.".startswith(f"{full}."):
            raise ValueError(f"Import it in this cell: import {module}")
        if parts[0] == name:
            raise ValueError(f"Import it in this cell: from {module} import {name}")
    raise ValueError


def _parts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(value=value, attr=name):
            yield from _parts(value)
            yield name
        case _:
            raise ValueError


def _subscripted(base: str, inner: ast.expr, names: Mapping[str, str]) -> Any:
    match base, inner:
        case "typing.Literal", _:
            options = ast.literal_eval(inner)
            several = options if isinstance(options, tuple) else (options,)
            if several and all(o is None or isinstance(o, (int, str)) for o in several):
                return operator.getitem(Literal, options)
        case "typing.Optional", _:
            return _union(type_of(inner, names), None)
        case "typing.Union", ast.Tuple(elts=members):
            return _union(*(type_of(member, names) for member in members))
        case "list", _:
            return types.GenericAlias(list, (type_of(inner, names),))
        case "dict", ast.Tuple(elts=[key, value]) if type_of(key, names) is str:
            return types.GenericAlias(dict, (str, type_of(value, names)))
    raise ValueError


def _union(*members: Any) -> Any:
    if any(mentions(m, Secret) for m in members) and sum(m is not None for m in members) > 1:
        raise ValueError("A secret comes from the environment only: Secret, or Secret | None.")
    return Union[members]  # noqa: UP007 (None | None is no type)


def _key(node: ast.expr | None) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    raise ValueError
