"""What a profile says of columns whose truth is known, and the contract it suggests."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta

import duckdb
import pytest

from {{cookiecutter.package_name}}.data.contracts import ColumnRule
from {{cookiecutter.package_name}}.data.contracts.sql import quoted
from {{cookiecutter.package_name}}.data.profile import (
    ColumnProfile,
    Profile,
    infer_contract,
    profile,
)
from {{cookiecutter.package_name}}.data.written import Written, reading

RANDOM = random.Random(0)
DAYS = [date(2023, 1, 1) + timedelta(days=n) for n in range(300)]


def looked_at(**columns: Sequence[str | None]) -> Profile:
    """The profile of text columns."""
    con = duckdb.connect()
    names = list(columns)
    con.execute(f"CREATE TABLE t ({', '.join(f'{quoted(name)} VARCHAR' for name in names)})")
    marks = ", ".join("?" for _ in names)
    con.executemany(f"INSERT INTO t VALUES ({marks})", list(zip(*columns.values(), strict=True)))
    return profile(con, "t", text=True)


def column(values: Sequence[str | None]) -> ColumnProfile:
    return looked_at(c=values)["c"]


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (["1", "-2", "30"], ("integer", None, ".")),
        (["1,234", "22,345", "7"], ("integer", None, ".")),
        (["1.5", "-2", "3e4", ".5"], ("number", None, ".")),
        (["1,234.50", "12.25", "7"], ("number", None, ".")),
        (["1,5", "22,75", "3"], ("number", None, ",")),
        (["1.234,5", "22,75", "3"], ("number", None, ",")),
        (["yes", "No", "YES"], ("boolean", None, ".")),
        (["y", "n"], ("boolean", None, ".")),
        (["T", "F"], ("boolean", None, ".")),
        (["on", "off"], ("boolean", None, ".")),
        (["ja", "nein"], ("boolean", None, ".")),
        (["true", "yes"], ("text", None, ".")),
        (["00123", "4567", "12"], ("text", None, ".")),
        (["12 km", "13 km"], ("text", None, ".")),
        ([str(10**25), str(10**25 + 1)], ("text", None, ".")),
        ([str(10**17), str(10**17 + 1)], ("integer", None, ".")),
        (["20240131", "20231201", "20230605"], ("date", "%Y%m%d", ".")),
        (["20240131", "20231399", "20230605"], ("integer", None, ".")),
        (["1706659200", "1706659201"], ("integer", None, ".")),
    ],
)
def test_the_type_of_a_column_of_text_is_found(values: list[str], written: tuple) -> None:
    found = column(values * 10)
    assert (found.type, found.format, found.decimal) == written
    assert found.missing == found.unread == 0


@pytest.mark.parametrize(
    ("shape", "kind", "written"),
    [
        ("%Y-%m-%d", "date", None),
        ("%Y-%m-%d 10:30", "datetime", None),
        ("%Y-%m-%dT10:30:15.25Z", "datetime", None),
        ("%d/%m/%Y", "date", "%d/%m/%Y"),
        ("%m/%d/%Y", "date", "%m/%d/%Y"),
        ("%m/%d/%y", "date", "%m/%d/%y"),
        ("%d.%m.%Y", "date", "%d.%m.%Y"),
        ("%d-%m-%Y 23:59:01", "datetime", "%d-%m-%Y %H:%M:%S"),
        ("%m/%d/%Y 11:05:00 PM", "datetime", "%m/%d/%Y %I:%M:%S %p"),
        ("%d %b %Y", "date", "%d %b %Y"),
        ("%B %d, %Y", "date", "%B %d, %Y"),
        ("%Y/%m/%d", "date", "%Y/%m/%d"),
    ],
)
def test_the_way_dates_are_written_is_found(shape: str, kind: str, written: str | None) -> None:
    found = column([day.strftime(shape) for day in DAYS])
    assert (found.type, found.format) == (kind, written)
    assert str(found.minimum)[:10] == "2023-01-01"
    assert str(found.maximum)[:10] == "2023-10-27"


def test_a_day_over_12_decides_between_day_and_month_and_is_said() -> None:
    values = [f"{1 + n % 12:02d}/{1 + n % 7:02d}/2023" for n in range(99)]
    assert "13/02/2023" not in values
    found = column([*values, "13/02/2023"])
    assert found.format == "%d/%m/%Y"
    assert "1 values have a day over 12" in found.why


def test_without_one_the_dates_beside_it_decide() -> None:
    days = [day for day in DAYS if day.day <= 12]
    text = [day.strftime("%m/%d/%Y") for day in days]
    beside = looked_at(c=text, known=[(day + timedelta(days=1)).isoformat() for day in days])["c"]
    assert beside.format == "%m/%d/%Y"
    assert "near known" in beside.why
    assert "%m/%d/%Y would do as well" in column(text).why


def test_a_few_texts_among_numbers_count_as_missing_and_are_shown() -> None:
    found = column([str(n % 50) for n in range(299)] + ["unknown"])
    assert (found.type, found.unread, found.missing) == ("integer", 1, 1)
    assert "such as 'unknown'" in found.why
    assert column(["yes", "no"] * 300 + ["maybe"]).type == "text"
    many = column([str(n % 50) for n in range(280)] + ["unknown"] * 20)
    assert many.type == "text"


def test_what_the_sample_did_not_show_is_seen_in_the_whole_table() -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE t AS SELECT (i % 900 + 100)::VARCHAR AS c FROM range(200000) r(i)")
    con.execute("UPDATE t SET c = '0123' WHERE rowid = 77777")
    assert profile(con, "t", text=True)["c"].type == "text"


def test_counts_are_exact() -> None:
    words = [RANDOM.choice("abc") for _ in range(1000)]
    numbers = [None if n % 10 == 0 else str(n // 2) for n in range(1000)]
    found = looked_at(w=words, n=numbers)
    assert dict(found["w"].frequent) == {word: words.count(word) for word in "abc"}
    assert (found["n"].missing, found["n"].distinct) == (100, len({*numbers} - {None}))
    assert (found["n"].minimum, found["n"].maximum) == (0, 499)


@pytest.mark.parametrize("rows", [7, 30_000])
def test_a_profile_is_the_same_each_time_and_as_json(rows: int) -> None:
    con = duckdb.connect()
    con.execute(
        f"CREATE TABLE t AS SELECT hash(i) % 5000 AS a, (hash(i) % 977) / 7 AS b, "
        f"chr(97 + (hash(i) % 5)::INT) AS c FROM range({rows}) r(i)"
    )
    found = profile(con, "t", text=False)
    assert found == profile(con, "t", text=False) == Profile.from_dict(found.to_dict())


def test_a_typed_table_keeps_its_types_and_its_text_is_examined_if_asked() -> None:
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE t AS SELECT i::DECIMAL(9, 2) AS d, "
        "i + '100000000000000000000'::HUGEINT AS h, i % 2 = 0 AS b, "
        "DATE '2024-01-01' + i::INT AS day, i::VARCHAR AS s, [i] AS l "
        "FROM range(40) r(i)"
    )
    kinds = ["number", "text", "boolean", "date", "integer", "text"]
    assert [each.type for each in profile(con, "t", text=False).columns] == kinds
    assert profile(con, "t", text=False, examine=False)["s"].type == "text"


def test_reading_gives_back_what_was_written() -> None:
    con = duckdb.connect()

    def read(text: str, rule: Written) -> object:
        return con.execute(f"SELECT {reading('c', rule)} FROM (SELECT ? AS c)", [text]).fetchall()[
            0
        ][0]

    assert read(" 1,234 ", Written("integer")) == 1234
    assert read("1.5", Written("integer")) is None
    assert read("-1.234,5", Written("number", decimal=",")) == -1234.5
    assert read("12,34", Written("number")) is None
    assert read("31/12/2023", Written("date", "%d/%m/%Y")) == date(2023, 12, 31)
    assert read("31/13/2023", Written("date", "%d/%m/%Y")) is None
    assert read("JA", Written("boolean", true=["ja"], false=["nein"])) is True


def test_the_contract_holds_of_the_rows_seen_and_of_some_more() -> None:
    found = looked_at(
        n=[f"{value:.1f}" for value in [*range(-10, 50), *range(-10, 40)]],
        age=[str(value) for value in [*range(20, 75), *range(20, 75)]],
        c=[*["a", "b"] * 54, "a", None],
        id=[f"u{value}" for value in range(110)],
        day=[day.isoformat() for day in DAYS[:110]],
        dirty=[*map(str, range(109)), "x"],
    )
    columns = infer_contract(found, "t").columns
    assert (columns["n"].minimum, columns["n"].maximum) == (-69, 108)
    assert (columns["age"].minimum, columns["age"].maximum) == (0, 128)
    assert columns["c"] == ColumnRule("text", values=["a", "b"])
    assert columns["id"] == ColumnRule("text", nullable=False, unique=True)
    assert columns["day"].minimum == "2018-01-02"
    assert (columns["dirty"].policy, columns["dirty"].nullable) == ("warn", True)
    assert infer_contract(found, "t").fewest_rows == 55
