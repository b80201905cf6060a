"""Your own table: read a CSV or Parquet file, infer what its columns are, and say so.

Nothing is guessed silently: each decision is a note, and a column that gives the target away stops
the run (:mod:`.leaks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pandas.api import types

from ..config import PROJECT_ROOT, TableConfig
from ..errors import UserError, nearest
from .examples import Task

Role = Literal["target", "numeric", "boolean", "category", "date", "id", "constant", "text", "excluded"]
MAX_CLASSES = 50
_LEARNABLE = ("numeric", "boolean", "category", "date")
_LARGEST = 3e38  # what single precision holds, and the boosting library computes with
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?"]


@dataclass(frozen=True)
class Column:
    """One column and the role inferred for it, with the reason."""

    name: str
    role: Role
    why: str


@dataclass(frozen=True)
class Table:
    """A table with typed columns; rows without a target have been set aside."""

    path: Path
    frame: pd.DataFrame
    columns: list[Column]
    task: Task
    rows_read: int
    notes: list[str]

    def named(self, *roles: Role) -> list[str]:
        return [column.name for column in self.columns if column.role in roles]


def read_table(config: TableConfig) -> Table:
    """Read ``config.path`` and infer the role of every column and the task.

    Raises:
        UserError: the file is missing, empty or no table, the target is absent or has one value,
            or a column that is named in the configuration does not exist.
    """
    path = resolve(config.path)
    frame = _read(path)
    rows_read = len(frame)
    for key in ("target", "group", "time"):
        name = getattr(config, key)
        if name is not None:
            _require(name, frame, f"data.{key}={name}", path)
    for key in ("exclude", "keep"):
        for name in getattr(config, key):
            _require(name, frame, f"data.{key}={name}", path)

    frame, notes = _bounded(frame)
    for name in dict.fromkeys(filter(None, (config.target, config.group, config.time))):
        missing = frame[name].isna()
        if missing.all():
            raise UserError(f"{path}: no row has a value of {name}.")
        if missing.any():
            notes.append(f"{int(missing.sum())} of {rows_read} rows set aside: no {name}")
            frame = frame[~missing].reset_index(drop=True)
    frame = frame.apply(_typed)
    if config.time and not _orders(frame[config.time]):
        raise UserError(f"data.time={config.time}: holds neither dates nor numbers.")
    task = _task(frame[config.target], config)
    columns = [_column(frame, name, config) for name in frame.columns]
    if not any(column.role in _LEARNABLE for column in columns):
        why = "; ".join(f"{c.name}: {c.why}" for c in columns if c.role != "target")
        raise UserError(f"{path}: no column is left to learn from. {why}.")
    read_as = {"numeric": "numbers", "boolean": "true or false", "category": "categories", "date": "dates"}
    for role, words in read_as.items():
        if names := [column.name for column in columns if column.role == role]:
            notes.append(f"read as {words}: {', '.join(names)}")
    notes += [
        f"{c.name}: set aside, {c.why}"
        for c in columns
        if c.role in ("id", "constant", "text", "excluded")
    ]
    return Table(path, frame, columns, task, rows_read, notes)


def resolve(path: str) -> Path:
    """``path`` as given, or below the project where it is not found from the working directory.

    Raises:
        UserError: there is no such file.
    """
    given = Path(path).expanduser()
    for candidate in (given, PROJECT_ROOT / given):
        if candidate.is_file():
            return candidate.resolve()
    folder = given.parent if given.parent.is_dir() else PROJECT_ROOT
    hint = nearest(given.name, (p.name for p in folder.iterdir()))
    raise UserError(f"data.path={path}: there is no such file, seen from {Path.cwd()}.{hint}")


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        else:
            frame = _read_csv(path)
    except UserError:
        raise
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text (byte {error.start}). "
            "Give a CSV saved as UTF-8, or a .parquet file."
        ) from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not a readable table ({error}).") from error
    if frame.empty:
        raise UserError(f"{path}: the table has no rows.")
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open("rb") as file:
        start = file.read(65_536)
    if not start.strip():
        raise UserError(f"{path}: the file is empty.")
    if b"\0" in start:
        raise UserError(f"{path}: not text. Give a CSV saved as UTF-8, or a .parquet file.")
    header = start.decode("utf-8-sig", errors="replace").splitlines()[0]
    separator = max(",;\t|", key=header.count)
    return pd.read_csv(
        path, sep=separator, encoding="utf-8-sig", na_values=_MISSING, keep_default_na=False
    )


def _bounded(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with infinite numbers as missing ones, and a note for each column that had some."""
    notes, bounded = [], {}
    for name, column in frame.items():
        if types.is_float_dtype(column) and (endless := column.abs() > _LARGEST).any():
            notes.append(f"{name}: {int(endless.sum())} infinite numbers count as missing")
            column = column.where(~endless)
        bounded[name] = column
    return pd.DataFrame(bounded), notes


def _require(name: str, frame: pd.DataFrame, what: str, path: Path) -> None:
    if name not in frame.columns:
        names = [str(column) for column in frame.columns]
        shown = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
        raise UserError(f"{what}: no such column in {path}. It has: {shown}.{nearest(name, names)}")


def _typed(column: pd.Series) -> pd.Series:
    """Text that holds dates becomes dates; words for true and false stay words."""
    if not types.is_string_dtype(column) and column.dtype != object:
        return column
    text = column.dropna().astype(str)
    if len(text) and text.head(100).str.contains(r"^\d{4}-\d\d?-\d\d?", regex=True).all():
        dates: Any = pd.to_datetime(column, errors="coerce", format="ISO8601")
        if dates.notna().sum() == len(text):
            return pd.Series(dates, index=column.index, name=column.name)
    return column.astype("str").where(column.notna())


def _orders(column: pd.Series) -> bool:
    return types.is_datetime64_any_dtype(column) or types.is_numeric_dtype(column)


def _task(target: pd.Series, config: TableConfig) -> Task:
    values = target.nunique()
    name = config.target
    if values < 2:
        only = target.iloc[0] if len(target) else "nothing"
        raise UserError(
            f"data.target={name}: every row has the same value ({only}). There is nothing to predict."
        )
    numeric = types.is_numeric_dtype(target) and not types.is_bool_dtype(target)
    whole = numeric and bool((target % 1 == 0).all())
    if types.is_datetime64_any_dtype(target):
        raise UserError(f"data.target={name}: a date. Predict a number of days or a class instead.")
    if config.task == "auto":
        if values == 2:
            return "binary"
        if numeric and not (whole and values <= 10):
            return "regression"
        if values <= MAX_CLASSES:
            return "multiclass"
        raise UserError(
            f"data.target={name}: {values} different texts, more than {MAX_CLASSES} classes. "
            "Is it an identifier? Choose another target, or group its values."
        )
    if config.task == "regression" and not numeric:
        raise UserError(f"data.task=regression: {name} is not a number.")
    if config.task == "binary" and values != 2:
        raise UserError(f"data.task=binary: {name} has {values} different values.")
    if config.task == "multiclass" and values > MAX_CLASSES:
        raise UserError(f"data.task=multiclass: {name} has {values} values, over {MAX_CLASSES}.")
    return config.task  # type: ignore[return-value]  # _check_bounds has seen it


def _column(frame: pd.DataFrame, name: str, config: TableConfig) -> Column:
    column = frame[name]
    values, filled = column.nunique(), int(column.notna().sum())
    if name == config.target:
        return Column(name, "target", "")
    if name in config.exclude:
        return Column(name, "excluded", "as data.exclude says")
    if name == config.group:
        return Column(name, "id", "it names the group")
    if values <= 1:
        return Column(name, "constant", "empty" if values == 0 else f"always {column.dropna().iloc[0]}")
    if types.is_datetime64_any_dtype(column):
        return Column(name, "date", "dates")
    if types.is_bool_dtype(column) or set(column.dropna().unique()) <= {"True", "False"}:
        return Column(name, "boolean", "true or false")
    unique = values == filled == len(frame) and len(frame) > 20
    if types.is_numeric_dtype(column):
        whole = bool((column.dropna() % 1 == 0).all())
        if unique and whole and (column.is_monotonic_increasing or name.lower().endswith("id")):
            return Column(name, "id", "a different whole number in every row")
        return Column(name, "numeric", f"{values} different numbers")
    if unique:
        return Column(name, "id", "a different text in every row")
    if values > 50 and values > filled / 2:
        return Column(name, "text", f"free text, {values} different values in {filled} rows")
    return Column(name, "category", f"{values} categories")
