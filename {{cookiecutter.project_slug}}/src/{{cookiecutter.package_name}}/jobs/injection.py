"""Put the values of a job into its notebook: one cell after the one that declares them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import PurePath
from typing import Any

from ..errors import UserError
from . import cell
from .folder import JobFile
from .outcome import INJECTED
from .parameters import Parameter, tagged
from .secret import Secret


def inject(
    notebook: Mapping[str, Any], declared: Mapping[str, Parameter], values: Mapping[str, Any]
) -> dict[str, Any]:
    """A copy of ``notebook`` (nbformat JSON) with ``values``, as :func:`parameters.check` returns
    them, in a cell of their own; without such a cell when there are none.

    Equal values give equal cells. A cell that was injected before is gone.

    Raises:
        UserError: no single cell is tagged 'parameters', or a name is not declared.
    """
    new = copy.deepcopy(dict(notebook))
    new["cells"] = [
        each for each in new["cells"] if INJECTED not in each["metadata"].get("tags", [])
    ]
    if not values:
        return new
    for name in values:
        if name not in declared:
            raise UserError(f"there is no parameter {name!r} to put a value into.")
    place, source = tagged(new, "the notebook")
    spelled = cell.spellings(source)
    lines = [f"{name} = {expression(values[name], spelled)}" for name in declared if name in values]
    if any(_has_file(value) for value in values.values()):
        lines.insert(0, f"from {cell.PACKAGE} import needed")
    injected = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [INJECTED]},
        "outputs": [],
        "source": "\n".join(["# Parameters", *lines]).splitlines(keepends=True),
    }
    if (new.get("nbformat", 4), new.get("nbformat_minor", 0)) >= (4, 5):
        injected["id"] = INJECTED
    new["cells"].insert(place + 1, injected)
    return new


def expression(value: Any, spelled: Mapping[str, str]) -> str:
    """Python that evaluates to an equal value; ``spelled`` says how the cell writes a type, such
    as ``{"datetime.date": "dt.date"}``.

    Raises:
        TypeError: a value that :func:`parameters.check` does not return.
    """
    match value:
        case None | bool() | int() | float() | str():
            return repr(value)
        case list():
            return f"[{', '.join(expression(item, spelled) for item in value)}]"
        case dict():
            pairs = (f"{key!r}: {expression(item, spelled)}" for key, item in value.items())
            return "{" + ", ".join(pairs) + "}"
        case datetime(tzinfo=None):
            return spelled["datetime.datetime"] + repr(value).removeprefix("datetime.datetime")
        case datetime():
            return f'{spelled["datetime.datetime"]}.fromisoformat("{value.isoformat()}")'
        case date():
            return spelled["datetime.date"] + repr(value).removeprefix("datetime.date")
        case PurePath():
            return f"{spelled['pathlib.Path']}({_quoted(str(value))})"
        case Secret(name=name):
            return f"{spelled[cell.SECRET]}({_quoted(name)})"
        case JobFile(job=job, name=name):
            return f"needed({_quoted(job)}, {_quoted(name)})"
    raise TypeError(f"a parameter cannot be a {type(value).__name__}")


def _has_file(value: Any) -> bool:
    match value:
        case list():
            return any(map(_has_file, value))
        case dict():
            return any(map(_has_file, value.values()))
    return isinstance(value, JobFile)


def _quoted(text: str) -> str:
    plain = text.isprintable() and not {'"', "\\"} & set(text)
    return f'"{text}"' if plain else repr(text)
