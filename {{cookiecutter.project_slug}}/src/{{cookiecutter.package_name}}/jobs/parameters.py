"""The typed parameters of a notebook: read from its tagged cell, checked before a kernel starts.

The cell is parsed, never executed. Each parameter is one line, ``name: type = value``, with the
types int, float, bool, str, ``Literal[...]``, ``list[X]``, ``dict[str, X]`` and ``X | None``.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from ..config import PROJECT_ROOT
from ..errors import UserError, nearest

SCALARS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
TYPES = "int, float, bool, str, Literal[...], list[X], dict[str, X] and X | None"


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell; ``annotation`` is the type as written."""

    name: str
    annotation: str
    type: Any
    default: Any


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters that ``notebook`` (an ``.ipynb`` file) declares, by name, in their order.

    Raises:
        UserError: not exactly one tagged cell, or a line in it that is not ``name: type = value``.
    """
    source = _tagged_cell(notebook)
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        where = f"{shown(notebook)}: parameters cell, line {error.lineno}"
        raise UserError(f"{where}: {error.msg}.") from error
    declared: dict[str, Parameter] = {}
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module == "typing":
            continue
        where = f"{shown(notebook)}: parameters cell, line {statement.lineno}"
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            raise UserError(f"{where}: write each parameter as 'name: type = value', nothing else.")
        name, annotation = statement.target.id, ast.unparse(statement.annotation)
        if name in declared:
            raise UserError(f"{where}: parameter '{name}' is declared twice.")
        try:
            kind = _type(statement.annotation)
        except ValueError:
            raise UserError(
                f"{where}: type '{annotation}' of parameter '{name}' is not one a job can check. "
                f"Valid: {TYPES}."
            ) from None
        try:
            value = ast.literal_eval(statement.value or ast.Name("absent"))
        except ValueError:
            raise UserError(
                f"{where}: parameter '{name}' needs a default that is a plain value, such as 3, "
                "'text' or [1, 2]."
            ) from None
        parameter = Parameter(name, annotation, kind, value)
        declared[name] = Parameter(name, annotation, kind, _coerced(value, parameter, where))
    return declared


def check(
    given: Mapping[str, Any], declared: Mapping[str, Parameter], where: str
) -> dict[str, Any]:
    """``given`` values as their declared types; ``where`` names job and notebook in errors.

    Raises:
        UserError: a name that is not declared, or a value that is not of the declared type.
    """
    for name in given:
        if name not in declared:
            valid = ", ".join(declared) or "none"
            raise UserError(
                f"{where}: there is no parameter {name!r}. Valid: {valid}.{nearest(name, declared)}"
            )
    return {name: _coerced(value, declared[name], where) for name, value in given.items()}


def shown(path: Path) -> str:
    """``path`` as one types it at the project's root."""
    return str(path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path)


def _tagged_cell(notebook: Path) -> str:
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{shown(notebook)}: cannot be read as a notebook ({error}).") from error
    if len(tagged) != 1:
        count = "no cell is" if not tagged else f"{len(tagged)} cells are"
        raise UserError(
            f"{shown(notebook)}: {count} tagged 'parameters'; a job needs exactly one. "
            'In the .py file the cell begins with: # %% tags=["parameters"]'
        )
    return "".join(tagged[0]["source"])


def _type(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name) if name in SCALARS:
            return SCALARS[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_type(left), _type(right)]  # noqa: UP007 (None | None is no type)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return types.GenericAlias(list, (_type(item),))
        case ast.Subscript(
            value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), value])
        ):
            return types.GenericAlias(dict, (str, _type(value)))
        case ast.Subscript(value=ast.Name(id="Literal"), slice=options):
            values = ast.literal_eval(options)
            return operator.getitem(Literal, values)
    raise ValueError(ast.unparse(node))


def _coerced(value: Any, parameter: Parameter, where: str) -> Any:
    try:
        return _coerce(value, parameter.type)
    except ValueError as hint:
        raise UserError(
            f"{where}: parameter '{parameter.name}' is {parameter.annotation}, "
            f"but was given {value!r} ({type(value).__name__}).{f' {hint}' if str(hint) else ''}"
        ) from None


def _coerce(value: Any, kind: Any) -> Any:
    """``value`` as ``kind``, when nothing is lost; ValueError, perhaps with a hint, otherwise."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        if any(type(value) is type(option) and value == option for option in args):
            return value
        raise ValueError(f"Valid: {', '.join(map(repr, args))}.{nearest(value, map(str, args))}")
    if origin is Union:
        # the member of the very type first, so that 3 stays 3 in `float | int`
        for member in sorted(args, key=lambda member: type(value) is not member):
            try:
                return _coerce(value, member)
            except ValueError:
                continue
        raise ValueError
    if origin is list:
        if isinstance(value, (list, tuple)):
            return [_coerce(item, args[0]) for item in value]
        raise ValueError("Give a list, such as [a, b].")
    if origin is dict:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {key: _coerce(item, args[1]) for key, item in value.items()}
        raise ValueError("Give a mapping with text keys.")
    if kind in (None, types.NoneType) and value is None:
        return None
    if kind is bool and (isinstance(value, bool) or value in ("true", "false")):
        return value is True or value == "true"
    if kind is str:
        return _text(value)
    if kind in (int, float) and not isinstance(value, bool):
        return _number(value, kind)
    raise ValueError


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("Put it in quotes to make it text." if value is not None else "")


def _number(value: Any, kind: type[int] | type[float]) -> int | float:
    if isinstance(value, str):  # YAML reads 1e-4 as text, and so may an environment variable be
        if kind is int and not re.fullmatch(r"[+-]?(0|[1-9][0-9]*)", value):
            raise ValueError
        value = kind(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("It must be a finite number.")
    if isinstance(value, (int, float)) and (kind is float or value == int(value)):
        return kind(value)
    raise ValueError("It must be a whole number." if isinstance(value, float) else "")
