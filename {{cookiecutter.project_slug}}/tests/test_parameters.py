"""Parameters of notebooks: what a cell may declare, and which values a job may give."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.jobs import Secret
from {{cookiecutter.package_name}}.jobs.folder import JobFile
from {{cookiecutter.package_name}}.jobs.parameters import (
    check,
    parameters_of,
    plain,
    read_parameters,
    require_secrets,
    secret_names,
)

PACKAGE = "{{cookiecutter.package_name}}"
IMPORTS = f"""\
from datetime import UTC, date, datetime, timezone
from pathlib import Path
from typing import Literal, Optional, Union
from {PACKAGE}.jobs import Secret
"""
JOB = "job 'a' (n.ipynb)"


def write(path: Path, *cells: str, tag: str = "parameters") -> Path:
    path.write_text(json.dumps(notebook(*cells, tag=tag)))
    return path


def notebook(*cells: str, tag: str = "parameters") -> dict[str, Any]:
    tags = {"tags": [tag]}
    return {
        "cells": [
            {"cell_type": "code", "metadata": tags, "source": cell.splitlines(True)}
            for cell in cells
        ]
    }


def given(annotation: str, default: str, value: Any) -> Any:
    declared = parameters_of(notebook(f"{IMPORTS}x: {annotation} = {default}"), "n.ipynb")
    return check({"x": value}, declared, JOB)["x"]


def test_names_types_and_defaults_are_read(tmp_path: Path) -> None:
    cell = "from typing import Literal\nusers: int = 1_000  # many\nby: str | None = None\n"
    declared = read_parameters(write(tmp_path / "n.ipynb", cell + "rate: float = 1"))
    assert {name: (p.annotation, p.default) for name, p in declared.items()} == {
        "users": ("int", 1000),
        "by": ("str | None", None),
        "rate": ("float", 1.0),
    }


@pytest.mark.parametrize(
    ("imports", "day"),
    [
        ("from datetime import date", "date"),
        ("import datetime", "datetime.date"),
        ("import datetime as dt", "dt.date"),
        ("from datetime import date as day, datetime", "day"),
    ],
)
def test_a_type_is_known_as_it_is_imported(imports: str, day: str) -> None:
    cell = f"{imports}\na: {day} = {day}(2026, 1, 5)\nb: {day} = {day}.fromisoformat('2026-01-06')"
    declared = parameters_of(notebook(cell), "n.ipynb")
    assert [p.default for p in declared.values()] == [date(2026, 1, 5), date(2026, 1, 6)]


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        ("datetime", "datetime(2026, 1, 5, 12, minute=30)", datetime(2026, 1, 5, 12, 30)),
        ("datetime", "datetime(2026, 1, 5, tzinfo=timezone.utc)", datetime(2026, 1, 5, tzinfo=UTC)),
        ("datetime", "datetime(2026, 1, 5, tzinfo=UTC)", datetime(2026, 1, 5, tzinfo=UTC)),
        ("Path", "Path('data', 'x.csv')", Path("data/x.csv")),
        ("list[Path]", "[Path('a'), Path('b')]", [Path("a"), Path("b")]),
        ("Secret", "Secret('API_TOKEN')", Secret("API_TOKEN")),
        ("Secret | None", "None", None),
        ("dict[str, date]", "{'a': date(2026, 1, 5)}", {"a": date(2026, 1, 5)}),
        ("Optional[int]", "None", None),
        ("Union[int, Literal['all'], None]", "'all'", "all"),
    ],
)
def test_a_default_is_read_without_running_it(annotation: str, default: str, expected: Any) -> None:
    declared = parameters_of(notebook(f"{IMPORTS}x: {annotation} = {default}"), "n.ipynb")
    assert declared["x"].default == expected


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("users = 3", "name: type = value"),
        ("print(3)", "name: type = value"),
        ("import os", "This cell imports only from typing, datetime and pathlib"),
        ("from os import path", "This cell imports only"),
        ("from datetime import *", "This cell imports only"),
        ("from .jobs import Secret", "This cell imports only"),
        (f"from {PACKAGE}.jobs import summarise", "This cell imports only"),
        ("users: int = len('abc')", "needs a default"),
        ("users: int = 'three'", "'users' is int, but was given 'three' (str)"),
        ("users: list = []", "type 'list' of parameter 'users'"),
        ("users: Any = 1", "type 'Any' of parameter 'users'"),
        ("users: 'int' = 1", "is not one a job can check"),
        ("users: Literal['a'] = 'a'", "Import it in this cell: from typing import Literal"),
        ("day: datetime.date = 1", "Import it in this cell: import datetime"),
        ("a: int = 1\na: int = 2", "declared twice"),
        ("users: int = ", "line 1"),
        ("users: int = 1\x00", "null bytes"),
        ("a: int" + " | int" * 5000 + " = 1", "too deep to be read"),
        ("__name__: str = 'x'", "Python's own"),
        ("needed: int = 1", "hides what 'needed' stands for"),
        ("from datetime import date\ndate: date = date(2026, 1, 5)", "hides what 'date' stands"),
        ("from datetime import date\nday: date = date(2026, 2, 30)", "day is out of range"),
        ("from datetime import date\nday: date = date.today()", "a plain value"),
        ("from datetime import date\nday: date = date(**{})", "a plain value"),
        ("from datetime import date\nday: date = '2026-01-05'", "its default is '2026-01-05'"),
        ("rate: float = '1e-4'", "its default is '1e-4' (str)"),
    ],
)
def test_a_cell_that_is_no_declaration_is_refused(tmp_path: Path, cell: str, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        read_parameters(write(tmp_path / "n.ipynb", cell))
    assert message in str(refusal.value)
    assert "n.ipynb" in str(refusal.value)


def test_exactly_one_cell_must_be_tagged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no cell is tagged"):
        read_parameters(write(tmp_path / "none.ipynb", "a: int = 1", tag="other"))
    with pytest.raises(UserError, match="2 cells are tagged"):
        read_parameters(write(tmp_path / "two.ipynb", "a: int = 1", "b: int = 1"))


def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text("[1, 2]")
    with pytest.raises(UserError, match="cannot be read as a notebook"):
        read_parameters(tmp_path / "n.ipynb")


@pytest.mark.parametrize("cell", ["a: int\nb: int = 1", "a: int = ...\nb: int = 1"])
def test_a_parameter_without_a_default_must_be_given(cell: str) -> None:
    declared = parameters_of(notebook(cell), "n.ipynb")
    assert [p.required for p in declared.values()] == [True, False]
    with pytest.raises(UserError, match=r"job 'a' .*: parameter 'a' \(int\) has no default"):
        check({"b": 2}, declared, JOB)
    assert check({"a": 2}, declared, JOB) == {"a": 2}
    assert check({"b": 2}, declared, JOB, later=["a"]) == {"b": 2}


@pytest.mark.parametrize(
    ("annotation", "default", "value", "expected"),
    [
        ("int", "1", 7, 7),
        ("int", "1", "7", 7),
        ("int", "1", 1e3, 1000),
        ("float", "1.0", 3, 3.0),
        ("float", "1.0", "1e-4", 0.0001),
        ("bool", "False", True, True),
        ("bool", "True", "false", False),
        ("str", "''", "007", "007"),
        ("str | None", "None", None, None),
        ("int | float", "1", 2.5, 2.5),
        ("float | str", "'a'", "1e-4", "1e-4"),
        ("Literal['a', 'b']", "'a'", "b", "b"),
        ("list[float]", "[]", [1, "2e1"], [1.0, 20.0]),
        ("list[str]", "[]", ("a",), ["a"]),
        ("dict[str, int]", "{}", {"a": 1}, {"a": 1}),
        ("list[int] | None", "None", [1], [1]),
        ("Optional[int]", "None", "7", 7),
        ("Union[int, str]", "1", "7", "7"),
        ("date", "...", "2026-01-05", date(2026, 1, 5)),
        ("date", "...", date(2026, 1, 5), date(2026, 1, 5)),
        ("datetime", "...", "2026-01-05T12:30:00", datetime(2026, 1, 5, 12, 30)),
        ("datetime", "...", "2026-01-05 12:30Z", datetime(2026, 1, 5, 12, 30, tzinfo=UTC)),
        ("datetime", "...", "2026-01-05", datetime(2026, 1, 5)),
        ("datetime", "...", date(2026, 1, 5), datetime(2026, 1, 5)),
        ("date | str", "''", "2026-01-05", "2026-01-05"),
        ("date | None", "None", "2026-01-05", date(2026, 1, 5)),
        ("list[date]", "[]", ["2026-01-05"], [date(2026, 1, 5)]),
        ("Path", "...", "data/x y.csv", Path("data/x y.csv")),
        ("Path", "...", Path("x"), Path("x")),
        ("list[Path]", "[]", ["a", "b"], [Path("a"), Path("b")]),
        ("Path | None", "None", JobFile("b", "x.csv"), JobFile("b", "x.csv")),
    ],
)
def test_a_value_of_the_type_is_taken(
    annotation: str, default: str, value: Any, expected: Any
) -> None:
    found = given(annotation, default, value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("annotation", "default", "value", "hint"),
    [
        ("int", "1", 3.5, "whole number"),
        ("int", "1", True, ""),
        ("int", "1", "007", ""),
        ("int", "1", None, ""),
        ("float", "1.0", float("nan"), "finite"),
        ("float", "1.0", "inf", "finite"),
        ("float", "1.0", "fast", ""),
        ("bool", "True", 1, ""),
        ("str", "''", 7, "in quotes"),
        ("str", "''", date(2026, 1, 5), "in quotes"),
        ("str | None", "None", 7, "in quotes"),
        ("float | None", "None", float("nan"), "finite"),
        ("float", "1.0", 10**400, ""),
        ("float", "1.0", 2**53 + 1, "more digits than a float"),
        ("date", "...", "20260105", "2026-01-05"),
        ("date", "...", 20260105, "2026-01-05"),
        ("date", "...", "2026-02-30", "day is out of range"),
        ("date", "...", "today", "2026-01-05"),
        ("date", "...", "2026-01-05T00:00:00", "2026-01-05"),
        ("date", "...", datetime(2026, 1, 5), "2026-01-05"),
        ("datetime", "...", "noon", "T12:30:00"),
        ("Path", "...", "", "as text"),
        ("Path", "...", "a\0b", "as text"),
        ("Path", "...", 3, "as text"),
        ("str", "''", JobFile("b", "x.csv"), ""),
        ("Literal['slow', 'fast']", "'slow'", "fsat", "Did you mean 'fast'?"),
        ("list[int]", "[]", 3, "Give a list"),
        ("list[int]", "[]", [1, "x"], ""),
        ("dict[str, int]", "{}", {1: 2}, "text keys"),
    ],
)
def test_a_value_of_another_type_is_refused(
    annotation: str, default: str, value: Any, hint: str
) -> None:
    with pytest.raises(UserError) as refusal:
        given(annotation, default, value)
    message = f"{JOB}: parameter 'x' is {annotation}, but was given {value!r}"
    assert str(refusal.value).startswith(message)
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sedd", "Did you mean 'seed'?"),
        ("x = 1; print", "letters, digits and _"),
        ("seed=1\nimport os\nusers", "letters, digits and _"),
        ("seed: int", "letters, digits and _"),
        ("", "letters, digits and _"),
        (7, "letters, digits and _"),
        ("class", "a word of Python"),
        ("__builtins__", "Python's own"),
    ],
)
def test_a_name_that_is_not_declared_is_refused(name: Any, hint: str) -> None:
    declared = parameters_of(notebook("seed: int = 1\nusers: int = 2"), "n.ipynb")
    for values, later in (({name: 1}, []), ({}, [name])):
        with pytest.raises(UserError) as refusal:
            check(values, declared, JOB, later)
        assert hint in str(refusal.value)
        assert "Valid: seed, users." in str(refusal.value)


# --- secrets

TOKEN = "s3cret" + "-sesame"


@pytest.mark.parametrize("annotation", ["Secret", "Secret | None", "list[Secret]"])
def test_a_secret_is_given_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, annotation: str
) -> None:
    monkeypatch.setenv("API_TOKEN", TOKEN)
    several = annotation.startswith("list")
    value = [{"env": "API_TOKEN"}] if several else {"env": "API_TOKEN"}
    expected = [Secret("API_TOKEN")] if several else Secret("API_TOKEN")
    assert given(annotation, "...", value) == expected


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("Secret", TOKEN),
        ("Secret", {"env": TOKEN}),
        ("Secret | None", TOKEN),
        ("list[Secret]", [TOKEN]),
        ("dict[str, Secret]", {"a": TOKEN}),
        ("Secret", {"value": TOKEN}),
        ("Secret", 12345678),
    ],
)
def test_a_literal_secret_is_refused_and_not_shown(annotation: str, value: Any) -> None:
    with pytest.raises(UserError, match=r"write \{env: NAME\}|name of an environment") as refusal:
        given(annotation, "...", value)
    assert TOKEN not in str(refusal.value)
    assert "12345678" not in str(refusal.value)


def test_a_literal_secret_in_the_notebook_is_refused_and_not_shown() -> None:
    for default in (f"'{TOKEN}'", f"Secret('{TOKEN}')"):
        with pytest.raises(UserError) as refusal:
            parameters_of(notebook(f"{IMPORTS}x: Secret = {default}"), "n.ipynb")
        assert TOKEN not in str(refusal.value)
    with pytest.raises(UserError, match="from the environment only"):
        parameters_of(notebook(f"{IMPORTS}x: Secret | str = '{TOKEN}'"), "n.ipynb")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "variable API_TOKEN is not set"),
        ("", "variable API_TOKEN is empty"),
        (" \n", "variable API_TOKEN is empty"),
        ("abc", "variable API_TOKEN is shorter than 4"),
    ],
)
def test_a_secret_must_be_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str | None, message: str
) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("API_TOKEN", value)
    declared = parameters_of(notebook(f"{IMPORTS}x: Secret = Secret('API_TOKEN')"), "n.ipynb")
    # a default is used as well, unless the job gives another
    for given in ({"env": "API_TOKEN"}, None):
        values = check({"x": given} if given else {}, declared, JOB)
        with pytest.raises(UserError, match=f"parameter 'x': the environment {message}") as error:
            require_secrets(declared, values, JOB)
        assert str(error.value).startswith(JOB)
    monkeypatch.setenv("OTHER", TOKEN)
    other = check({"x": {"env": "OTHER"}}, declared, JOB)
    assert other == {"x": Secret("OTHER")}
    require_secrets(declared, other, JOB)


def test_the_secrets_of_a_job_are_those_it_is_given_and_its_defaults() -> None:
    cell = "a: Secret = Secret('A')\nb: list[Secret] = [Secret('C'), Secret('B')]\nc: int = 1"
    declared = parameters_of(notebook(IMPORTS + cell), "n.ipynb")
    assert secret_names(declared, {}) == ("A", "B", "C")
    assert secret_names(declared, {"a": Secret("Z"), "b": []}) == ("Z",)


def test_a_checked_value_can_be_written_as_json() -> None:
    values = {
        "day": date(2026, 1, 5),
        "at": datetime(2026, 1, 5, 12),
        "file": JobFile("b", "x.csv"),
        "paths": [Path("a/b")],
        "token": Secret("API_TOKEN"),
        "rate": 0.5,
        "none": None,
    }
    assert json.loads(json.dumps(plain(values))) == {
        "day": "2026-01-05",
        "at": "2026-01-05T12:00:00",
        "file": {"from": "b", "file": "x.csv"},
        "paths": ["a/b"],
        "token": {"env": "API_TOKEN"},
        "rate": 0.5,
        "none": None,
    }
