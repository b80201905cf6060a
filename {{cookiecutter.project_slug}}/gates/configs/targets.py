"""Whether what a ``_target_`` of a configuration names can be imported and takes its arguments."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from ..core.spelling import near

# Keys that Hydra reads itself.
KNOWN = {"_target_", "_args_", "_partial_", "_recursive_", "_convert_"}

Keys = tuple[str, ...]


def find(item: Any, keys: Keys = ()) -> Iterator[tuple[Keys, dict[Any, Any]]]:
    """Every mapping with a ``_target_`` in nested values, and the keys that lead to it."""
    if isinstance(item, dict):
        if isinstance(item.get("_target_"), str):
            yield keys, item
        for key, value in item.items():
            yield from find(value, (*keys, str(key)))
    elif isinstance(item, list):
        for index, value in enumerate(item):
            yield from find(value, (*keys, str(index)))


def faults(call: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    """The key that is wrong and what is wrong with it.

    A missing argument is no fault: ``instantiate`` may be given it.
    """
    name = call["_target_"]
    if "${" in name or name == "???":
        return
    try:
        target = _imported(name)
    except _NotFound as error:
        yield "_target_", f"'{name}' does not import: {error}"
        return
    if not callable(target):
        yield "_target_", f"'{name}' is no class or function"
        return
    try:
        parameters = inspect.signature(target).parameters.values()
    except (ValueError, TypeError):
        return  # written in C without a signature
    kinds = {parameter.kind for parameter in parameters}
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = call.get("_args_") if inspect.Parameter.VAR_POSITIONAL not in kinds else None
    if isinstance(given, list) and len(given) > len(positional):
        yield "_args_", f"'{name}' takes at most {len(positional)} positional arguments"
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return
    for key in call:
        if key not in KNOWN and key not in named:
            yield str(key), f"'{name}' takes no argument '{key}'{near(key, named)}"


class _NotFound(Exception):
    pass


def _imported(name: str) -> Any:
    """What a dotted name stands for, as Hydra looks it up."""
    parts = name.split(".")
    if not all(parts):
        raise _NotFound("it is no dotted name")
    found: Any = None
    for number, part in enumerate(parts):
        path = ".".join(parts[: number + 1])
        if found is not None and hasattr(found, part):
            found = getattr(found, part)
            continue
        try:
            if found is not None and not inspect.ismodule(found):
                raise ModuleNotFoundError(name=path)
            found = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path or found is None:
                raise _NotFound(f"there is no module '{error.name}'") from error
            known = [each for each in dir(found) if not each.startswith("_")]
            what = f"'{'.'.join(parts[:number])}' has no '{part}'{near(part, known)}"
            raise _NotFound(what) from error
        except Exception as error:
            raise _NotFound(f"{type(error).__name__}: {error}") from error
    return found
