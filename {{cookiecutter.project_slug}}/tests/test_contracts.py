"""Contracts: what people write, what breaks them, and what becomes of rows that do."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.config import PROJECT_ROOT, load_config
from {{cookiecutter.package_name}}.data.contracts import (
    ColumnRule,
    Contract,
    Freshness,
    RowCheck,
    RowRule,
    check,
    check_rows,
    divide,
    read_contract,
    without,
    write_contract,
)
from {{cookiecutter.package_name}}.data.contracts.document import line_of
from {{cookiecutter.package_name}}.data.etl.connection import copy
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.features import shop
from {{cookiecutter.package_name}}.features.contract import check_examples, shop_contract
from {{cookiecutter.package_name}}.training.contract import check_parts
from {{cookiecutter.package_name}}.training.splits import Split

from .conftest import SHOP

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NOW = datetime(2024, 3, 1, 12)


@pytest.fixture(scope="module")
def con():
    with duckdb.connect(config={"threads": 2}) as connection:
        yield connection


def view(con, query: str, name: str = "rows") -> str:
    con.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {query}').fetchall()
    return name


def rows(con, name: str) -> list[tuple]:
    return con.execute(f'SELECT * FROM "{name}"').fetchall()


def found(report) -> list[tuple[str, str, int]]:
    return [(b.rule, b.column, b.count) for b in report.breaches]


# Rules: for each a table that breaks it, and one that does not

CLEAN = "SELECT 1 AS id, 2.5 AS price, 'a' AS kind, DATE '2024-02-28' AS day, true AS paid"
PEOPLE = Contract(
    "orders",
    {
        "id": ColumnRule("integer", nullable=False, unique=True, minimum=1),
        "price": ColumnRule("number", minimum=0, maximum=10),
        "kind": ColumnRule("text", values=["a", "b"]),
        "day": ColumnRule("date", minimum="2024-01-01", maximum="2024-12-31"),
        "paid": ColumnRule("boolean"),
    },
    most_rows=3,
    unique=[["kind", "day"]],
    freshness=Freshness("day", 7),
    rules=[RowRule("paid has a price", "price > 0 OR NOT paid")],
)
FAULTS = {
    "type": ("SELECT * REPLACE ('x' AS price) FROM clean", "price", 1),
    "nullable": ("SELECT * REPLACE (NULL::INT AS id) FROM clean", "id", 1),
    "minimum": ("SELECT * REPLACE (-0.5 AS price, false AS paid) FROM clean", "price", 1),
    "maximum": ("SELECT * REPLACE (DATE '2025-01-01' AS day) FROM clean", "day", 1),
    "values": ("SELECT * REPLACE ('c' AS kind) FROM clean", "kind", 1),
    "unique": ("FROM clean UNION ALL SELECT * REPLACE ('b' AS kind) FROM clean", "id", 1),
    "columns": ("SELECT * EXCLUDE (kind) FROM clean", "kind", 0),
    "rows": ("FROM clean WHERE false", "", 0),
    "freshness": ("SELECT * REPLACE (DATE '2024-02-01' AS day) FROM clean", "day", 0),
    "paid has a price": ("SELECT * REPLACE (0 AS price) FROM clean", "price, paid", 1),
}


def test_what_holds_breaks_nothing(con):
    view(con, CLEAN, "clean")
    assert check(con, "clean", PEOPLE, "read", now=NOW).breaches == []


@pytest.mark.parametrize("rule", FAULTS)
def test_each_rule_finds_its_fault(con, rule):
    view(con, CLEAN, "clean")
    query, column, count = FAULTS[rule]
    report = check(con, view(con, query), PEOPLE, "read", now=NOW)
    assert (rule, column, count) in found(report)
    assert {b.policy for b in report.breaches} == {"stop"}
    with pytest.raises(UserError, match=rule):
        report.raise_if_stopped()


def test_a_column_too_many_is_named_with_its_like(con):
    view(con, CLEAN, "clean")
    query = "SELECT *, 1 AS prices FROM clean"
    report = check(con, view(con, query), PEOPLE, "read", now=NOW)
    assert found(report) == [("columns", "prices", 0)]
    assert "Did you mean 'price'?" in report.breaches[0].says


def test_columns_that_together_repeat(con):
    view(con, CLEAN, "clean")
    query = "FROM clean UNION ALL SELECT * REPLACE (2 AS id) FROM clean"
    report = check(con, view(con, query), PEOPLE, "read", now=NOW)
    assert found(report) == [("unique", "kind, day", 1)]
    assert "as in row 1" in report.breaches[0].examples[0]


def test_too_many_rows(con):
    contract = Contract("t", {"x": ColumnRule("integer")}, most_rows=2)
    report = check(con, view(con, "SELECT range AS x FROM range(3)"), contract, "read")
    assert found(report) == [("rows", "", 0)]


@pytest.mark.parametrize(
    ("age", "stale"), [(timedelta(days=2), False), (timedelta(days=2, seconds=1), True)]
)
def test_freshness_counts_from_now(con, age, stale):
    contract = Contract("t", {"at": ColumnRule("datetime")}, freshness=Freshness("at", 2))
    query = f"SELECT TIMESTAMP '{NOW - age}' AS at"
    assert bool(check(con, view(con, query), contract, "read", now=NOW).breaches) is stale


def test_moments_with_a_zone_are_those_of_utc(con):
    contract = Contract("t", {"at": ColumnRule("datetime", minimum="2024-01-01T12:00")})
    moments = "('2024-01-01 13:30+02'), ('2024-01-01 10:30-02')"
    query = f"SELECT x::TIMESTAMPTZ AS at FROM (VALUES {moments}) t(x)"
    assert found(check(con, view(con, query), contract, "read")) == [("minimum", "at", 1)]


def test_nan_is_missing(con):
    column = ColumnRule("number", nullable=False, maximum=1)
    query = "SELECT 'nan'::DOUBLE AS x"
    report = check(con, view(con, query), Contract("t", {"x": column}), "read")
    assert found(report) == [("nullable", "x", 1)]


def test_an_empty_column_has_any_type(con):
    contract = Contract("t", {"x": ColumnRule("text")}, rules=[RowRule("short", "length(x) < 3")])
    assert check(con, view(con, "SELECT NULL AS x"), contract, "read").breaches == []


@pytest.mark.parametrize("maximum", [2**53, float(2**53)])
def test_a_large_integer_is_not_rounded(con, maximum):
    contract = Contract("t", {"x": ColumnRule("integer", maximum=maximum, values=[str(2**53 + 1)])})
    report = check(con, view(con, f"SELECT {2**53 + 1} AS x"), contract, "read")
    assert found(report) == [("maximum", "x", 1)]


def test_a_date_is_as_new_as_its_last_moment(con):
    contract = Contract("t", {"day": ColumnRule("date")}, freshness=Freshness("day", 1))
    view(con, "SELECT DATE '2024-02-29' AS day")
    assert check(con, "rows", contract, "read", now=datetime(2024, 3, 1, 23)).breaches == []
    late = check(con, "rows", contract, "read", now=datetime(2024, 3, 2, 1))
    assert found(late) == [("freshness", "day", 0)]


UNREAD = """SELECT * FROM (VALUES
    (1, 5, []::VARCHAR[], []::VARCHAR[]),
    (NULL, NULL, ['b', 'a'], ['?', 'one']),
    (NULL, 7, NULL, NULL)) AS t(a, b, "#unread", "#text")"""


@pytest.mark.parametrize(
    "text", ['"#text"', 'map("#unread", "#text")', "{'a': \"#text\"[2], 'b': \"#text\"[1]}"]
)
def test_what_could_not_be_read_is_a_breach_of_type_and_is_not_missing(con, text):
    columns = {name: ColumnRule("integer", nullable=False) for name in "ab"}
    contract = Contract("t", columns, policy="set_aside")
    query = f'SELECT * REPLACE ({text} AS "#text") FROM ({UNREAD})'
    report = check(con, view(con, query), contract, "read")
    assert found(report) == [("type", "a", 1), ("nullable", "a", 1), ("type", "b", 1)]
    assert "row 2: a='one'" in report.breaches[0].examples[0].replace("a=one", "a='one'")
    kept, aside = divide(con, "rows", contract, report)
    assert rows(con, kept) == [(1, 5)]
    assert [row[-1] for row in rows(con, aside)] == [["a: type", "b: type"], ["a: nullable"]]


def test_a_rule_that_lacks_its_column_says_so(con):
    contract = Contract(
        "t",
        {"x": ColumnRule("integer"), "y": ColumnRule("integer", policy="warn")},
        rules=[RowRule("ordered", "x < y")],
    )
    report = check(con, view(con, "SELECT 1 AS x"), contract, "read")
    assert [(b.rule, b.policy) for b in report.breaches] == [
        ("columns", "warn"),
        ("ordered", "stop"),
    ]


def test_a_rule_that_fails_on_a_row_is_named(con):
    rules = [RowRule("fine", "x <> ''"), RowRule("as number", "CAST(x AS INT) > 0")]
    contract = Contract("t", {"x": ColumnRule("text")}, rules=rules)
    with pytest.raises(UserError, match="the rule 'as number' of x cannot be computed"):
        check(con, view(con, "SELECT 'one' AS x"), contract, "read")


def test_parts_are_checked_by_themselves_and_together(con):
    contract = Contract(
        "t",
        {"x": ColumnRule("integer", maximum=5, unique=True)},
        fewest_rows=3,
        most_rows=4,
    )
    part = view(con, "SELECT * FROM (VALUES (1), (9)) t(x)")
    assert found(check(con, part, contract, "read", scope="part")) == [("maximum", "x", 1)]
    both = view(con, "FROM rows UNION ALL FROM rows UNION ALL FROM rows", "both")
    assert found(check(con, both, contract, "read", scope="whole")) == [
        ("unique", "x", 4),
        ("rows", "", 0),
    ]


def test_a_wide_table_is_checked(con):
    names = [f"c{number}" for number in range(650)]
    contract = Contract("t", {name: ColumnRule("integer", maximum=600) for name in names})
    query = "SELECT " + ", ".join(f"{number} AS {name}" for number, name in enumerate(names))
    report = check(con, view(con, query), contract, "read")
    assert found(report) == [("maximum", f"c{number}", 1) for number in range(601, 650)]
    with pytest.raises(UserError, match="and 29 more"):
        report.raise_if_stopped()


def test_examples_are_few_first_and_short(con):
    contract = Contract("t", {"x": ColumnRule("text", values=["a"]), "n": ColumnRule("integer")})
    query = "SELECT repeat('long ', 40) || range AS x, range AS n FROM range(100)"
    breach = check(con, view(con, query), contract, "read").breaches[0]
    assert [text[:7] for text in breach.examples] == [f"row {n}: " for n in range(1, 6)]
    assert all(len(text) < 80 and "…" in text for text in breach.examples)


def test_a_message_names_what_where_and_how_to_mend(con, tmp_path):
    path = tmp_path / "orders.yaml"
    write_contract(PEOPLE, path)
    view(con, CLEAN, "clean")
    report = check(con, view(con, FAULTS["minimum"][0]), PEOPLE, "read", now=NOW)
    with pytest.raises(UserError) as error:
        report.raise_if_stopped(path)
    line = next(n for n, text in enumerate(path.read_text().split("\n"), 1) if "  price:" in text)
    assert str(error.value).split("\n") == [
        "orders, read: a rule is broken (1 rows).",
        "  price, minimum: below 0; 1 of 1 rows break it",
        "    row 1: price=-0.5 (id=1, kind='a', day=2024-02-28, paid=false)",
        f"    {path}, line {line}",
        f"Mend the table at its source; or, where the rule is wrong, edit {path}.",
        "Or give the column or rule `policy: set_aside` there: such rows go to data/quarantine/ "
        "with the reason.",
    ]


# Policies and the quarantine


def test_only_rows_can_be_set_aside(con):
    contract = Contract("t", {"x": ColumnRule("integer", maximum=1)}, "set_aside", fewest_rows=9)
    report = check(con, view(con, "SELECT 2 AS x"), contract, "read")
    assert [(b.rule, b.policy) for b in report.breaches] == [
        ("maximum", "set_aside"),
        ("rows", "stop"),
    ]


def test_the_policy_of_a_column_or_rule_goes_first(con):
    contract = Contract(
        "t",
        {
            "x": ColumnRule("integer", maximum=1, policy="warn"),
            "y": ColumnRule("integer", maximum=1),
        },
        rules=[RowRule("small", "x + y < 3", "set_aside")],
    )
    report = check(con, view(con, "SELECT 2 AS x, 2 AS y"), contract, "read")
    assert [b.policy for b in report.breaches] == ["warn", "stop", "set_aside"]
    assert report.notes() == [
        "x, maximum: above 1; 1 of 1 rows break it; kept, as its policy is warn",
        "x, y, small: x + y < 3; 1 of 1 rows break it; set aside",
    ]


def test_rows_set_aside_have_their_reasons(con):
    contract = Contract("t", {"x": ColumnRule("number", maximum=1)}, "set_aside")
    view(con, "SELECT x FROM (VALUES (1.0::DOUBLE), (2), ('nan')) t(x)")
    kept, aside = divide(con, "rows", contract, check(con, "rows", contract, "read"))
    assert rows(con, aside) == [(2.0, ["x: maximum"])]
    assert math.isnan(rows(con, kept)[1][0])  # missing to the rules, and what it was


def test_many_rows_keep_their_order_and_give_the_same_bytes(con, tmp_path):
    contract = Contract("t", {"x": ColumnRule("integer", unique=True)}, "set_aside")
    query = "SELECT (range * 7919) % 150001 AS x FROM range(300000)"
    con.execute(f"COPY ({query}) TO '{tmp_path}/t.parquet' (ROW_GROUP_SIZE 20000)").fetchall()
    view(con, f"SELECT * FROM '{tmp_path}/t.parquet'")
    hashes = set()
    for _ in range(2):
        kept, aside = divide(con, "rows", contract, check(con, "rows", contract, "read"))
        query = f'SELECT * FROM "{aside}"'
        assert copy(con, query, tmp_path / "aside.parquet") == 149_999
        hashes.add((tmp_path / "aside.parquet").read_bytes())
    assert len(hashes) == 1
    assert [x for (x,) in rows(con, kept)] == [n * 7919 % 150001 for n in range(150001)]


# Any table, any contract: by brute force

CELLS = {
    "integer": st.integers(-3, 3),
    "number": st.sampled_from([-1.5, -0.0, 0.0, 0.1, 2.0, math.inf, -math.inf, math.nan]),
    "text": st.sampled_from(["", "a", "A", "b'", "é"]),
    "date": st.dates(date(2024, 1, 1), date(2024, 1, 4)),
    "datetime": st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 1, 0, 0, 1)).map(
        lambda moment: moment.replace(fold=0)
    ),
    "boolean": st.booleans(),
}
NAMES = ['a "b"', "#no", "c\nd", "ü", "select", "x"]
POLICY = st.sampled_from(["set_aside", "warn", "stop", None])


@st.composite
def tables(draw) -> tuple[Contract, dict[str, list[Any]]]:
    """A contract over columns of every type, and rows that may break it anywhere."""
    count = draw(st.integers(0, 8))
    columns, table = {}, {}
    for name, kind in zip(NAMES, CELLS, strict=True):
        cell = st.none() | CELLS[kind]
        table[name] = draw(st.lists(cell, min_size=count, max_size=count))
        bounds: dict[str, Any] = {}
        if kind in ("integer", "number", "date", "datetime"):
            known = CELLS[kind].filter(lambda value: value == value)
            low, high = sorted(draw(st.lists(known, min_size=2, max_size=2)))
            if kind.startswith("date"):
                low, high = low.isoformat(), high.isoformat()
            bounds = {k: v for k, v in (("minimum", low), ("maximum", high)) if draw(st.booleans())}
        values = draw(st.none() | st.lists(CELLS[kind].filter(lambda v: v == v), min_size=1))
        if values is not None:
            values = [v.isoformat() if kind.startswith("date") else str(v) for v in values]
        columns[name] = ColumnRule(
            kind,
            draw(st.booleans()),
            values=values,
            unique=draw(st.booleans()),
            policy=draw(POLICY),
            **bounds,
        )
    unique = draw(st.lists(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), max_size=2))
    rules = (
        [RowRule("small or true", '"#no" < 1 OR x', draw(POLICY))] if draw(st.booleans()) else []
    )
    policy = draw(POLICY) or "set_aside"
    return Contract("t", columns, policy, unique=unique, rules=rules, fewest_rows=0), table


def breaking(contract: Contract, table: dict[str, list[Any]]) -> dict[tuple[str, str], set[int]]:
    """Rule and column -> the rows that break it, one value after the other."""
    broken: dict[tuple[str, str], set[int]] = {}
    readers = {"integer": int, "number": float, "date": date.fromisoformat, "text": str,
               "datetime": datetime.fromisoformat, "boolean": "True".__eq__}  # fmt: skip

    def add(rule: str, column: str, row: int) -> None:
        broken.setdefault((rule, column), set()).add(row)

    table = {k: [None if v != v else v for v in values] for k, values in table.items()}
    for name, rule in contract.columns.items():
        bound = date.fromisoformat if rule.type == "date" else datetime.fromisoformat
        allowed = None if rule.values is None else [readers[rule.type](v) for v in rule.values]
        for row, value in enumerate(table[name]):
            if value is None:
                if not rule.nullable:
                    add("nullable", name, row)
                continue
            low, high = (
                bound(each) if isinstance(each, str) else each
                for each in (rule.minimum, rule.maximum)
            )
            if low is not None and value < low:
                add("minimum", name, row)
            if high is not None and value > high:
                add("maximum", name, row)
            if allowed is not None and value not in allowed:
                add("values", name, row)
    keys = [[name] for name, rule in contract.columns.items() if rule.unique] + contract.unique
    for names in keys:
        seen = set()
        for row, key in enumerate(zip(*(table[name] for name in names), strict=True)):
            if None not in key and key in seen:
                add("unique", ", ".join(names), row)
            seen.add(key)
    for rule_ in contract.rules:
        for row, (number, flag) in enumerate(zip(table["#no"], table["x"], strict=True)):
            if number is not None and number >= 1 and flag is False:
                add(rule_.name, "#no, x", row)
    return broken


def policies(contract: Contract) -> dict[tuple[str, str], str]:
    def of(rule: str, column: str) -> str:
        if contract.rules and rule == contract.rules[0].name:
            return contract.rules[0].policy or contract.policy
        whole = rule != "unique" or contract.columns.get(column, ColumnRule("text")).unique
        own = contract.columns[column].policy if whole and column in contract.columns else None
        return own or contract.policy

    class Policies(dict):
        def __missing__(self, key):
            return of(*key)

    return Policies()


def load(con, contract: Contract, table: dict[str, list[Any]]) -> str:
    types = {"integer": "BIGINT", "number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN",
             "date": "DATE", "datetime": "TIMESTAMP"}  # fmt: skip
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in table}
    columns = ", ".join(f"{quoted[n]} {types[r.type]}" for n, r in contract.columns.items())
    con.execute(f"CREATE OR REPLACE TEMP TABLE any_rows ({columns}, line BIGINT)").fetchall()
    marks = ", ".join("?" * (len(table) + 1))
    for number, row in enumerate(zip(*table.values(), strict=True)):
        con.execute(f"INSERT INTO any_rows VALUES ({marks})", [*row, number]).fetchall()
    return view(con, "SELECT * EXCLUDE (line) FROM any_rows ORDER BY line", "any view")


@QUICK
@given(case=tables())
def test_check_divide_and_small_frames_agree_with_brute_force(con, case):
    contract, table = case
    name = load(con, contract, table)
    broken, policy = breaking(contract, table), policies(contract)
    report = check(con, name, contract, "read")
    expected = sorted((r, c, len(n), policy[r, c]) for (r, c), n in broken.items())
    assert sorted((b.rule, b.column, b.count, b.policy) for b in report.breaches) == expected
    for breach in report.breaches:
        guilty_rows = sorted(broken[breach.rule, breach.column])
        shown = [int(text.split(":")[0][4:]) - 1 for text in breach.examples]
        if breach.rule == "unique":  # one of each value
            assert shown and set(shown) <= set(guilty_rows)
        else:
            assert shown == guilty_rows[:5]

    kept, aside = divide(con, name, contract, report)
    guilty: dict[int, set[str]] = {}
    for (rule, column), numbers in broken.items():
        for row in numbers if policy[rule, column] == "set_aside" else ():
            alone = contract.rules and rule == contract.rules[0].name
            guilty.setdefault(row, set()).add(rule if alone else f"{column}: {rule}")
    everything = [tuple(map(repr, row)) for row in zip(*table.values(), strict=True)]
    assert [tuple(map(repr, row)) for row in rows(con, kept)] == [
        row for number, row in enumerate(everything) if number not in guilty
    ]
    apart = rows(con, aside)
    assert [tuple(map(repr, row[:-1])) for row in apart] == [everything[n] for n in sorted(guilty)]
    assert [set(row[-1]) for row in apart] == [guilty[number] for number in sorted(guilty)]

    frame = pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in table.items()})
    small = check_rows(frame, contract)
    assert [(b.rule, b.column, b.count, b.policy, b.place) for b in small.breaches] == [
        (b.rule, b.column, b.count, b.policy, b.place) for b in report.breaches
    ]


def test_small_frames_know_values_of_another_type():
    contract = Contract(
        "t",
        {"n": ColumnRule("integer", nullable=False, minimum=0), "w": ColumnRule("text")},
        rules=[RowRule("not both", "n < 5 OR w = 'b'")],
    )
    frame = pd.DataFrame({"n": [1.0, "x", 2.5, None, 9, True, 2**70], "w": ["a", 3, *"aabaa"]})
    report = RowCheck(contract)(frame)
    assert found(report) == [("type", "n", 4), ("nullable", "n", 1), ("type", "w", 1)]
    assert "row 2: n='x'" in report.breaches[0].examples[0].replace("n=x", "n='x'")
    assert found(check_rows(pd.DataFrame({"w": ["a"], "v": [1]}), contract)) == [
        ("columns", "n", 0),
        ("not both", "n", 0),
        ("columns", "v", 0),
    ]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pd.Series([1, 2]), "integer"),
        (pd.Series([1, None], dtype="Int64"), "integer"),
        (pd.Series([1.5, np.nan], dtype="float32"), "number"),
        (pd.Series([True, False]), "boolean"),
        (pd.Series([True, None], dtype="boolean"), "boolean"),
        (pd.Series(["a", None]), "text"),
        (pd.Series(["a", "b"], dtype="category"), "text"),
        (pd.Series(pd.to_datetime(["2024-01-01", None])), "date"),
        (pd.Series(pd.to_datetime(["2024-01-01T03:00", None], utc=True)), "datetime"),
    ],
)
def test_small_frames_take_the_types_of_pandas(column, kind):
    contract = Contract(
        "t", {"x": ColumnRule(kind)}, rules=[RowRule("there", "x IS NOT NULL OR true")]
    )
    assert check_rows(pd.DataFrame({"x": column}), contract).breaches == []


def test_a_contract_without_its_target():
    less = without(PEOPLE, ["price", "day"])
    assert list(less.columns) == ["id", "kind", "paid"]
    assert (less.unique, less.freshness, less.rules) == ([], None, [])


# What people write

WORDS = st.text(max_size=12) | st.sampled_from(
    [
        "no",
        "1",
        "null",
        "~",
        "",
        " a ",
        "a: b",
        "# c",
        "- d",
        "true",
        "<<",
        "=",
        "2024-01-01",
        "1e3",
    ]
)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)


RARELY = st.sampled_from([0, 0, 0, 1])  # the SQL of a rule takes longest to look at


@st.composite
def contracts(draw) -> Contract:
    named = WORDS.filter(lambda word: word and "\0" not in word)
    names = draw(st.lists(named, min_size=1, max_size=4, unique=True))
    kinds = st.sampled_from(["integer", "number", "boolean", "date", "datetime", "text"])
    columns = {}
    for name in names:
        kind = draw(kinds)
        more: dict[str, Any] = {}
        if kind in ("integer", "number"):
            bounds = sorted(draw(st.lists(NUMBERS, min_size=2, max_size=2)))
            more = {"minimum": bounds[0], "maximum": draw(st.none() | st.just(bounds[1]))}
        if kind == "date":
            more = {"minimum": draw(st.dates()).isoformat(), "format": draw(st.none() | WORDS)}
        if kind == "text":
            more = {"values": draw(st.none() | st.lists(WORDS, min_size=1, max_size=30))}
        if kind == "boolean":
            true = draw(st.lists(WORDS, max_size=3))
            more = {"true": true, "false": [w for w in draw(st.lists(WORDS)) if w not in true]}
        columns[name] = ColumnRule(
            kind,
            nullable=draw(st.booleans()),
            unique=draw(st.booleans()),
            policy=draw(POLICY),
            decimal=draw(st.sampled_from(".,'")),
            **more,
        )
    moments = [name for name in names if columns[name].type in ("date", "datetime")]
    fewest = draw(st.integers(0, 10**9))
    return Contract(
        draw(WORDS),
        columns,
        draw(st.sampled_from(["stop", "set_aside", "warn"])),
        fewest,
        draw(st.none() | st.integers(fewest, 10**12)),
        draw(st.lists(st.lists(st.sampled_from(names), min_size=1, unique=True), max_size=2)),
        Freshness(moments[0], draw(st.floats(0, 1e5))) if moments else None,
        [RowRule(draw(WORDS.filter(bool)), "1 < 2 -- always\n", draw(POLICY))] * draw(RARELY),
    )


@QUICK
@given(contract=contracts())
def test_a_contract_reads_as_it_was_written(contract, tmp_path):
    path = tmp_path / "contract.yaml"
    write_contract(contract, path)
    assert read_contract(path) == contract
    before = path.read_bytes()
    write_contract(read_contract(path), path)
    assert path.read_bytes() == before


def test_a_contract_is_pleasant_to_read(tmp_path):
    path = tmp_path / "orders.yaml"
    write_contract(PEOPLE, path)
    lines = [line for line in path.read_text().split("\n") if not line.startswith("#")]
    assert "\n".join(lines).strip() == EXAMPLE.strip()


EXAMPLE = """
table: orders
policy: stop
most_rows: 3
freshness: {column: day, days: 7}
unique: [[kind, day]]
columns:
  id: {type: integer, nullable: false, minimum: 1, unique: true}
  price: {type: number, minimum: 0, maximum: 10}
  kind: {type: text, values: [a, b]}
  day: {type: date, minimum: '2024-01-01', maximum: '2024-12-31'}
  paid: boolean
rules:
  - {name: paid has a price, sql: price > 0 OR NOT paid}
"""


def test_numbers_and_dates_may_be_written_as_one_thinks_of_them(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "table: t\ncolumns:\n"
        "  a: {type: number, minimum: 1e-4, maximum: .inf}\n"
        "  b: {type: date, minimum: 2024-01-31}\n"
        "  c: {type: integer, values: [1, 02]}\n"
        "  no: {type: boolean, true: [yes], false: [no]}\n"
    )
    columns = read_contract(path).columns
    assert (columns["a"].minimum, columns["a"].maximum) == (1e-4, math.inf)
    assert columns["b"].minimum == "2024-01-31"
    assert columns["c"].values == ["1", "02"]
    assert (columns["no"].true, columns["no"].false) == (["yes"], ["no"])


def test_the_contract_of_the_documentation_can_be_read(tmp_path):
    page = (PROJECT_ROOT / "docs" / "contracts.md").read_text()
    path = tmp_path / "orders.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0])
    contract = read_contract(path)
    assert contract.columns["price"].policy == "set_aside"
    assert contract.freshness == Freshness("ordered", 7)
    for key in [*vars(contract), *vars(contract.columns["price"])]:
        assert f"`{key}`" in page or key == "table", f"{key} is not explained"


MISTAKES = {
    "{type: number, minimun: 0}": "columns.x.minimun: there is no such key.*Did you mean 'minimum'",
    "{type: numbr}": "columns.x.type: 'numbr' is none of .*Did you mean 'number'",
    "{nullable: false}": "columns.x: type is needed",
    "{type: number, policy: drop}": "columns.x.policy: 'drop' is none of stop, set_aside, warn",
    "{type: number, nullable: 0}": "columns.x.nullable: must be true or false",
    '{type: number, minimum: "0"}': "columns.x.minimum: '0' is no number",
    "{type: number, minimum: .nan}": "columns.x.minimum",
    "{type: number, minimum: [0]}": "columns.x.minimum: must be text",
    "{type: number, minimum: 2, maximum: 1}": "columns.x.minimum: 2 is above the maximum",
    "{type: text, maximum: 2}": "columns.x.maximum: a column of type text has no bounds",
    "{type: date, minimum: 31.1.2024}": "columns.x.minimum: '31.1.2024' is no date such as",
    "{type: integer, values: [1, one]}": "columns.x.values: 'one' is no number",
    "{type: text, values: a}": "columns.x.values: must be a list",
    "{type: text, values: []}": "columns.x.values: an empty list allows no value",
    "{type: text, values: [a, null]}": "columns.x.values.1: must be text",
    "{type: text, format: '%d'}": "columns.x.format: is for dates",
    "{type: text, true: [yes]}": "columns.x.true: is for booleans",
    "{type: boolean, true: [a], false: [a]}": "columns.x.true: a cannot be true and false",
    "{type: number, decimal: ''}": "columns.x.decimal: must be one character",
    "text\n  '': text": "columns.: a column has a name",
    "[number]": "columns.x: must be `key: value` pairs",
    "{type: number, type: text}": "columns.x.type: stands here twice",
    "number\npolicy: set_asid": "policy: 'set_asid' is none of .*Did you mean 'set_aside'",
    "number\nfewest_rows: few": "fewest_rows: must be a whole number",
    "number\nfewest_rows: -1": "fewest_rows: -1 is no whole number from 0 up",
    "number\nfewest_rows: 9\nmost_rows: 8": "most_rows: is below fewest_rows",
    "number\nunique: [[y]]": "unique.0: there is no column 'y'",
    "number\nunique: [x]": "unique.0: must be a list",
    "number\nunique: [[x, x]]": "unique.0: give different columns",
    "number\nfreshness: {column: x, days: 1}": "freshness.column: x is of type number",
    "date\nfreshness: {column: x, days: soon}": "freshness.days: 'soon' is no number",
    "number\nrules: [{name: r, sql: x >}]": "rules.0.sql: 'x >' is no SQL expression",
    "number\nrules: [{name: r, sql: x + 1}]": "rules.0.sql: .* gives DOUBLE, neither true",
    "number\nrules: [{name: r, sql: xx > 1}]": "rules.0.sql: .*Did you mean 'x'",
    "number\nrules: [{name: r, sql: x > 1) OR (true}]": "rules.0.sql",
    "number\nrules: [{name: r, sql: 'x > 1; DROP TABLE t'}]": "rules.0.sql",
    "number\nrules: [{name: r, sql: sum(x) > 1}]": "rules.0.sql: .*aggregates",
    "number\nrules: [{name: r, sql: lag(x) OVER () < x}]": "rules.0.sql: .*a window over other",
    "number\nrules: [{name: r, sql: (SELECT true)}]": "rules.0.sql: .*a query within",
    "number\nrules: [{name: r, sql: x < random()}]": "rules.0.sql: .*another answer each time",
    "number\nrules: [{name: r, sql: x > 1}, {name: r, sql: x > 2}]": "rules.1.name: give each rule",
    "number\nrules: [{sql: x > 1}]": "rules.0: name is needed",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_a_contract_is_named_with_its_line(text, tmp_path):
    path = tmp_path / "contract.yaml"
    path.write_text(f"table: t\ncolumns:\n  x: {text}\n")
    line = 3 + text.count("\n")
    with pytest.raises(UserError, match=f"contract.yaml, line {line}: {MISTAKES[text]}"):
        read_contract(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such contract. Did you mean 'orders.yaml'?"),
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "cannot be read as UTF-8 text"),
        (b"a\0b", "this is no YAML"),
        (b"table: t\nrules: [{name: r", "line 2: this is no YAML"),
        (b"- a", "line 1: must be `key: value` pairs"),
        (b"table: t", "columns is needed"),
        (b"columns: {}\ntable: t", "a table has at least one column"),
        (b"&a {columns: *a, table: t}", "line 1"),
    ],
)
def test_a_file_that_is_no_contract_is_refused(content, message, tmp_path):
    path = tmp_path / "order.yaml"
    (tmp_path / "orders.yaml").write_text("")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_contract(path)
    assert message in str(error.value)


def test_a_contract_of_python_is_checked_for_mistakes_too(con, tmp_path):
    contract = Contract("t", {"x": ColumnRule("integer", minimum="1")})
    with pytest.raises(UserError, match=r"columns\.x\.minimum: '1' is no number"):
        check(con, view(con, "SELECT 1 AS x"), contract, "read")
    with pytest.raises(UserError, match="minimum"):
        write_contract(contract, tmp_path / "t.yaml")
    assert not (tmp_path / "t.yaml").exists()


def test_the_line_of_what_is_not_written_is_that_of_what_holds_it(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("table: t\ncolumns:\n  x:\n    type: integer\n    maximum: 1\n")
    assert line_of(path, ("columns", "x", "maximum")) == 5
    assert line_of(path, ("columns", "x", "type")) == 4
    assert line_of(path, ("columns", "x", "nullable")) == 3
    assert line_of(path, ("fewest_rows",)) == 1
    assert line_of(tmp_path / "none.yaml", ("columns",)) is None


# Other boundaries


def examples() -> Examples:
    frame = pd.DataFrame(
        {
            "n": [0.5, np.nan, 2.0, 3.0],
            "whole": [1, 2, 3, 4],
            "word": pd.Series(["a", None, "b", "a"], dtype="str"),
            "y": [0, 1, 0, 1],
            "user": [1, 1, 2, 2],
            "visit": [0, 1, 0, 1],
            "#time": [0.0, 1.0, 2.0, 3.0],
        }
    )
    schema = Schema(
        "binary",
        "y",
        {"n": "numeric", "whole": "numeric", "word": "categorical"},
        ["no", "yes"],
        ["user", "visit"],
        time="#time",
        group="user",
    )
    return Examples(frame, schema, {}, {})


def test_sound_examples_break_nothing():
    assert check_examples(examples()).breaches == []


@pytest.mark.parametrize(
    ("column", "values", "rule"),
    [
        ("n", None, "columns"),
        ("n", ["a", "b", "c", "d"], "type"),
        ("n", [1.0, np.inf, 0, 0], "finite"),
        ("word", [1, 2, 3, 4], "type"),
        ("word", pd.Series(["a", 1, None, "b"], dtype=object), "type"),
        ("y", None, "columns"),
        ("y", ["no", "yes", "no", "yes"], "type"),
        ("y", [0, np.nan, 0, 1], "nullable"),
        ("y", [0, 1, 2, 1], "values"),
        ("y", [0, -1, 0, 1], "values"),
        ("y", [0, 0.5, 0, 1], "values"),
        ("visit", None, "columns"),
        ("visit", [0, 0, 0, 1], "unique"),
        ("visit", [1, 0, 0, 1], "order"),
        ("user", [2, 2, 1, 1], "order"),
        ("visit", [0, np.nan, 0, 1], "order"),
        ("#time", None, "columns"),
        ("#time", [0, 1, np.nan, 3], "nullable"),
    ],
)
def test_each_fault_of_examples_is_found(column, values, rule):
    given_ = examples()
    if values is None:
        del given_.frame[column]
    else:
        given_.frame[column] = values
    report = check_examples(given_)
    assert rule in [b.rule for b in report.breaches if column in b.columns]
    with pytest.raises(UserError, match=f"examples, after features: .*\n.*{column}"):
        report.raise_if_stopped()


def test_a_target_among_the_features_is_found():
    given_ = examples()
    given_.schema.features["y"] = "numeric"
    assert [b.says for b in check_examples(given_).breaches] == [
        "is the target, and a feature as well"
    ]


def test_a_regression_wants_finite_numbers():
    given_ = examples()
    given_.frame["y"] = [0.5, np.inf, 1e9, -3.0]
    schema = Schema("regression", "y", given_.schema.features, key=["user", "visit"])
    report = check_examples(Examples(given_.frame, schema, {}, {}))
    assert found(report) == [("finite", "y", 1)]


def test_the_shop_keeps_its_contract_of_python():
    whole = shop.build(load_config(SHOP))
    contract = shop_contract(whole.schema, list(whole.frame.columns))
    assert check_examples(whole, contract).breaches == []
    whole.frame.loc[4, "price"] = 0
    whole.frame.loc[5, "user_rate"] = 1.5
    whole.frame.loc[6, "taste_shown"] = 1e6
    assert found(check_examples(whole, contract)) == [
        ("minimum", "price", 1),
        ("maximum", "user_rate", 1),
        ("a category is part of all", "taste_shown, user_shown", 1),
    ]


def parts(train: list[int], valid: list[int], test: list[int]) -> Split:
    return Split(*(np.array(part, dtype=np.int64) for part in (train, valid, test)), "by hand")


def labelled(*target: float, task: str = "multiclass") -> Examples:
    classes = ["a", "b", "c"] if task == "multiclass" else []
    schema = Schema(task, "y", {}, classes)  # type: ignore[arg-type]
    return Examples(pd.DataFrame({"y": list(target)}), schema, {}, {})


SIX = labelled(0, 1, 0, 1, 0, 1)


def test_sound_parts_break_nothing():
    assert check_parts(SIX, parts([0, 1], [2, 3], [4, 5])).breaches == []
    numbers = labelled(0.5, 1, 2, 3, 4, 5, task="regression")
    assert check_parts(numbers, parts([0, 1], [2, 3], [4, 5])).breaches == []


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (parts([0, 1], [], [4, 5]), ("rows", "valid", 0)),
        (parts([0, 1], [2, 4], [3, 5]), ("values", "valid", 0)),
        (parts([0, 1, 2], [2, 3], [4, 5]), ("unique", "train, valid, test", 1)),
        (parts([0, 1, 1], [2, 3], [4, 5]), ("unique", "train, valid, test", 1)),
        (parts([0, 1], [2, 3], [4, 6]), ("rows", "test", 0)),
        (parts([-1, 1], [2, 3], [4, 5]), ("rows", "train", 0)),
    ],
)
def test_each_fault_of_parts_is_found(split, expected):
    report = check_parts(SIX, split)
    assert expected in found(report)
    with pytest.raises(UserError, match=r"training\.split\.kind"):
        report.raise_if_stopped()


def test_one_number_for_all_is_found():
    numbers = labelled(1, 1, 2, 3, 4, 5, task="regression")
    assert found(check_parts(numbers, parts([0, 1], [2, 3], [4, 5]))) == [("values", "train", 0)]


def test_a_class_that_train_lacks_is_told_and_stops_nothing():
    given_ = labelled(0, 1, 0, 2, 0, 1)
    split = parts([0, 1], [2, 3], [4, 5])
    report = check_parts(given_, split)
    report.raise_if_stopped()
    assert "'c' is nowhere in train" in report.notes()[0]


# Size


@pytest.mark.slow
def test_millions_of_rows_pass_in_bounded_memory(tmp_path: Path):
    table = tmp_path / "t.parquet"
    contract = Contract(
        "t",
        {
            "id": ColumnRule("integer", unique=True),
            **{f"n{n}": ColumnRule("number", minimum=0, maximum=0.999) for n in range(8)},
        },
        "set_aside",
    )
    with duckdb.connect(config={"threads": 2, "memory_limit": "400MB"}) as con:
        con.execute(f"SET temp_directory = '{tmp_path}'").fetchall()
        numbers = ", ".join(f"(hash(range + {n}) % 10000) / 10000 AS n{n}" for n in range(8))
        query = f"SELECT range % 2990000 AS id, {numbers} FROM range(3000000)"
        con.execute(f"COPY ({query}) TO '{table}'").fetchall()
        view(con, f"SELECT * FROM '{table}'")
        report = check(con, "rows", contract, "read")
        assert ("unique", "id", 10_000) in found(report)
        kept, aside = divide(con, "rows", contract, report)
        apart = copy(con, f'SELECT * FROM "{aside}"', tmp_path / "aside.parquet")
        con.execute(f"COPY (SELECT * FROM \"{kept}\") TO '{tmp_path}/kept.parquet'").fetchall()
        stayed = con.execute(f"SELECT count(*) FROM '{tmp_path}/kept.parquet'").fetchall()[0][0]
        assert stayed + apart == 3_000_000
