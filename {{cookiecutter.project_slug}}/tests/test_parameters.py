"""Parameters of notebooks: what a cell may declare, and which values a job may give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.jobs.parameters import check, read_parameters


def write(path: Path, *cells: str, tag: str = "parameters") -> Path:
    notebook = {
        "cells": [
            {"cell_type": "code", "metadata": {"tags": [tag]}, "source": cell.splitlines(True)}
            for cell in cells
        ]
    }
    path.write_text(json.dumps(notebook))
    return path


def given(tmp_path: Path, annotation: str, default: str, value: Any) -> Any:
    notebook = write(tmp_path / "n.ipynb", f"x: {annotation} = {default}")
    return check({"x": value}, read_parameters(notebook), "job 'a' (n.ipynb)")["x"]


def test_names_types_and_defaults_are_read(tmp_path: Path) -> None:
    cell = "from typing import Literal\nusers: int = 1_000  # many\nby: str | None = None\n"
    declared = read_parameters(write(tmp_path / "n.ipynb", cell + "rate: float = 1"))
    assert {name: (p.annotation, p.default) for name, p in declared.items()} == {
        "users": ("int", 1000),
        "by": ("str | None", None),
        "rate": ("float", 1.0),
    }


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("users = 3", "name: type = value"),
        ("print(3)", "name: type = value"),
        ("import os", "name: type = value"),
        ("users: int", "needs a default"),
        ("users: int = len('abc')", "needs a default"),
        ("users: int = 'three'", "'users' is int, but was given 'three' (str)"),
        ("users: list = []", "type 'list' of parameter 'users'"),
        ("users: Any = 1", "type 'Any' of parameter 'users'"),
        ("a: int = 1\na: int = 2", "declared twice"),
        ("users: int = ", "line 1"),
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
    ],
)
def test_a_value_of_the_type_is_taken(
    tmp_path: Path, annotation: str, default: str, value: Any, expected: Any
) -> None:
    found = given(tmp_path, annotation, default, value)
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
        ("str | None", "None", 7, ""),
        ("Literal['slow', 'fast']", "'slow'", "fsat", "Did you mean 'fast'?"),
        ("list[int]", "[]", 3, "Give a list"),
        ("list[int]", "[]", [1, "x"], ""),
        ("dict[str, int]", "{}", {1: 2}, "text keys"),
    ],
)
def test_a_value_of_another_type_is_refused(
    tmp_path: Path, annotation: str, default: str, value: Any, hint: str
) -> None:
    with pytest.raises(UserError) as refusal:
        given(tmp_path, annotation, default, value)
    message = f"job 'a' (n.ipynb): parameter 'x' is {annotation}, but was given {value!r}"
    assert str(refusal.value).startswith(message)
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "hint"), [("sedd", "Did you mean 'seed'?"), ("x = 1; print", "Valid: seed, users.")]
)
def test_an_unknown_name_is_refused(tmp_path: Path, name: str, hint: str) -> None:
    declared = read_parameters(write(tmp_path / "n.ipynb", "seed: int = 1\nusers: int = 2"))
    with pytest.raises(UserError) as refusal:
        check({name: 1}, declared, "job 'a'")
    assert hint in str(refusal.value)
