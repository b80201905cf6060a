"""A table taken in: from its source, through its contract, to Parquet files of typed columns.

On disk, below ``data/``::

    tables/<name>-<key>/table.json               what has been made of what
    tables/<name>-<key>/<part>-<hash>.parquet    the rows of a part, in their order
    quarantine/<name>-<key>/<part>-<hash>.parquet  rows set aside, with "#reasons"

It is incremental by part and gives the same bytes again: see :mod:`.etl.refresh`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import TableConfig
from ..errors import UserError, nearest
from ..runs.files import atomic_path
from .contracts import (
    ColumnRule,
    Contract,
    Freshness,
    Report,
    RowRule,
    check,
    divide,
    read_contract,
    without,
)
from .contracts.sql import literal, quoted
from .etl.cast import ENDLESS, REFUSED, cast_carefully, cast_usual, odd_columns
from .etl.connection import connect, connects, copy, temporary_folder
from .etl.refresh import Done, file_of, keep, read_state, refresh
from .folders import quarantine_folder, tables_folder
from .sources import MISSING, Part, Source, label_of, locate, notes_of, opened, reading
from .sources.base import code_version, digest, file_name

if TYPE_CHECKING:
    import duckdb

    from .profile import Profile

_HERE = Path(__file__).parent
_MOST_NOTES = 20
_PART = "#part"


@dataclass(frozen=True)
class Ingested:
    """A table as it lies on disk.

    Attributes:
        folder: where it lies.
        files: Parquet, in the order of their rows; columns and types are those of the contract.
        contract: what holds of the rows.
        rows_read: rows of the source; those of ``files`` and those set aside.
        set_aside: rows that are in quarantine.
        notes: what was decided about the rows, for a person.
        inputs: the files of the source, with their rows.
    """

    folder: Path
    files: list[Path]
    contract: Contract
    rows_read: int
    set_aside: int
    notes: list[str]
    inputs: dict[Path, int]


def ingest(config: TableConfig, without_target: bool = False) -> Ingested:
    """Bring the table of ``config`` up to date on disk and say what is there.

    Parts of the source that are new or corrected are read, checked against the contract
    (``config.contract``, or one inferred from all rows) and written; the others stay.
    ``without_target`` is for rows that are to be scored: whether they have one, and what is in it,
    does not matter, nor how many rows there are and how old.

    Raises:
        UserError: the table is missing, empty or no table; a part has other columns; or a rule of
            the contract is broken that stops.
    """
    with opened(config) as (source, parts):
        return _ingest(config, source, parts, [config.target] if without_target else [])


def _ingest(
    config: TableConfig, source: Source, parts: Sequence[Part], unseen: Sequence[str]
) -> Ingested:
    name = _name(config)
    key = digest(source.label, asdict(config.read), config.contract, *unseen)
    folder = tables_folder() / f"{name}-{key[:10]}"
    contract, written = _contract(config, source, parts, folder, name)
    if unseen:
        contract = replace(without(contract, unseen), fewest_rows=0, most_rows=None, freshness=None)
    work = _Work(source, contract, written, folder, config.read.missing, unseen)
    with connects(folder) as connection:

        def make(part: Part, path: Path) -> dict[str, Any]:
            return work.make(connection(), part, path)

        done = refresh(folder, parts, work.recipe, make, f"reading {name}")
    rows = sum(each.facts["rows"] for each in done.values())
    if not rows:
        raise UserError(f"{source.label}: the table has no rows.")
    whole = work.make_whole(done)
    aside = rows - whole["rows"]
    notes = [*notes_of(source), *_notes(done), *whole["notes"]]
    if aside:
        notes.append(f"{aside} of {rows} rows set aside, with the reasons in {work.quarantine}")
    files = [folder / file for file in whole["files"]]
    return Ingested(folder, files, contract, rows, aside, notes, _inputs(source, parts, done))


@dataclass(frozen=True)
class _Work:
    """What is done with each part of a table, and then with all of them together."""

    source: Source
    contract: Contract
    written: Path | None  # the contract's file, if it has one
    folder: Path
    missing: Sequence[str]
    unseen: Sequence[str] = ()  # columns that may be there, and are not looked at

    @property
    def recipe(self) -> str:
        """What the files depend on besides the rows: the contract, this code, the library."""
        import duckdb

        code = (_HERE / "ingest.py", _HERE / "written.py", _HERE / "etl", _HERE / "contracts")
        return digest(
            asdict(self.contract), list(self.missing), duckdb.__version__, code_version(*code)
        )

    @property
    def quarantine(self) -> Path:
        return quarantine_folder() / self.folder.name

    def make(self, con: duckdb.DuckDBPyConnection, part: Part, path: Path) -> dict[str, Any]:
        """Write the rows of ``part`` that are in order to ``path``, the others to quarantine."""
        import duckdb

        raw, endless, aside = f"{part.name}, as it is", {}, 0
        with temporary_folder(self.folder) as scratch, reading(self.source, part):
            self.source.open(con, part, raw)
            raw = _unseen(con, raw, self.unseen)
            _require_columns(con, raw, self.contract, label_of(self.source, part))
            cast_usual(con, raw, self.contract, "typed")
            rows, columns, doubtful = path, "*", False
            try:
                # One pass, as in most tables no cell is in doubt.
                copy(con, 'SELECT * FROM "typed"', path)
            except duckdb.Error as error:
                if REFUSED not in str(error):
                    raise
                rows, columns, doubtful = scratch / "cast", f"* EXCLUDE ({quoted(ENDLESS)})", True
                odd = odd_columns(con, raw, self.contract)
                cast_carefully(con, raw, self.contract, (*MISSING, *self.missing), odd, "typed")
                copy(con, 'SELECT * FROM "typed"', rows)
                endless = _endless(con, rows)
            _view(con, "rows", [rows], columns)
            report = check(con, "rows", self.contract, f"read from {part.name}", scope="part")
            report.raise_if_stopped(self.written)
            if doubtful or _divides(report):
                kept, others = divide(con, "rows", self.contract, report)
                aside = report.rows - copy(con, f"SELECT * FROM {quoted(kept)}", scratch / "kept")
                if aside:
                    self._set_aside(con, others, file_of(part, self.recipe))
                (scratch / "kept").replace(path)
        return {"rows": report.rows, "aside": aside, "endless": endless, "notes": report.notes()}

    def make_whole(self, done: Mapping[str, Done]) -> dict[str, Any]:
        """Check what only all parts together can break: repeated rows, their number, their age.

        Returns:
            The files of the table, relative to its folder; the rows in them; and notes.
        """
        files = [each.file for each in done.values()]
        of = digest(files, self.recipe)
        known = read_state(self.folder)[1].get("whole", {})
        if known.get("of") == of and all((self.folder / file).is_file() for file in known["files"]):
            found = known
        else:
            found = {"of": of, **self._unrepeated(done, of)}
        self._clear(done, found)
        if known != found or self.contract.freshness:  # a table ages without a change
            rest = _without_uniqueness(self.contract)
            with connect(self.folder) as con, reading(self.source):
                _view(con, "rows", [self.folder / file for file in found["files"]])
                report = check(con, "rows", rest, "read", scope="whole")
            report.raise_if_stopped(self.written)
            found = {**found, "rows": report.rows, "notes": [*found["repeats"], *report.notes()]}
        keep(self.folder, whole=found)
        return found

    def _unrepeated(self, done: Mapping[str, Done], of: str) -> dict[str, Any]:
        """The files without rows that repeat one of another part, if such are to be set aside."""
        files = [each.file for each in done.values()]
        if len(files) < 2 or not _is_unique(self.contract):
            return {"files": files, "repeats": [], "quarantine": None}
        with connect(self.folder) as con, reading(self.source):
            unions = " UNION ALL ".join(
                f"SELECT {number} AS {quoted(_PART)}, * FROM read_parquet({literal(str(path))})"
                for number, path in enumerate(self.folder / file for file in files)
            )
            con.execute(f'CREATE TEMP VIEW "rows" AS {unions}')
            only = replace(self.contract, freshness=None, fewest_rows=0, most_rows=None)
            report = check(con, "rows", only, "read", scope="whole")
            report.raise_if_stopped(self.written)
            if not _divides(report):
                return {"files": files, "repeats": report.notes(), "quarantine": None}
            kept, others = divide(con, "rows", self.contract, report)
            name = f"repeated-{of[:12]}.parquet"
            self._set_aside(con, others, name)
            again = []
            for number, file in enumerate(files):
                again.append(f"unrepeated/{Path(file).stem}-{of[:12]}.parquet")
                with atomic_path(self.folder / again[-1], synced=False) as temporary:
                    columns = f"* EXCLUDE ({quoted(_PART)})"
                    rows = f"FROM {quoted(kept)} WHERE {quoted(_PART)} = {number}"
                    copy(con, f"SELECT {columns} {rows}", temporary)
        return {"files": again, "repeats": report.notes(), "quarantine": name}

    def _set_aside(self, con: duckdb.DuckDBPyConnection, view: str, name: str) -> None:
        with atomic_path(self.quarantine / name) as temporary:
            copy(con, f"SELECT * FROM {quoted(view)}", temporary)

    def _clear(self, done: Mapping[str, Done], whole: Mapping[str, Any]) -> None:
        """Remove what was set aside, or freed of repeated rows, from parts that are no more so."""
        ours = {each.file for each in done.values()}
        ours |= {whole["quarantine"], *(Path(file).name for file in whole["files"])}
        for folder in (self.quarantine, self.folder / "unrepeated"):
            for path in folder.glob("*") if folder.is_dir() else ():
                if path.name not in ours:
                    path.unlink(missing_ok=True)


def _name(config: TableConfig) -> str:
    plain = Path(config.path.removesuffix(".gz"))
    return file_name(config.table or plain.stem or "table")


def _contract(
    config: TableConfig, source: Source, parts: Sequence[Part], folder: Path, name: str
) -> tuple[Contract, Path | None]:
    """The contract that is written, with its file; or the one that all rows there are suggest."""
    if config.contract:
        path = locate(config.contract, "data.contract")
        return read_contract(path), path
    of = digest(
        [[part.name, part.version] for part in parts],
        code_version(_HERE / "profile.py", _HERE / "written.py", _HERE / "contracts"),
    )
    known = read_state(folder)[1].get("inferred", {})
    if known.get("of") != of:
        known = {"of": of, "contract": asdict(_infer(source, parts, folder, name))}
        keep(folder, inferred=known)
    return _from_dict(known["contract"]), None


def profile_source(config: TableConfig) -> Profile:
    """What the table of ``config`` holds as it comes: how its text is written, say.

    Raises:
        UserError: as for :func:`ingest`.
    """
    with opened(config) as (source, parts):
        return _profile(source, parts, tables_folder())


def _profile(source: Source, parts: Sequence[Part], folder: Path) -> Profile:
    from .profile import profile

    with connect(folder) as con:
        columns: list[str] = []
        for number, part in enumerate(parts):
            with reading(source, part):
                source.open(con, part, f"part {number}")
                described = con.execute(f"DESCRIBE {quoted(f'part {number}')}").fetchall()
            names = [column for column, *_ in described]
            columns = columns or names
            _require_same(names, columns, label_of(source, part), f"those of {parts[0].name}")
        with reading(source):
            unions = " UNION ALL BY NAME ".join(
                f"SELECT * FROM {quoted(f'part {number}')}" for number in range(len(parts))
            )
            con.execute(f'CREATE TEMP VIEW "all parts" AS {unions}')
            described = con.execute('DESCRIBE "all parts"').fetchall()
            finite = ", ".join(
                f"{_comparable(c, kind)} AS {c}"
                for c, kind in ((quoted(column), kind) for column, kind, *_ in described)
            )
            con.execute(f'CREATE TEMP VIEW "rows" AS SELECT {finite} FROM "all parts"')
            if con.execute('SELECT 1 FROM "rows" LIMIT 1').fetchone() is None:
                raise UserError(f"{source.label}: the table has no rows.")
            return profile(con, "rows", source.text)


def _comparable(column: str, kind: str) -> str:
    """A column as it will be cast: infinite numbers and NaN are missing, moments those of UTC."""
    if kind in ("FLOAT", "DOUBLE"):
        return f"CASE WHEN isfinite({column}) THEN {column} END"
    return f"timezone('UTC', {column})" if kind == "TIMESTAMP WITH TIME ZONE" else column


def _infer(source: Source, parts: Sequence[Part], folder: Path, name: str) -> Contract:
    from .profile import infer_contract

    found = _profile(source, parts, folder)
    contract = infer_contract(found, name)
    rules = {
        each.name: replace(contract.columns[each.name], nullable=True)
        for each in found.columns
        if each.endless
    }
    return replace(contract, columns={**contract.columns, **rules})


def _from_dict(saved: Mapping[str, Any]) -> Contract:
    columns = {name: ColumnRule(**rule) for name, rule in saved["columns"].items()}
    rules = [RowRule(**rule) for rule in saved["rules"]]
    freshness = Freshness(**saved["freshness"]) if saved["freshness"] else None
    return Contract(**{**saved, "columns": columns, "rules": rules, "freshness": freshness})


def _unseen(con: duckdb.DuckDBPyConnection, view: str, columns: Sequence[str]) -> str:
    """A view without those of ``columns`` that it has."""
    there = {name for name, *_ in con.execute(f"DESCRIBE {quoted(view)}").fetchall()}
    if not (gone := [quoted(name) for name in columns if name in there]):
        return view
    rest = f"{view}, seen"
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW {quoted(rest)} AS "
        f"SELECT * EXCLUDE ({', '.join(gone)}) FROM {quoted(view)}"
    )
    return rest


def _require_columns(
    con: duckdb.DuckDBPyConnection, view: str, contract: Contract, label: str
) -> None:
    names = [name for name, *_ in con.execute(f"DESCRIBE {quoted(view)}").fetchall()]
    _require_same(
        names, list(contract.columns), label, f"those of the contract of {contract.table}"
    )


def _require_same(names: Sequence[str], wanted: Sequence[str], label: str, whose: str) -> None:
    """Refuse columns that are missing or unknown; their order may be another."""
    missing = [f"{name}{nearest(name, names)}" for name in wanted if name not in names]
    unknown = [name for name in names if name not in wanted]
    if not missing and not unknown:
        return
    parts = [
        f"missing: {_some(missing)}" if missing else "",
        f"more: {_some(unknown)}" if unknown else "",
    ]
    raise UserError(
        f"{label}: its columns are not {whose}: {'; '.join(filter(None, parts))}. "
        "Mend the file, or the contract."
    )


def _some(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def _view(
    con: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], columns: str = "*"
) -> None:
    listed = ", ".join(literal(str(file)) for file in files)
    query = f"SELECT {columns} FROM read_parquet([{listed}])"
    con.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {query}")


def _endless(con: duckdb.DuckDBPyConnection, staged: Path) -> dict[str, int]:
    name = quoted(ENDLESS)
    counted = con.execute(
        f"SELECT name, count(*) FROM (SELECT unnest({name}) AS name FROM "
        f"read_parquet({literal(str(staged))})) GROUP BY name ORDER BY name"
    )
    return dict(counted.fetchall())


def _divides(report: Report) -> bool:
    return any(breach.count for breach in report.of("set_aside"))


def _is_unique(contract: Contract) -> bool:
    return bool(contract.unique) or any(rule.unique for rule in contract.columns.values())


def _without_uniqueness(contract: Contract) -> Contract:
    columns = {name: replace(rule, unique=False) for name, rule in contract.columns.items()}
    return replace(contract, columns=columns, unique=[])


def _notes(done: Mapping[str, Done]) -> list[str]:
    endless: dict[str, int] = {}
    notes = []
    for name, each in done.items():
        for column, count in each.facts["endless"].items():
            endless[column] = endless.get(column, 0) + count
        notes += [f"{name}: {text}" if len(done) > 1 else text for text in each.facts["notes"]]
    if len(notes) > _MOST_NOTES:
        notes = [*notes[:_MOST_NOTES], f"… and {len(notes) - _MOST_NOTES} more such notes"]
    counted = [
        f"{name}: {count} infinite numbers count as missing" for name, count in endless.items()
    ]
    return notes + counted


def _inputs(source: Source, parts: Sequence[Part], done: Mapping[str, Done]) -> dict[Path, int]:
    """The source's files with their rows: those of the part that is read from a file."""
    rows: dict[Path, int] = {}
    path_of = getattr(source, "path", None)
    for part in parts if path_of else ():
        path = path_of(part)  # type: ignore[misc]
        rows[path] = rows.get(path, 0) + done[part.name].facts["rows"]
    return {path: rows.get(path, count or 0) for path, count in source.inputs().items()}
