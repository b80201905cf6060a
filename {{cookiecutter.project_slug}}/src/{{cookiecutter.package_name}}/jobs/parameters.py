"""The typed parameters of a notebook: read from its tagged cell, checked before a kernel starts.

Each parameter is one line of the cell, ``name: type = value``, or without a value when every job
has to give it (``name: type`` or, which linters understand, ``name: type = ...``). The types are
int, float, bool, str, date, datetime, Path, Secret, ``Literal[...]``, ``list[X]``,
``dict[str, X]``, ``X | Y``, ``Optional[X]`` and ``Union[X, Y]``.
"""

from __future__ import annotations

import ast
import json
import keyword
import math
import re
import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path, PurePath
from typing import Any, Literal, Union, get_args, get_origin

from ..config import PROJECT_ROOT
from ..errors import UserError, nearest
from . import cell
from .folder import JobFile
from .secret import Secret

VALID = (
    "int, float, bool, str, date, datetime, Path, Secret, Literal[...], list[X], dict[str, X], "
    "X | Y and X | None"
)
RESERVED = {*cell.BUILTINS, "needed"}  # names that the cell, or the one injected after it, uses
DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
HOUR = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
MOMENT = f"{DAY}([T ]{HOUR}(Z|[+-]{HOUR})?)?"


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell; ``annotation`` is the type as written.

    ``default`` is ``...`` when there is none and a job has to give a value.
    """

    name: str
    annotation: str
    type: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is ...


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters that ``notebook`` (an ``.ipynb`` file) declares, by name, in their order.

    Raises:
        UserError: as for :func:`parameters_of`, or the file cannot be read as a notebook.
    """
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{shown(notebook)}: cannot be read as a notebook ({error}).") from error
    return parameters_of(content, shown(notebook))


def parameters_of(notebook: Mapping[str, Any], where: str) -> dict[str, Parameter]:
    """The parameters that a notebook (nbformat JSON) declares; ``where`` names it in errors.

    Raises:
        UserError: not exactly one code cell is tagged, or a line in it is no parameter, is of a
            type that cannot be checked, or has a default that is not of its type.
    """
    _, source = tagged(notebook, where)
    try:
        statements = cell.parse(source)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise UserError(f"{where}: parameters cell{line}: {error.msg}.") from error
    names: dict[str, str] = {}
    declared: dict[str, Parameter] = {}
    for statement in statements:
        line = f"{where}: parameters cell, line {statement.lineno}"
        imported = cell.bound(statement)
        if imported is None and isinstance(statement, (ast.Import, ast.ImportFrom)):
            raise UserError(
                f"{line}: '{ast.unparse(statement)}' does not belong here. This cell imports only "
                f"from typing, datetime and pathlib, and Secret from {cell.PACKAGE}."
            )
        names |= imported or {}
        if imported is None:
            try:
                parameter = _parameter(statement, names, line)
            except RecursionError:
                raise UserError(f"{line}: it is nested too deep to be read.") from None
            if parameter.name in declared:
                raise UserError(f"{line}: parameter '{parameter.name}' is declared twice.")
            declared[parameter.name] = parameter
        for name in declared:
            if name in names or name in RESERVED:
                raise UserError(
                    f"{line}: parameter '{name}' hides what '{name}' stands for in this cell. "
                    "Give it another name."
                )
    return declared


def tagged(notebook: Mapping[str, Any], where: str) -> tuple[int, str]:
    """The place of the parameters cell among the cells, and its source; ``where`` names the
    notebook in errors.

    Raises:
        UserError: there is not exactly one.
    """
    try:
        found = [
            (place, "".join(each["source"]))
            for place, each in enumerate(notebook["cells"])
            if each["cell_type"] == "code" and cell.TAG in each["metadata"].get("tags", [])
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{where}: cannot be read as a notebook ({error}).") from error
    if len(found) != 1:
        count = "no cell is" if not found else f"{len(found)} cells are"
        raise UserError(
            f"{where}: {count} tagged 'parameters'; a job needs exactly one. "
            'In the .py file the cell begins with: # %% tags=["parameters"]'
        )
    return found[0]


def check(
    given: Mapping[str, Any],
    declared: Mapping[str, Parameter],
    where: str,
    later: Collection[str] = (),
) -> dict[str, Any]:
    """``given`` values as their declared types; ``where`` names job and notebook in errors.

    Args:
        later: Names whose values are not there yet, because other jobs will record them. They
            are checked by name, and are not in what is returned.

    Raises:
        UserError: a name that is not declared, a value that is not of the declared type, or a
            parameter without default that is not given. No message shows the value of a secret.
    """
    for name in (*given, *later):
        _check_name(name, declared, where)
    for name, parameter in declared.items():
        if parameter.required and name not in given and name not in later:
            raise UserError(
                f"{where}: parameter '{name}' ({parameter.annotation}) has no default; the job "
                "must give it."
            )
    return {name: _coerced(value, declared[name], where) for name, value in given.items()}


def require_secrets(
    declared: Mapping[str, Parameter], values: Mapping[str, Any], where: str
) -> None:
    """See that every secret that a job with these ``values`` reads is in the environment.

    Raises:
        UserError: the first that is not, by the name of its variable.
    """
    for name, parameter in declared.items():
        for secret in _secrets(values.get(name, parameter.default)):
            try:
                _ = secret.value
            except UserError as error:
                raise UserError(f"{where}: parameter '{name}': {error}") from None


def secret_names(declared: Mapping[str, Parameter], values: Mapping[str, Any]) -> tuple[str, ...]:
    """The environment variables that a job with these ``values`` reads as secrets, sorted."""
    used = [values.get(name, parameter.default) for name, parameter in declared.items()]
    return tuple(sorted({secret.name for value in used for secret in _secrets(value)}))


def plain(value: Any) -> Any:
    """A checked value as plain JSON, written as the configuration would: the way back of
    :func:`check`."""
    match value:
        case date():
            return value.isoformat()
        case PurePath():
            return str(value)
        case Secret(name=name):
            return {"env": name}
        case JobFile(job=job, name=name):
            return {"from": job, "file": name}
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


def shown(path: Path) -> str:
    """``path`` as one types it at the project's root."""
    return str(path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path)


def _parameter(statement: ast.stmt, names: Mapping[str, str], line: str) -> Parameter:
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
        raise UserError(f"{line}: write each parameter as 'name: type = value', nothing else.")
    name, annotation = statement.target.id, ast.unparse(statement.annotation)
    _check_name(name, {name: None}, line)
    try:
        kind = cell.type_of(statement.annotation, names)
    except ValueError as hint:
        raise UserError(
            f"{line}: type '{annotation}' of parameter '{name}' is not one a job can check. "
            f"{hint if str(hint) else f'Valid: {VALID}.'}"
        ) from None
    empty = Parameter(name, annotation, kind, ...)
    if statement.value is None:
        return empty
    try:
        value = cell.value_of(statement.value, names)
    except ValueError as hint:
        raise UserError(
            f"{line}: parameter '{name}' needs a default that is a plain value, such as 3, "
            f"'text', [1, 2], date(2026, 1, 5) or Path('data').{f' {hint}.' if str(hint) else ''}"
        ) from None
    if value is ...:
        return empty
    coerced = _coerced(value, empty, line)
    if coerced != value:  # the notebook itself would have another value than a job
        raise UserError(
            f"{line}: parameter '{name}' is {annotation}, but its default is "
            f"{_described(value, kind)}."
        )
    return Parameter(name, annotation, kind, coerced)


def _check_name(name: object, declared: Collection[str], where: str) -> None:
    """Nothing but the plain name of a declared parameter may become code of a notebook."""
    known = f"Valid: {', '.join(declared) or 'none'}."
    if not (isinstance(name, str) and name.isidentifier()):
        what = "one has only letters, digits and _, and does not begin with a digit"
    elif keyword.iskeyword(name):
        what = "it is a word of Python"
    elif name.startswith("__"):
        what = "names that begin with __ are Python's own"
    elif name not in declared:
        raise UserError(
            f"{where}: there is no parameter {name!r}. {known}{nearest(name, declared)}"
        )
    else:
        return
    raise UserError(f"{where}: {name!r} cannot be the name of a parameter: {what}. {known}")


def _secrets(value: Any) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _secrets(item)


def _coerced(value: Any, parameter: Parameter, where: str) -> Any:
    try:
        return _coerce(value, parameter.type)
    except (ValueError, OverflowError) as hint:
        raise UserError(
            f"{where}: parameter '{parameter.name}' is {parameter.annotation}, but was given "
            f"{_described(value, parameter.type)}.{f' {hint}' if str(hint) else ''}"
        ) from None


def _described(value: Any, kind: Any) -> str:
    name = type(value).__name__
    if cell.mentions(kind, Secret):
        return f"a value that is not shown ({name})"
    return f"{value!r} ({name})"


def _coerce(value: Any, kind: Any) -> Any:
    """``value`` as ``kind``, when nothing is lost; ValueError, perhaps with a hint, otherwise."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        if _exactly(value, kind):
            return value
        raise ValueError(f"Valid: {', '.join(map(repr, args))}.{nearest(value, map(str, args))}")
    if origin is Union:
        return _one_of(value, args)
    if origin is list:
        if isinstance(value, (list, tuple)):
            return [_coerce(item, args[0]) for item in value]
        raise ValueError("Give a list, such as [a, b].")
    if origin is dict:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {str.__str__(key): _coerce(item, args[1]) for key, item in value.items()}
        raise ValueError("Give a mapping with text keys.")
    if kind in (None, types.NoneType) and value is None:
        return None
    if kind is bool and (isinstance(value, bool) or value in ("true", "false")):
        return value is True or value == "true"
    if kind is str:
        return _text(value)
    if kind in (int, float) and not isinstance(value, bool):
        return _number(value, kind)
    if kind in (date, datetime):
        return _moment(value, kind)
    if kind is Path:
        return _path(value)
    if kind is Secret:
        return _secret(value)
    raise ValueError


def _one_of(value: Any, kinds: tuple[Any, ...]) -> Any:
    # the member of the very type first, so that 3 stays 3 in `float | int`
    hints: list[str] = []
    for kind in sorted(kinds, key=lambda kind: not _exactly(value, kind)):
        try:
            return _coerce(value, kind)
        except (ValueError, OverflowError) as hint:
            hints += [str(hint)] if str(hint) not in hints else []
    raise ValueError(" ".join(filter(None, hints)))


def _exactly(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(type(value) is type(option) and value == option for option in get_args(kind))
    return type(value) is kind


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # of a subclass too, whose repr may be anything
    raise ValueError("Put it in quotes to make it text." if value is not None else "")


def _number(value: Any, kind: type[int] | type[float]) -> int | float:
    if isinstance(value, str):  # YAML reads 1e-4 as text, and so may an environment variable be
        if kind is int and not re.fullmatch(r"[+-]?(0|[1-9][0-9]*)", value):
            raise ValueError
        try:
            value = kind(value)
        except ValueError:
            raise ValueError from None  # what Python says of it is no help
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("It must be a finite number.")
    if isinstance(value, (int, float)) and kind(value) == value:
        return kind(value)
    whole = "It must be a whole number." if isinstance(value, float) else ""
    raise ValueError("It has more digits than a float." if isinstance(value, int) else whole)


def _moment(value: Any, kind: type[date] | type[datetime]) -> date | datetime:
    if isinstance(value, str) and re.fullmatch(DAY if kind is date else MOMENT, value):
        return kind.fromisoformat(value)
    if type(value) is date and kind is datetime:
        return datetime(value.year, value.month, value.day)
    if type(value) is kind:
        # a zone becomes its offset on that day, which is all that text can say
        return kind.fromisoformat(value.isoformat())
    raise ValueError(f"Write it as '2026-01-05{'T12:30:00' if kind is datetime else ''}'.")


def _path(value: Any) -> Path | JobFile:
    if isinstance(value, JobFile):
        return value
    if isinstance(value, (str, PurePath)) and str(value) and "\0" not in str(value):
        return Path(value)
    raise ValueError("Give the path of a file as text.")


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, Mapping) and set(value) == {"env"}:
        try:
            return Secret(value["env"])
        except UserError:
            raise ValueError("'env' is the name of an environment variable.") from None
    raise ValueError(
        "A secret's value does not belong into a configuration: write {env: NAME}, the name of "
        "the environment variable that holds it."
    )
