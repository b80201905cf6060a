"""Sources: what is read as it is meant, and what is refused with file, line and fix."""

from __future__ import annotations

import gzip
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT, ReadConfig, TableConfig
from {{cookiecutter.package_name}}.data.etl.connection import connect
from {{cookiecutter.package_name}}.data.sources import (
    Source,
    notes_of,
    open_source,
    reading,
)
from {{cookiecutter.package_name}}.errors import UserError

from .memory import needs_peak

XY = b"x,y\n1,a\n2,b\n"
ROWS = [("1", "a"), ("2", "b")]


def config(path: Path | str, table: str | None = None, **read: Any) -> TableConfig:
    return TableConfig(path=str(path), table=table, target="y", read=ReadConfig(**read))


def rows_of(source: Source) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns of the first part, and the rows of all."""
    columns: list[str] = []
    rows: list[tuple[Any, ...]] = []
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder)) as con:
        for part in source.parts():
            with reading(source, part):
                source.open(con, part, "some view")
                columns = columns or [
                    row[0] for row in con.execute('DESCRIBE "some view"').fetchall()
                ]
                rows += con.execute('SELECT * FROM "some view"').fetchall()
    if close := getattr(source, "close", None):
        close()
    return columns, rows


def read(tmp_path: Path, content: bytes, name: str = "t.csv", **read: Any) -> Any:
    path = tmp_path / name
    path.write_bytes(content)
    return rows_of(open_source(config(path, **read)))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (XY, ROWS),
        (b"\xef\xbb\xbf" + XY, ROWS),
        (XY.replace(b"\n", b"\r\n"), ROWS),
        (XY.replace(b"\n", b"\r"), ROWS),
        (XY.replace(b"a\n", b"a\r\n"), ROWS),
        (b"\n \n" + XY.replace(b"1", b"\n1") + b"\n\n", ROWS),
        (XY.replace(b",", b";"), ROWS),
        (XY.replace(b",", b"\t"), ROWS),
        (XY.replace(b",", b"|"), ROWS),
        (XY.replace(b",", b"^"), ROWS),
        (XY.replace(b",", b" "), ROWS),
        (b'x,y\n"1","a"\n"2",b', ROWS),
        (b"x,y\n'1','a,b'\n'2','c'\n", [("1", "a,b"), ("2", "c")]),
        (b'x,y\n1,"a\n""b"", c"\n2,5" pipe\n', [("1", 'a\n"b", c'), ("2", '5" pipe')]),
        (b'x,y\n1,"a\\"b"\n2,"c"\n', [("1", 'a"b'), ("2", "c")]),
        (b'x,y\r\n1,"a\nb\r\nc"\r\n', [("1", "a\nb\r\nc")]),
        (b"x;y\n1,5;2\n2,5;3\n", [("1,5", "2"), ("2,5", "3")]),
        (b"x,y\n1,NA\nn/a,\n?,-\n", [("1", None), (None, None), (None, "-")]),
        (gzip.compress(XY), ROWS),
    ],
)  # fmt: skip
def test_text_is_read_as_it_is_written(tmp_path: Path, content: bytes, rows: Any) -> None:
    assert read(tmp_path, content) == (["x", "y"], rows)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be",
                                      "utf-32", "latin-1", "cp1252"])  # fmt: skip
def test_the_encoding_is_found(tmp_path: Path, encoding: str, zipped: bool) -> None:
    content = 'Größe,Ort\n1,"Köln\r\nDüsseldorf"\n2,Besançon\n'.encode(encoding)
    columns, rows = read(tmp_path, gzip.compress(content) if zipped else content)
    assert columns == ["Größe", "Ort"]
    assert rows == [("1", "Köln\r\nDüsseldorf"), ("2", "Besançon")]


def test_another_alphabet_is_told_by_its_letters_and_said(tmp_path: Path) -> None:
    content = ("имя,лет\n" + "Иван Петрович,1\nМария Ивановна,2\n" * 20).encode("cp1251")
    (tmp_path / "t.csv").write_bytes(content)
    source = open_source(config(tmp_path / "t.csv"))
    assert rows_of(source)[1][0] == ("Иван Петрович", "1")
    assert "t.csv: read as cp1251, not UTF-8" in notes_of(source)


def test_a_named_encoding_is_taken(tmp_path: Path) -> None:
    content = "x,y\nИван,1\n".encode("koi8-r")
    assert read(tmp_path, content, encoding="koi8-r")[1] == [("Иван", "1")]


@needs_peak
def test_a_large_file_is_recoded_without_being_held_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("wb") as file:
        file.write("x,y\r\n".encode("utf-16"))
        for n in range(64):
            lines = "".join(f'"ä{n}\n",{i}\r\n' for i in range(20_000))
            file.write(lines.encode("utf-16-le"))
    code = (
        "import sys; from pathlib import Path; from tests.memory import peak; "
        "from {{cookiecutter.package_name}}.data.sources.survey "
        "import copy_plain, survey; "
        "path, to = map(Path, sys.argv[1:]); "
        "before = peak(); "
        "copy_plain(path, survey(path, None), to); "
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "t.csv"), str(tmp_path / "to.csv")],
        capture_output=True, text=True, check=True, cwd=PROJECT_ROOT,
    )  # fmt: skip
    assert int(done.stdout) < 20_000  # KiB; the file has 34 MB, its text as much
    copied = (tmp_path / "to.csv").read_bytes()
    assert copied.startswith('x,y\n"ä0\n",0\n'.encode()) and copied.count(b"\r") == 0
    assert copied.count(b"\n") == 1 + 2 * 64 * 20_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t.csv: the file is empty"),
        (b" \r\n\n", "t.csv: the file is empty"),
        ("\ufeff\n".encode("utf-16"), "t.csv: the file is empty"),
        (b"\0\1\2", "t.csv: not text"),
        (b"x,y\n1,2\n" + b"\x00\x05" * 99, "t.csv: not text"),
        (b"x,y\n" + b"1,2\n" * 90_000 + b"\0", "t.csv: not text"),
        (bytes(range(256)), "t.csv: not text"),
        (b"PK\3\4xyz", "t.csv: not text but a zip archive or an Excel workbook"),
        (gzip.compress(XY * 9)[:-15], "t.csv: not a readable table: the gzip file is damaged"),
        (b"x,y\n1,2\n3,4,5\n", r"not a readable table: line 3 has 3 cells .* 2 \(3,4,5\)"),
        (b"x,y\n1,2\n\n3\n", "not a readable table: line 4 has 1 cell "),
        (b'x,y\n1,2\n"3,4\n', "not a readable table: line 3 .*a quote is opened and not closed"),
        (b'x,y\n1,2\n3,"4\n5,6\n', "not a readable table: line 3 .*opened and not closed"),
        (b'x,y\n"1"2,3\n4,5\n', "not a readable table: line 2"),
        (b"PAR1 no more", "t.csv: not a readable table: no whole Parquet file"),
    ],
)
def test_what_is_no_table_is_refused_with_file_and_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "utf-9"}, "data.read.encoding=utf-9: no such encoding. Did you mean 'utf-8'"),
        ({"encoding": "hex"}, "data.read.encoding=hex: no such encoding"),
        ({"encoding": "ascii"}, "not ascii text near byte 6. Name its encoding"),
        ({"encoding": "utf-16"}, "not utf-16 text"),
        ({"encoding": "utf-8"}, "not utf-8 text"),
        ({"columns": ["a"]}, "data.read.columns: 1 names, but t.csv has 2 columns"),
        ({"columns": ["a", "A"]}, "data.read.columns: two columns have one name"),
    ],
)
def test_options_that_contradict_the_file_are_refused(
    tmp_path: Path, options: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, b"x,y\n1,\xe9\n", **options)


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("name,age\nAda,36\nBob,41\n", True),
        ("Ada,36\nBob,41\nEve,9\n", False),
        ("Ada,2026-01-05\nBob,2026-01-06\n", False),
        ("1.5,36\n2.5,NA\n", False),
        ("country,2019,2020\nPeru,1,2\n", True),  # years that follow each other are names
        ("0,1,2\n0.5,0.5,0.25\n", True),
        ("a,b\nc,d\n", True),
        ("x,y\n", True),
    ],
)
def test_a_header_is_told_by_evidence(tmp_path: Path, content: str, header: bool) -> None:
    (tmp_path / "t.csv").write_text(content)
    source = open_source(config(tmp_path / "t.csv"))
    columns, rows = rows_of(source)
    lines = content.splitlines()
    if header:
        assert (columns, len(rows)) == (lines[0].split(","), len(lines) - 1)
    else:
        assert columns == [f"column{n + 1}" for n in range(len(columns))]
        assert len(rows) == len(lines)
        assert "no header, its first line" in notes_of(source)[0]


def test_a_header_is_what_the_configuration_says(tmp_path: Path) -> None:
    assert read(tmp_path, b"1,2\n3,4\n", header=True) == (["1", "2"], [("3", "4")])
    assert read(tmp_path, XY, header=False)[1][0] == ("x", "y")
    assert read(tmp_path, b"1,2\n3,4\n", columns=["a", "b"]) == (
        ["a", "b"],
        [("1", "2"), ("3", "4")],
    )
    assert read(tmp_path, XY, columns=["a", "b"], header=True) == (["a", "b"], ROWS)


def test_names_that_sql_would_mix_up_are_told_apart_and_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('x,X, x ,,"a ""b""",#unread\n1,2,3,4,5,6\n')
    source = open_source(config(path))
    columns, rows = rows_of(source)
    assert columns == ["x", "X_2", "x_3", "column4", 'a "b"', "#unread_2"]
    assert rows == [("1", "2", "3", "4", "5", "6")]
    assert "t.csv: column 2 'X' is called X_2 here" in notes_of(source)


def test_a_file_is_itself_whatever_its_name(tmp_path: Path) -> None:
    for name in ("a[1].csv", "b*.csv", "it's?.csv", "a1.csv", "bb.csv"):
        (tmp_path / name).write_text(f"x,y\n{name},1\n")
    for name in ("a[1].csv", "b*.csv", "it's?.csv"):
        assert rows_of(open_source(config(tmp_path / name)))[1] == [(name, "1")]


def test_a_folder_is_a_table_of_its_files_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "sales"
    for path, content in {
        "year=2026/month=02/a.csv": "x,y\n3,c\n",
        "year=2026/month=01/a.csv": "y;x\nb;2\n",
        "year=2025/month=12/a.csv.gz": "x,y\n1,a\n",
        "_SUCCESS": "",
        ".hidden/a.csv": "z\n9\n",
        "notes.md": "hello",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        plain = content.encode()
        (folder / path).write_bytes(gzip.compress(plain) if path.endswith("gz") else plain)
    source = open_source(config(folder))
    columns, rows = rows_of(source)
    assert columns == ["x", "y", "year", "month"]
    assert rows == [("1", "a", "2025", "12"), ("b", "2", "2026", "01"), ("3", "c", "2026", "02")]
    assert "left out, neither text nor Parquet: notes.md" in notes_of(source)
    assert len({part.name for part in source.parts()}) == 3
    assert sorted(source.inputs()) == sorted(
        p.resolve() for p in folder.rglob("a.csv*") if ".h" not in str(p)
    )


def test_a_folder_of_parquet_is_a_table(tmp_path: Path) -> None:
    for number in (1, 2):
        path = tmp_path / "t" / f"k={number}" / "a.parquet"
        path.parent.mkdir(parents=True)
        duckdb.sql(f"SELECT {number} AS x, DATE '2026-01-05' AS d").write_parquet(str(path))
    columns, rows = rows_of(open_source(config(tmp_path / "t")))
    assert columns == ["x", "d", "k"]
    assert [(row[0], row[2]) for row in rows] == [(1, "1"), (2, "2")]


def test_a_folder_without_a_table_or_with_two_kinds_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    with pytest.raises(UserError, match=r"no table in this folder, neither .csv nor .parquet"):
        open_source(config(folder))
    (folder / "a.csv").write_bytes(XY)
    duckdb.sql("SELECT 1 AS x").write_parquet(str(folder / "b.parquet"))
    with pytest.raises(UserError, match=r"holds both Parquet \(b.parquet\) and text \(a.csv\)"):
        open_source(config(folder))


def test_a_version_changes_with_content_and_options_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"

    def version(content: bytes = XY, **options: Any) -> str:
        path.write_bytes(content)
        return open_source(config(path, **options)).parts()[0].version

    first = version()
    os.utime(path, (1, 1))
    assert version() == first
    others = [
        version(XY + b"3,c\n"),
        version(delimiter=";"),
        version(missing=["-"]),
        version(header=False),
    ]
    assert len({first, *others}) == 5


def test_a_wrong_path_names_what_is_near(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(XY)
    with pytest.raises(UserError, match=r"no such file.* Did you mean 'table\.csv'"):
        open_source(config(tmp_path / "tabel.csv"))


def test_a_table_of_a_duckdb_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE sales AS SELECT 9007199254740993 AS x, 'a' AS y")
    before = open_source(config(path))
    assert rows_of(before) == (["x", "y"], [(9007199254740993, "a")])
    assert notes_of(before) == ["table sales, the only one"]
    version = before.parts()[0].version
    with duckdb.connect(str(path)) as con:
        con.execute("INSERT INTO sales VALUES (1, 'b'); CREATE VIEW \"of two\" AS SELECT 2 AS z")
    with pytest.raises(UserError, match=r"which table\? .*one of: of two, sales"):
        open_source(config(path))
    with pytest.raises(UserError, match=r"data.table=sale: no such table .*Did you mean 'sales'"):
        open_source(config(path, "sale"))
    after = open_source(config(path, "sales"))
    assert after.parts()[0].version != version
    assert len(rows_of(after)[1]) == 2
    assert rows_of(open_source(config(path, "of two"))) == (["z"], [(2,)])


def test_a_table_of_a_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    con = sqlite3.connect(path)
    con.execute('CREATE TABLE sales (n, x REAL, "of ""all""", mixed, big)')
    values = [
        (2**62 + 1, 1.5, "ä", 1, 2**60 + 1),
        (None, 2, None, "one", 0.5),
        (-(2**63), None, b"c", 2.5, None),
    ]
    con.executemany("INSERT INTO sales VALUES (?, ?, ?, ?, ?)", values)
    con.commit()
    con.close()
    columns, rows = rows_of(open_source(config(path)))
    assert columns == ["n", "x", 'of "all"', "mixed", "big"]
    assert [row[:2] for row in rows] == [(2**62 + 1, 1.5), (None, 2.0), (-(2**63), None)]
    assert [row[2] for row in rows] == ["ä", None, "c"]
    assert [row[3] for row in rows] == ["1", "one", "2.5"]
    assert [row[4] for row in rows] == [str(2**60 + 1), "0.5", None]  # exact, as text
    with pytest.raises(UserError, match=r"no database\. Leave data.table out"):
        (tmp_path / "t.csv").write_bytes(XY)
        open_source(config(tmp_path / "t.csv", "sales"))


@pytest.mark.parametrize("magic", [b"SQLite format 3\0", b"12345678DUCK"])
def test_a_damaged_database_is_refused(tmp_path: Path, magic: bytes) -> None:
    (tmp_path / "t.db").write_bytes(magic + b"x" * 5000)
    with pytest.raises(UserError, match=r"t\.db: not a readable database"):
        open_source(config(tmp_path / "t.db", "t"))


PASSWORD = "s3 cr/t@"
BINARIES = Path("/usr/lib/postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real server in a folder of its own; the URL of its database."""
    pytest.importorskip("psycopg")
    found = sorted(BINARIES.glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    if not found[0].is_file():
        pytest.skip("no PostgreSQL server is installed here")
    binaries = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        try:
            group = pwd.getpwnam("postgres").pw_gid
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        shutil.chown(folder, "postgres")
        owner = {"user": "postgres", "group": group, "extra_groups": []}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(program: str, *arguments: str, **more: Any) -> None:
        command = [str(binaries / program), *arguments]
        more |= {"check": True, "capture_output": True, "cwd": folder, "timeout": 60}
        subprocess.run(command, **more, **owner)

    (folder / "password").write_text(PASSWORD)
    data = str(folder / "data")
    call("initdb", "-D", data, "-U", "ada", "-A", "scram-sha-256", "--no-sync",
         "--pwfile", str(folder / "password"))  # fmt: skip
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -k {folder}"
    # Its log goes to a file: a pipe would stay open as long as the server runs.
    call("pg_ctl", "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start")
    try:
        yield f"postgresql://ada:s3%20cr%2Ft%40@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_a_table_of_postgresql(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    monkeypatch.setenv("SHOP_URL", postgres)
    with psycopg.connect(postgres, autocommit=True) as con:
        con.execute(
            'CREATE TABLE sales ("Id" bigint PRIMARY KEY, price numeric(12, 2), share float8,'
            " paid bool, day date, at timestamptz, note text, tags text[], free numeric)"
        )
        con.execute(
            "INSERT INTO sales SELECT n, n / 4.0, n / 3.0, n % 2 = 0, DATE '2026-01-05' + n, "
            "TIMESTAMPTZ '2026-01-05 12:00+02' + n * interval '1 hour', "
            "nullif('n' || n % 3, 'n1'), ARRAY['a', 'b'], n FROM generate_series(50000, 1, -1) n"
        )
        con.execute('UPDATE sales SET "Id" = 9007199254740993 WHERE "Id" = 50000')
    source = open_source(config("postgresql:SHOP_URL"))
    version = source.parts()[0].version
    columns, rows = rows_of(source)
    assert columns == ["Id", "price", "share", "paid", "day", "at", "note", "tags", "free"]
    assert [row[0] for row in rows] == [*range(1, 50_000), 9007199254740993]
    assert str(rows[0][1]) == "0.25" and rows[0][2] == 1 / 3 and rows[0][3] is False
    assert str(rows[0][4]) == "2026-01-06" and str(rows[0][5]) == "2026-01-05 11:00:00"
    assert [row[6] for row in rows[:3]] == [None, "n2", "n0"]
    assert rows[0][7:] == ("{a,b}", 1.0)
    assert open_source(config("postgresql:SHOP_URL")).parts()[0].version == version
    with psycopg.connect(postgres, autocommit=True) as con:
        con.execute("UPDATE sales SET note = 'corrected' WHERE \"Id\" = 7")
    assert open_source(config("postgresql:SHOP_URL")).parts()[0].version != version
    with psycopg.connect(postgres, autocommit=True) as con:
        con.execute("CREATE SCHEMA old; CREATE TABLE old.sales (b text, a int)")
        con.execute("INSERT INTO old.sales VALUES ('z', 1), ('y', 2), ('ä', 3)")
    # Without a key the order is that of the content, not of the pages they lie in.
    assert rows_of(open_source(config("postgresql:SHOP_URL", "old.sales")))[1] == [
        ("y", 2), ("z", 1), ("ä", 3)]  # fmt: skip
    with pytest.raises(
        UserError, match=r"data.table=sale: .*old.sales, sales.* Did you mean 'sales'"
    ):
        open_source(config("postgresql:SHOP_URL", "sale"))


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("ada", "eve"),
        lambda url: url.replace("127.0.0.1", "127.0.0.1:1"),
        lambda url: url.replace("s3%20cr%2Ft%40@", "s3%20cr%2Ft%40wrong@"),
        lambda url: "postgres//" + url,
        lambda url: "host=localhost port=x password=s3%20cr%2Ft%40",
        lambda url: url + "?s3%20cr%2Ft%40=1",
    ],
)
def test_the_password_is_never_shown(
    postgres: str, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    monkeypatch.setenv("SHOP_URL", change(postgres))
    with pytest.raises(UserError, match="SHOP_URL") as caught:
        open_source(config("postgresql:SHOP_URL", "sales"))
    import traceback

    shown = "".join(traceback.format_exception(caught.value))
    assert "s3%20cr" not in shown and "s3 cr" not in shown


def test_a_url_within_the_configuration_or_no_url_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match="name of an environment variable") as caught:
        open_source(config("postgresql://ada:hunter2@localhost/shop"))
    assert "hunter2" not in str(caught.value)
    monkeypatch.delenv("SHOP_URL", raising=False)
    with pytest.raises(UserError, match="the environment variable SHOP_URL is not set"):
        open_source(config("postgresql:SHOP_URL"))


def test_without_psycopg_the_group_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("SHOP_URL", "postgresql://localhost/shop")
    with pytest.raises(UserError, match='add "postgres" to default-groups'):
        open_source(config("postgresql:SHOP_URL"))
