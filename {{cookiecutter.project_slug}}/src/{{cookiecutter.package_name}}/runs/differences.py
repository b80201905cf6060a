"""By how much two files that should be equal differ, in the terms of what they hold."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

TOLERANCE = 1e-6  # what numbers may differ by, relative to their size, on another kind of CPU
# Numbers below this size are compared as if they had it: a weight of 1e-18 is a zero.
_SMALLEST = 1e-6
_PIXEL = 2 / 255  # a picture of numbers within the tolerance may differ by this in a colour
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_ABSENT: Any = object()


@dataclass(frozen=True)
class Difference:
    """``what`` is for a person; ``size`` is 0 when the content is the same and only bytes differ,
    the largest relative difference when only numbers differ, and endless otherwise."""

    what: str
    size: float = math.inf

    @property
    def tolerable(self) -> bool:
        return self.size <= TOLERANCE


def difference(one: Path, other: Path) -> Difference:
    """What differs between ``one`` and ``other``, whose bytes do. A file that cannot be read as
    what its name says is compared as bytes."""
    reader = _READERS.get(one.suffix.lower())
    if reader is not None:
        try:
            return reader(one, other)
        except Exception:  # torn or mislabelled: its bytes can be compared all the same
            pass
    return _bytes(one.read_bytes(), other.read_bytes())


def _json(one: Path, other: Path) -> Difference:
    return _values(json.loads(one.read_text()), json.loads(other.read_text()))


def _values(one: Any, other: Any) -> Difference:
    largest: tuple[float, float, str] = (0.0, 0.0, "")
    numbers = 0
    for key, a, b in _leaves(one, other, ""):
        if type(a) is type(b) and a == b:
            continue
        if a is _ABSENT or b is _ABSENT:
            return Difference(f"{key}: only in the {'replay' if a is _ABSENT else 'run'}")
        if not (_is_number(a) and _is_number(b)):
            return Difference(f"{key}: {_short(a)} in the run, {_short(b)} in the replay")
        numbers += 1
        largest = max(largest, (_relative(a, b), _distance(a, b), key))
    if not numbers:
        return Difference("the same values, written in another way", 0.0)
    size, absolute, key = largest
    return Difference(
        f"{_count(numbers, 'number')} differ, most {key}: "
        f"by {absolute:.3g} ({size:.2g} of its size)",
        size,
    )


def _leaves(one: Any, other: Any, key: str) -> Iterable[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            below = f"{key}.{name}" if key else str(name)
            yield from _leaves(one.get(name, _ABSENT), other.get(name, _ABSENT), below)
    elif isinstance(one, list) and isinstance(other, list):
        for number, (a, b) in enumerate(zip_longest(one, other, fillvalue=_ABSENT)):
            yield from _leaves(a, b, f"{key}[{number}]")
    else:
        yield key or "the value", one, other


def _parquet(one: Path, other: Path) -> Difference:
    import pyarrow.parquet as pq

    a, b = pq.read_table(one), pq.read_table(other)
    if a.column_names != b.column_names:
        odd = sorted(set(a.column_names) ^ set(b.column_names))
        return Difference(f"columns differ: {', '.join(odd) or 'in their order'}")
    if a.num_rows != b.num_rows:
        return Difference(f"{a.num_rows:,} rows in the run, {b.num_rows:,} in the replay")
    found = [
        (size, f"column {name}: {words}")
        for name in a.column_names
        for size, words in [_column(a.column(name), b.column(name))]
        if words
    ]
    if not found:
        return Difference("the same rows, written in another way", 0.0)
    size, words = max(found, key=lambda each: each[0])
    more = f" ({len(found)} columns differ)" if len(found) > 1 else ""
    return Difference(words + more, size)


def _column(one: Any, other: Any) -> tuple[float, str]:
    if one.type != other.type:
        return math.inf, f"{one.type} in the run, {other.type} in the replay"
    a, b = one.to_pylist(), other.to_pylist()
    rows = [n for n, (x, y) in enumerate(zip(a, b, strict=True)) if not _same(x, y)]
    if not rows:
        return 0.0, ""
    if all(_is_number(a[n]) and _is_number(b[n]) for n in rows):
        size, row = max((_relative(a[n], b[n]), n) for n in rows)
        absolute = max(_distance(a[n], b[n]) for n in rows)
        return size, (
            f"{_count(len(rows), 'row')} of {len(a):,} differ by up to {absolute:.3g}, "
            f"most row {row:,} ({size:.2g} of its size)"
        )
    first = rows[0]
    return math.inf, (
        f"{_count(len(rows), 'row')} of {len(a):,} differ, the first row {first:,}: "
        f"{_short(a[first])} in the run, {_short(b[first])} in the replay"
    )


def _notebook(one: Path, other: Path) -> Difference:
    a, b = json.loads(one.read_text()), json.loads(other.read_text())
    worst: Difference | None = None
    for number, (x, y) in enumerate(zip_longest(a["cells"], b["cells"], fillvalue=_ABSENT), 1):
        if x == y:
            continue
        if x is _ABSENT or y is _ABSENT:
            return Difference(
                f"{len(a['cells'])} cells in the run, {len(b['cells'])} in the replay"
            )
        if _text(x["source"]) != _text(y["source"]):
            shown = _first_line(_text(x["source"]), _text(y["source"]))
            return Difference(f"cell {number} has another source: {shown}")
        found = _outputs(x.get("outputs", []), y.get("outputs", []))
        found = found or Difference("its metadata or number differs", 0.0)
        # The first cell is named, as the later ones follow from it; the worst one is judged.
        size = max(found.size, worst.size if worst else 0.0)
        worst = Difference(worst.what if worst else f"cell {number}: {found.what}", size)
    return worst or _values(a, b)


def _outputs(one: list[Any], other: list[Any]) -> Difference | None:
    """The largest difference between a cell's outputs; None when they are equal."""
    worst: Difference | None = None
    for x, y in zip_longest(one, other, fillvalue=_ABSENT):
        if x == y:
            continue
        if x is _ABSENT or y is _ABSENT or x["output_type"] != y["output_type"]:
            kinds = [[each["output_type"] for each in outputs] for outputs in (one, other)]
            words = [", ".join(each) or "nothing" for each in kinds]
            return Difference(f"its outputs are {words[0]} in the run, {words[1]} in the replay")
        first, second = _media(x), _media(y)
        for kind in dict.fromkeys([*first, *second]):
            a, b = first.get(kind), second.get(kind)
            if a == b:
                continue
            if a is None or b is None:
                return Difference(f"{kind} only in the {'replay' if a is None else 'run'}")
            if kind == "image/png":
                found = _pictures(base64.b64decode(a), base64.b64decode(b))
            else:
                found = _texts(a, b)
            if worst is None or found.size > worst.size:
                worst = found
    return worst


def _media(output: dict[str, Any]) -> dict[str, str]:
    if output["output_type"] == "stream":
        return {output["name"]: _text(output["text"])}
    if output["output_type"] == "error":
        return {"error": f"{output['ename']}: {output['evalue']}"}
    return {kind: _text(value) for kind, value in output["data"].items()}


def _text(value: Any) -> str:
    """nbformat keeps text as one string or as lines; other values are data such as JSON."""
    if isinstance(value, list):
        return "".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _plain(one: Path, other: Path) -> Difference:
    return _texts(one.read_text(), other.read_text())


def _texts(one: str, other: str) -> Difference:
    """Text that differs in its numbers alone has the size of their difference."""
    size = math.inf
    if _NUMBER.split(one) == _NUMBER.split(other):
        pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
        size = max((_relative(float(a), float(b)) for a, b in pairs), default=math.inf)
    return Difference(_first_line(one, other), size)


def _first_line(one: str, other: str) -> str:
    lines = zip_longest(one.splitlines(), other.splitlines(), fillvalue="nothing")
    number, a, b = next(
        ((n, a, b) for n, (a, b) in enumerate(lines, 1) if a != b), (1, "another ending", "another")
    )
    # From shortly before the first character that differs, so that long lines show it.
    start = next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    start = max(0, start - 20)
    return f"line {number}: {_short(a[start:])} in the run, {_short(b[start:])} in the replay"


def _png(one: Path, other: Path) -> Difference:
    return _pictures(one.read_bytes(), other.read_bytes())


def _pictures(one: bytes, other: bytes) -> Difference:
    import numpy as np
    from matplotlib.image import imread

    a, b = imread(io.BytesIO(one), format="png"), imread(io.BytesIO(other), format="png")
    if a.shape != b.shape:
        shapes = [f"{each.shape[1]} x {each.shape[0]}" for each in (a, b)]
        return Difference(f"a picture of {shapes[0]} in the run, {shapes[1]} in the replay")
    apart = np.abs(a - b).reshape(*a.shape[:2], -1).max(axis=2)
    if not apart.any():
        return Difference("the same picture, compressed in another way", 0.0)
    share, most = float((apart > 0).mean()), float(apart.max())
    words = f"{share:.2%} of the pixels differ, by at most {round(most * 255)} of 255"
    return Difference(words, 0.0 if most <= _PIXEL else math.inf)


def _booster(one: Path, other: Path) -> Difference:
    import xgboost

    models = [
        json.loads(bytes(xgboost.Booster(model_file=str(path)).save_raw("json")))
        for path in (one, other)
    ]
    return _values(models[0], models[1])


def _bytes(one: bytes, other: bytes) -> Difference:
    first = next(
        (n for n, (x, y) in enumerate(zip(one, other, strict=False)) if x != y),
        min(len(one), len(other)),
    )
    return Difference(
        f"{len(one):,} bytes in the run, {len(other):,} in the replay, "
        f"different from byte {first:,}"
    )


_READERS: dict[str, Callable[[Path, Path], Difference]] = {
    ".json": _json,
    ".parquet": _parquet,
    ".ipynb": _notebook,
    ".png": _png,
    ".ubj": _booster,
    **dict.fromkeys((".csv", ".html", ".md", ".txt", ".yaml", ".svg"), _plain),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)  # NaN is itself here


def _distance(one: float, other: float) -> float:
    try:
        return abs(float(one) - float(other))
    except OverflowError:  # whole numbers have no bound
        return math.inf


def _relative(one: float, other: float) -> float:
    distance = _distance(one, other)
    if not math.isfinite(distance):
        return math.inf
    return distance / max(abs(float(one)), abs(float(other)), _SMALLEST)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _short(value: Any, most: int = 60) -> str:
    text = value if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return repr(text if len(text) <= most else text[: most - 1] + "…")
