"""A table taken in: types as the contract says, exact values, rows set aside, parts up to date."""

from __future__ import annotations

import csv
import datetime
import io
import math
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.config import PROJECT_ROOT, ReadConfig, TableConfig
from {{cookiecutter.package_name}}.data import sources
from {{cookiecutter.package_name}}.data.contracts import (
    ColumnRule,
    Contract,
    Freshness,
    RowRule,
    write_contract,
)
from {{cookiecutter.package_name}}.data.ingest import Ingested, ingest
from {{cookiecutter.package_name}}.errors import UserError


def take(path: Path, contract: Contract | None = None, **read: Any) -> Ingested:
    """Ingest ``path`` under ``contract``, written as a file beside it."""
    written = None
    if contract:
        written = str(path.parent / "contract.yaml")
        write_contract(contract, Path(written))
    return ingest(
        TableConfig(path=str(path), target="y", contract=written, read=ReadConfig(**read))
    )


def rows_of(taken: Ingested) -> list[tuple[Any, ...]]:
    files = [str(file) for file in taken.files]
    return duckdb.execute("SELECT * FROM read_parquet(?)", [files]).fetchall()


def quarantine(tables: Path) -> list[tuple[Any, ...]]:
    files = [str(path) for path in sorted((tables / "quarantine").rglob("*.parquet"))]
    return duckdb.execute("SELECT * FROM read_parquet(?)", [files]).fetchall() if files else []


def content(tables: Path) -> dict[str, bytes]:
    found = (path for path in tables.rglob("*") if path.is_file())
    return {str(p.relative_to(tables)): p.read_bytes() for p in found if p.suffix != ".lock"}


def cells(tmp_path: Path, rule: ColumnRule, texts: list[str]) -> Ingested:
    out = io.StringIO()
    csv.writer(out).writerows([["y", "n"], *([text, n] for n, text in enumerate(texts))])
    (tmp_path / "t.csv").write_text(out.getvalue())
    contract = Contract("t", {"y": rule, "n": ColumnRule("integer")}, policy="warn")
    return take(tmp_path / "t.csv", contract)


DATE, MOMENT = datetime.date, datetime.datetime


@pytest.mark.parametrize(
    ("rule", "read", "unread"),
    [
        (
            ColumnRule("integer"),
            {"1": 1, " -7 ": -7, "+5": 5, "-0": 0, "007": 7, "3.0": 3, "1e5": 10**5,
             "9007199254740993": 2**53 + 1, "-9223372036854775808": -(2**63)},
            ["1.5", "9223372036854775808", "1_000", "0x1F", "abc", "1 2", "9007199254740993.0"],
        ),
        (
            ColumnRule("number"),
            {"1.5": 1.5, " 2 ": 2.0, "1e5": 1e5, ".5": 0.5, "5.": 5.0, "+1": 1.0, "-1E-3": -1e-3},
            ["1,5", "1.2.3", "1_0.5", "1 000", "12:30", "abc"],
        ),
        (
            ColumnRule("number", decimal=","),
            {"1,5": 1.5, "1.234,5": 1234.5, "1 234,5": 1234.5, "7": 7.0, "1.234": 1234.0},
            ["1.5", "1,2,3", "1.23,4", "1_0,5"],
        ),
        (
            ColumnRule("boolean", true=["Ja"], false=["Nein"]),
            {"Ja": True, "nein": False, " JA ": True},
            ["yes", "1", "true"],
        ),
        (
            ColumnRule("date"),
            {"2026-01-05": DATE(2026, 1, 5), " 2026-1-5": DATE(2026, 1, 5),
             "2026-01-05 00:00:00": DATE(2026, 1, 5)},
            ["2026-02-30", "2026-01-05 10:00", "05.01.2026", "infinity", "20260105"],
        ),
        (
            ColumnRule("date", format="%d.%m.%Y"),
            {"05.01.2026": DATE(2026, 1, 5), "5.1.2026": DATE(2026, 1, 5)},
            ["2026-01-05", "13.13.2026", "05.01.2026 x"],
        ),
        (
            ColumnRule("datetime"),
            {"2026-01-05 10:00:00": MOMENT(2026, 1, 5, 10), "2026-01-05": MOMENT(2026, 1, 5),
             "2026-01-05T10:00:00.25": MOMENT(2026, 1, 5, 10, 0, 0, 250_000),
             "2026-01-05T10:00:00+02:00": MOMENT(2026, 1, 5, 8),
             "2026-01-05T10:00:00Z": MOMENT(2026, 1, 5, 10)},
            ["2026-01-05 25:00", "10:00", "yesterday"],
        ),
        (ColumnRule("text"), {" a ": " a ", "1_0": "1_0", "tab\there": "tab\there"}, []),
    ],
)  # fmt: skip
def test_cells_are_read_as_the_contract_says_or_told(
    tmp_path: Path, rule: ColumnRule, read: dict[str, Any], unread: list[str]
) -> None:
    missing = ["", "NA", " ?", "null "] if rule.type != "text" else ["", "NA"]
    taken = cells(tmp_path, rule, [*read, *unread, *missing])
    found = [row[0] for row in rows_of(taken)]
    assert found[: len(read)] == list(read.values())
    assert found[len(read) :] == [None] * (len(unread) + len(missing))
    said = [note for note in taken.notes if note.startswith("y, type")]
    assert bool(said) == bool(unread)
    if unread:
        assert f"{len(unread)} of {taken.rows_read} rows break it" in said[0]
    # The usual way and the careful one agree.
    for text, value in list(read.items())[:1]:
        assert rows_of(cells(tmp_path, rule, [text, "NA"]))[0][0] == value


def test_negative_zero_stays_and_infinite_numbers_count_as_missing(tmp_path: Path) -> None:
    taken = cells(
        tmp_path, ColumnRule("number"), ["-0", "-0.0", "inf", "1", "-Infinity", "NAN", "1e999"]
    )
    found = [row[0] for row in rows_of(taken)]
    assert [math.copysign(1, x) for x in found[:2]] == [-1, -1]
    assert found[2:] == [None, 1.0, None, None, None]
    assert "y: 3 infinite numbers count as missing" in taken.notes


@pytest.mark.parametrize("policy", ["warn", "set_aside"])
def test_rows_keep_their_order_whatever_the_threads_take_first(tmp_path: Path, policy: str) -> None:
    """Cells in doubt, and rows set aside, are found by joins, whose threads overtake each other."""
    columns = [f"x{i}" for i in range(20)]
    n = np.arange(300_000)
    table = {name: np.where(n % 10 == 3, np.nan, n) for name in columns}
    table |= {"n": n, "y": np.char.add("w", (n % 40).astype(str))}
    with pq.ParquetWriter(tmp_path / "t.parquet", pa.table(table).schema) as writer:
        for rows in (slice(0, 250_000), slice(250_000, None)):
            writer.write_table(pa.table({name: each[rows] for name, each in table.items()}))
    words = [f"w{i}" for i in range(39)]  # w39 is none of them
    rules = {"n": ColumnRule("integer"), "y": ColumnRule("text", values=words)}
    rules |= {name: ColumnRule("number") for name in columns}
    taken = take(tmp_path / "t.parquet", Contract("t", rules, policy=policy))
    found = [row[0] for row in rows_of(taken)]
    kept = range(300_000) if policy == "warn" else [n for n in range(300_000) if n % 40 != 39]
    assert found == list(kept)


def test_numbers_of_a_typed_table_stay_exact(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    duckdb.sql(
        "SELECT 9007199254740993::BIGINT AS a, 1.5::DECIMAL(9, 2) AS b, 'nan'::DOUBLE AS c, "
        "5::UTINYINT AS d, TIMESTAMPTZ '2026-01-05 10:00+02' AS e, [1, 2] AS f, "
        "'x'::ENUM('x') AS g "
        "UNION ALL SELECT 1, 2.5, 2.5, 6, NULL, NULL, NULL"
    ).write_parquet(str(path))
    taken = take(path)
    moment = MOMENT(2026, 1, 5, 8)
    assert rows_of(taken)[0] == (2**53 + 1, 1.5, None, 5, moment, "[1, 2]", "x")
    kinds = {name: rule.type for name, rule in taken.contract.columns.items()}
    assert kinds["a"] == "integer" and kinds["c"] == "number" and kinds["e"] == "datetime"


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufeff"),
    min_size=1, max_size=9,
).filter(lambda text: text not in sources.MISSING)  # fmt: skip
LATIN = st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]), min_size=1, max_size=9
).filter(lambda text: text not in sources.MISSING)
VALUES: dict[str, Any] = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "date": st.dates(DATE(1, 1, 1)),
    "datetime": st.datetimes(MOMENT(1, 1, 1)),
    "text": WORDS | WORDS.map(lambda text: f'{text}\n"{text}",;'),
}


@st.composite
def tables(draw: Any) -> tuple[dict[str, str], list[list[Any]], dict[str, Any]]:
    name = st.text("abcäß é", min_size=2, max_size=5).map(str.strip).filter(bool)
    names = draw(st.lists(name, min_size=1, max_size=5, unique_by=str.lower))
    encoding = draw(
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
    )
    types = {name: draw(st.sampled_from(sorted(VALUES))) for name in names}
    narrow = encoding in ("latin-1", "cp1252")
    values = {**VALUES, "text": LATIN.filter(lambda t: _encodes(t, encoding))} if narrow else VALUES
    cell = [values[kind] | st.none() for kind in types.values()]
    rows = draw(st.lists(st.tuples(*cell).map(list), min_size=1, max_size=8))
    dialect = {
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "encoding": encoding,
        "decimal": draw(st.sampled_from([".", ","])),
    }
    return types, rows, dialect


def _encodes(text: str, encoding: str) -> bool:
    try:
        return bool(text.encode(encoding))
    except UnicodeEncodeError:
        return False


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_a_frame_written_as_csv_comes_back_equal(table: Any) -> None:
    types, rows, dialect = table
    encoding, decimal = dialect.pop("encoding"), dialect.pop("decimal")
    rules = {
        name: ColumnRule(
            kind,
            decimal=decimal if kind in ("integer", "number") else ".",
            true=["wahr"] if kind == "boolean" else [],
            false=["falsch"] if kind == "boolean" else [],
        )
        for name, kind in types.items()
    }

    def written(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "wahr" if value else "falsch"
        return repr(value).replace(".", decimal) if isinstance(value, float) else str(value)

    out = io.StringIO(newline="")
    writer = csv.writer(out, **dialect)
    writer.writerow(types)
    writer.writerows([written(value) for value in row] for row in rows)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", folder)
        path = Path(folder) / "t.csv"
        path.write_bytes(out.getvalue().encode(encoding))
        taken = take(
            path,
            Contract("t", rules),
            header=True,
            delimiter=dialect["delimiter"],
            encoding=encoding,
        )
        found = rows_of(taken)
    wanted = [tuple(row) for row in rows]
    assert found == wanted
    for before, after in zip(wanted, found, strict=True):
        for one, other in zip(before, after, strict=True):
            if isinstance(one, float):
                assert math.copysign(1, one) == math.copysign(1, other)


AGES = Contract(
    "people",
    {
        "name": ColumnRule("text"),
        "age": ColumnRule("integer", minimum=0, maximum=120, policy="set_aside"),
        "born": ColumnRule("date"),
    },
    rules=[RowRule("not born in the future", "born < DATE '2030-01-01'", "set_aside")],
)
PEOPLE = "name,age,born\nAda,36,1815-12-10\nBob,-1,1990-01-01\nEve,x,1990-01-01\nMia,5,2040-01-01\n"


def test_rows_that_break_a_rule_are_set_aside_with_reasons_and_counted(
    tmp_path: Path, tables: Path
) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)
    taken = take(tmp_path / "people.csv", AGES)
    assert rows_of(taken) == [("Ada", 36, DATE(1815, 12, 10))]
    assert (taken.rows_read, taken.set_aside) == (4, 3)
    aside = quarantine(tables)
    assert [row[0] for row in aside] == ["Bob", "Eve", "Mia"]
    assert ["x"] in aside[1]  # as it was written
    assert "age: type" in str(aside[1]) and "not born in the future" in str(aside[2])
    assert any("3 of 4 rows set aside" in note for note in taken.notes)
    (tmp_path / "people.csv").write_text(PEOPLE.replace(",-1,", ",1,").replace("x", "7"))
    taken = take(tmp_path / "people.csv", AGES)
    assert (len(rows_of(taken)), len(quarantine(tables))) == (3, 1)


def test_a_broken_rule_stops_with_the_line_of_the_contract_and_leaves_nothing(
    tmp_path: Path, tables: Path
) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)
    columns = {**AGES.columns, "age": ColumnRule("integer", minimum=0)}
    with pytest.raises(UserError, match=r"(?s)age, type.*Eve.*contract\.yaml, line \d+"):
        take(tmp_path / "people.csv", Contract("people", columns))
    assert not list(tables.rglob("*.parquet")) and not list(tables.rglob(".writing-*"))


def folder_of(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "people"
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        (folder / f"{name}.csv").write_text(f"name,age,born\n{rows}")
    return folder


def test_a_part_with_other_columns_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="Ada,36,1815-12-10\n")
    (folder / "b.csv").write_text("nmae,age,since\nBob,1,2026-01-01\n")
    message = r"b\.csv: .* missing: name Did you mean 'nmae'\?, born; more: nmae, since\."
    with pytest.raises(UserError, match=message):
        take(folder, AGES)
    with pytest.raises(UserError, match=r"b\.csv: its columns are not those of a"):
        take(folder)
    (folder / "b.csv").write_text("born,name,age\n2026-01-01,Bob,1\n")  # another order is none
    assert rows_of(take(folder, AGES))[1] == ("Bob", 1, DATE(2026, 1, 1))


def test_parts_arrive_are_corrected_and_go(tmp_path: Path, tables: Path) -> None:
    folder = folder_of(tmp_path, b="Bob,1,1990-01-01\n")
    take(folder, AGES)
    folder_of(tmp_path, a="Ada,36,1815-12-10\n", c="Cyd,-5,1990-01-01\n")
    first = take(folder, AGES)
    assert [row[0] for row in rows_of(first)] == ["Ada", "Bob"]
    assert first.inputs == {folder / "a.csv": 1, folder / "b.csv": 1, folder / "c.csv": 1}
    before = {file.name: file.stat().st_ino for file in first.files}
    (folder / "b.csv").unlink()
    folder_of(tmp_path, c="Cyd,5,1990-01-01\n")
    second = take(folder, AGES)
    assert [row[0] for row in rows_of(second)] == ["Ada", "Cyd"]
    assert second.files[0].stat().st_ino == before[second.files[0].name]
    assert quarantine(tables) == []
    kept = content(tables)
    assert take(folder, AGES) == second and content(tables) == kept


def test_rows_that_repeat_one_of_another_part_are_found(tmp_path: Path, tables: Path) -> None:
    folder = folder_of(
        tmp_path, a="Ada,36,1815-12-10\n", b="Bob,1,1990-01-01\n", c="Ada,7,1990-01-01\n"
    )
    unique = {**AGES.columns, "name": ColumnRule("text", unique=True)}
    with pytest.raises(UserError, match=r"(?s)name, unique.*Ada"):
        take(folder, Contract("people", unique))
    unique["name"] = ColumnRule("text", unique=True, policy="set_aside")
    taken = take(folder, Contract("people", unique))
    assert [row[:2] for row in rows_of(taken)] == [("Ada", 36), ("Bob", 1)]
    assert (taken.rows_read, taken.set_aside) == (3, 1)
    assert quarantine(tables)[0][1] == 7 or 7 in quarantine(tables)[0]
    assert take(folder, Contract("people", unique)) == taken
    folder_of(tmp_path, c="Cyd,7,1990-01-01\n")
    taken = take(folder, Contract("people", unique))
    assert [row[0] for row in rows_of(taken)] == ["Ada", "Bob", "Cyd"]
    assert quarantine(tables) == [] and not list(tables.rglob("unrepeated/*"))


def test_a_table_that_is_too_small_or_too_old_stops(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="Ada,36,1815-12-10\n", b="Bob,1,1990-01-01\n")
    with pytest.raises(UserError, match="2 rows, fewer than 3"):
        take(folder, Contract("people", AGES.columns, fewest_rows=3))
    take(folder, Contract("people", AGES.columns, fewest_rows=2, most_rows=2))
    for _ in "12":  # also where nothing has changed since: it ages by itself
        with pytest.raises(UserError, match="the newest is of 1990-01-01"):
            take(folder, Contract("people", AGES.columns, freshness=Freshness("born", 30)))


def test_without_a_contract_one_is_inferred_from_all_parts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="Ada,36,1815-12-10\n", b="Bob,1.5,1990-01-01\n")
    taken = take(folder)
    assert taken.contract.columns["age"].type == "number"
    assert rows_of(taken) == [("Ada", 36.0, DATE(1815, 12, 10)), ("Bob", 1.5, DATE(1990, 1, 1))]
    assert take(folder) == taken
    folder_of(tmp_path, c="Cyd,old,1990-01-01\n")
    assert take(folder).contract.columns["age"].type == "text"


@pytest.mark.parametrize("rows", ["", "\n\n"])
def test_a_table_without_rows_is_refused(tmp_path: Path, rows: str) -> None:
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    for contract in (None, Contract("t", {"x": ColumnRule("text"), "y": ColumnRule("text")})):
        with pytest.raises(UserError, match="the table has no rows"):
            take(tmp_path / "t.csv", contract)


def test_a_source_of_ones_own_is_known_by_its_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Squares:
        text, label = False, "squares"

        def __init__(self, path: Path, config: TableConfig) -> None:
            self.count = int(path.read_text())

        def parts(self) -> list[sources.Part]:
            return [sources.Part("squares", str(self.count))]

        def open(self, con: Any, part: sources.Part, view: str) -> None:
            con.sql(f"SELECT i AS x, i * i AS y FROM range({self.count}) t(i)").create_view(view)

        def inputs(self) -> dict[Path, int | None]:
            return {}

    monkeypatch.setitem(sources.SUFFIXES, ".squares", Squares)
    (tmp_path / "t.squares").write_text("4")
    assert rows_of(take(tmp_path / "t.squares")) == [(0, 0), (1, 1), (2, 4), (3, 9)]


FAULTS = [
    b'"',
    b"'",
    b",",
    b";",
    b"\n",
    b"\r",
    b"\t",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\\",
    b"inf",
    b"1e400",
]


def damage(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) + 1)
        kind = chance.random()
        if kind < 0.5:
            content = content[:at] + chance.choice(FAULTS) + content[at:]
        elif kind < 0.7:
            content = content[:at] + content[at + chance.randint(1, 60) :]
        elif kind < 0.8:
            content = content[:at]
        else:
            content = content.replace(
                chance.choice([b",", b'"', b"\n", b"0"]), chance.choice(FAULTS)
            )
    return content


def read_or_refused(tmp_path: Path, tables: Path, seed: int) -> None:
    chance = random.Random(seed)
    rows = [f'{i},"n, {i % 7}",2024-01-{i % 28 + 1:02d},{i * 1.5}\n' for i in range(30)]
    text = "id,Näme,when,y\n" + "".join(rows)
    encoding = chance.choice(["utf-8", "utf-8", "latin-1", "utf-16", "utf-16-le"])
    path = tmp_path / f"t{seed}.csv"
    path.write_bytes(damage(text.encode(encoding), chance))
    try:
        assert take(path).rows_read > 0
    except UserError as error:
        assert path.name in str(error) and ".writing-" not in str(error)
        assert "Error:" not in str(error)  # in DuckDB's words
    assert not list(tables.rglob(".writing-*"))


def test_damaged_text_is_read_or_refused_by_its_name(tmp_path: Path, tables: Path) -> None:
    for seed in range(12):
        read_or_refused(tmp_path, tables, seed)


@pytest.mark.slow
def test_very_much_damaged_text_is_read_or_refused_by_its_name(
    tmp_path: Path, tables: Path
) -> None:
    for seed in range(1000, 1300):
        read_or_refused(tmp_path, tables, seed)


def test_a_killed_run_is_finished_by_the_next_with_the_same_bytes(
    tmp_path: Path, tables: Path
) -> None:
    folder = folder_of(
        tmp_path,
        a="Ada,36,1815-12-10\nBob,-3,1990-01-01\n",
        b="Cyd,x,1990-01-01\n",
        c="Dan,1,1990-01-01\n",
    )
    unique = {**AGES.columns, "born": ColumnRule("date", unique=True, policy="set_aside")}
    taken = take(folder, Contract("people", unique))
    wanted = content(tables)
    code = (
        "import os, signal, sys; from pathlib import Path; "
        f"sys.path.insert(0, {str(PROJECT_ROOT)!r})\n"
        "from {{cookiecutter.package_name}}.config import TableConfig\n"
        "from {{cookiecutter.package_name}}.data.ingest import ingest\n"
        "last, count = int(sys.argv[3]), 0\n"
        "def look(frame, event, argument):\n"
        "    global count\n"
        "    if frame.f_code.co_filename.endswith(('/data/ingest.py', '/runs/files.py')):\n"
        "        count += 1\n"
        "        if count == last: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return look\n"
        "sys.settrace(look)\n"
        "ingest(TableConfig(path=sys.argv[1], contract=sys.argv[2], target='y'))\n"
        "sys.settrace(None); print(count)\n"
    )

    def killed(line: int, where: Path) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-c",
            code,
            str(folder),
            str(tmp_path / "contract.yaml"),
            str(line),
        ]
        environment = {**os.environ, "DATA_DIR": str(where), "RUNS_DIR": str(tmp_path / "runs")}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=environment
        )

    done = killed(0, tmp_path / "other")
    assert content(tmp_path / "other") == wanted, done.stderr
    lines = int(done.stdout)
    config = TableConfig(path=str(folder), contract=str(tmp_path / "contract.yaml"), target="y")
    for share in (0.3, 0.6, 0.9):
        left = tmp_path / f"killed at {share}"
        assert killed(int(share * lines), left).returncode == -9
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATA_DIR", str(left))
            assert ingest(config).set_aside == taken.set_aside
        assert content(left) == wanted
