"""Injection: the cell a job adds says exactly its values, and nothing can be smuggled in."""

from __future__ import annotations

import ast
import copy
import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.jobs import Secret
from {{cookiecutter.package_name}}.jobs.folder import JobFile
from {{cookiecutter.package_name}}.jobs.injection import inject
from {{cookiecutter.package_name}}.jobs.parameters import (
    check,
    parameters_of,
    plain,
)
from {{cookiecutter.package_name}}.jobs.secret import redact_notebook

PACKAGE = "{{cookiecutter.package_name}}"
# how a cell may import its types, and how it spells them then
STYLES = {
    "names": (
        "from datetime import date, datetime\nfrom pathlib import Path\n"
        "from typing import Literal, Optional, Union",
        {},
    ),
    "modules": (
        "import datetime, pathlib, typing",
        {
            "datetime": "datetime.datetime",
            "date": "datetime.date",
            "Path": "pathlib.Path",
            "Literal": "typing.Literal",
            "Optional": "typing.Optional",
            "Union": "typing.Union",
        },
    ),
    "aliases": (
        "import datetime as dt\nfrom pathlib import Path as File\nfrom typing import Literal as L, "
        "Optional as O, Union as U",
        {
            "datetime": "dt.datetime",
            "date": "dt.date",
            "Path": "File",
            "Literal": "L",
            "Optional": "O",
            "Union": "U",
        },
    ),
}
EMPTY = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}


def notebook(source: str, minor: int = 5) -> dict[str, Any]:
    """A title, the parameters cell, a cell that uses them."""
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    tagged = {"metadata": {"tags": ["parameters"]}, "source": source.splitlines(True)}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
        {**cell, **tagged},
        {**cell, "source": ["1"]},
    ]
    if minor >= 5:
        cells = [{**each, "id": f"c{number}"} for number, each in enumerate(cells)]
    return {**EMPTY, "nbformat_minor": minor, "cells": cells}


def injected(source: str, values: dict[str, Any]) -> str:
    raw = notebook(source)
    declared = parameters_of(raw, "n.ipynb")
    cell = inject(raw, declared, check(values, declared, "job 'a'"))["cells"][2]
    assert cell["metadata"]["tags"] == ["injected-parameters"]
    return "".join(cell["source"])


def typed(value: Any) -> Any:
    """``value`` with its types, so that 1, 1.0 and True differ."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return type(value), value


seconds = st.integers(-82_800, 82_800)  # Python itself reads an offset of microseconds as none
zones = st.none() | st.builds(lambda each: timezone(timedelta(seconds=each)), seconds)
paths = st.text(min_size=1).filter(lambda text: "\0" not in text)
scalars = {
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "str": st.text(),
    "Literal['a', 1, None]": st.sampled_from(["a", 1, None]),
    "date": st.dates(),
    "datetime": st.datetimes(timezones=zones),
    "Path": paths.map(Path),
    "Optional[date]": st.none() | st.dates(),
    "Union[datetime, date, int]": st.dates() | st.datetimes() | st.integers(),
    "str | float | None": st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
}
kinds = {
    **scalars,
    **{f"list[{kind}]": st.lists(values, max_size=3) for kind, values in scalars.items()},
    **{
        f"dict[str, {kind}]": st.dictionaries(st.text(), values, max_size=3)
        for kind, values in scalars.items()
    },
    "list[dict[str, list[Path]]]": st.lists(
        st.dictionaries(st.text(), st.lists(paths.map(Path), max_size=2), max_size=2), max_size=2
    ),
}


@pytest.mark.parametrize("style", STYLES)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_injected_evaluates_to_the_value(style: str, data: st.DataObject) -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    imports, names = STYLES[style]
    kind = data.draw(st.sampled_from(sorted(kinds)))
    value = data.draw(kinds[kind])
    tree = ast.parse(kind)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    source = f"{imports}\nx: {ast.unparse(tree)} = ..."
    code = injected(source, {"x": value})
    assert TransformerManager().transform_cell(code).rstrip("\n") == code  # no magic, no shell
    space: dict[str, Any] = {}
    exec(source, space)
    exec(code, space)
    assert typed(space["x"]) == typed(value)
    assert injected(source, {"x": value}) == code


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_value_survives_being_written_as_json(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for kind in kinds if "Union" not in kind]))
    declared = parameters_of(notebook(f"{STYLES['names'][0]}\nx: {kind} = ..."), "n.ipynb")
    values = check({"x": data.draw(kinds[kind])}, declared, "job 'a'")
    again = json.loads(json.dumps(plain(values)))
    assert typed(check(again, declared, "job 'a'")["x"]) == typed(values["x"])


def test_the_cell_reads_as_a_person_would_write_it() -> None:
    source = (
        "from datetime import date, datetime\nfrom pathlib import Path\n"
        f"from {PACKAGE}.jobs import Secret\n"
        "rate: float\nday: date\nat: list[datetime]\nfile: Path\ntoken: Secret = Secret('A')\n"
        "rows: Path\nparts: list[Path] = []"
    )
    raw = notebook(source)
    values = {
        "parts": [Path("a b.csv"), JobFile("clean", "c/d.csv")],
        "rows": JobFile("clean", "rows.csv"),
        "token": Secret("API_TOKEN"),
        "file": Path("data/x.csv"),
        "at": [datetime(2026, 1, 5, 12), datetime(2026, 1, 5, tzinfo=UTC)],
        "day": date(2026, 1, 5),
        "rate": 1e-4,
    }
    cell = inject(raw, parameters_of(raw, "n.ipynb"), values)["cells"][2]
    assert "".join(cell["source"]).splitlines() == [
        "# Parameters",
        f"from {PACKAGE}.jobs import needed",
        "rate = 0.0001",
        "day = date(2026, 1, 5)",
        'at = [datetime(2026, 1, 5, 12, 0), datetime.fromisoformat("2026-01-05T00:00:00+00:00")]',
        'file = Path("data/x.csv")',
        'token = Secret("API_TOKEN")',
        'rows = needed("clean", "rows.csv")',
        'parts = [Path("a b.csv"), needed("clean", "c/d.csv")]',
    ]


@pytest.mark.parametrize(("minor", "cell_id"), [(5, "injected-parameters"), (4, None)])
def test_the_notebook_stays_whole(minor: int, cell_id: str | None) -> None:
    raw = notebook("a: int = 1\nb: int = 2", minor)
    before = copy.deepcopy(raw)
    declared = parameters_of(raw, "n.ipynb")
    new = inject(raw, declared, {"b": 5, "a": 3})
    assert raw == before
    assert [*new["cells"][:2], *new["cells"][3:]] == raw["cells"]
    assert new["cells"][2].get("id") == cell_id
    nbformat.validate(nbformat.from_dict(new))
    assert new == inject(raw, declared, {"a": 3, "b": 5})
    new["cells"][0]["source"].append("changed")
    assert raw == before


def test_without_values_there_is_no_cell() -> None:
    raw = notebook("a: int = 1")
    assert inject(raw, parameters_of(raw, "n.ipynb"), {}) == raw


def test_what_an_earlier_run_injected_is_replaced() -> None:
    raw = notebook("a: int = 1")
    declared = parameters_of(raw, "n.ipynb")
    once = inject(raw, declared, {"a": 2})
    assert inject(once, declared, {"a": 3}) == inject(raw, declared, {"a": 3})
    assert inject(once, declared, {}) == raw


HOSTILE = (
    "a = 1; open('owned', 'w')",
    "a=1\nopen('owned', 'w')",
    "a\u2028open",
    "a: int = open('owned', 'w')",
    "(a := open('owned', 'w'))",
    "a if open('owned', 'w') else a",
    "__import__('os').system('touch owned')",
    "!touch owned",
    "%system touch owned",
    "a, b",
    "*a",
    "a.b",
    "a[0]",
    "a #",
    "",
)


@pytest.mark.parametrize("code", HOSTILE)
def test_code_in_a_name_never_reaches_a_notebook(code: str) -> None:
    raw = notebook("a: int = 1")
    declared = parameters_of(raw, "n.ipynb")
    with pytest.raises(UserError, match="cannot be the name of a parameter"):
        check({code: 1}, declared, "job 'a'")
    with pytest.raises(UserError, match="no parameter"):
        inject(raw, declared, {code: 1})


@pytest.mark.parametrize(
    "text", [*HOSTILE, "'; open('owned', 'w'); '", '"""', "\\'", "{0}", "a\r\nb"]
)
def test_code_in_a_value_stays_text(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = "x: str\ny: list[dict[str, str]]"
    space: dict[str, Any] = {}
    exec(injected(source, {"x": text, "y": [{text: text}]}), space)
    assert space["x"] == text
    assert space["y"] == [{text: text}]
    assert not (tmp_path / "owned").exists()


def test_a_value_that_was_not_checked_is_no_code() -> None:
    class Evil:
        def __repr__(self) -> str:
            return "open('owned', 'w')"

    raw = notebook("a: int = 1")
    with pytest.raises(TypeError, match="cannot be a Evil"):
        inject(raw, parameters_of(raw, "n.ipynb"), {"a": Evil()})


def test_a_text_whose_repr_is_code_is_injected_as_text() -> None:
    class Evil(str):
        def __repr__(self) -> str:
            return "open('owned', 'w')"

    assert injected("x: str", {"x": Evil("a")}) == "# Parameters\nx = 'a'"


def test_a_kernel_gets_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbclient

    token = "s3cret" + "-sesame"
    given = tmp_path / "needs" / "clean"
    given.mkdir(parents=True)
    (given / "rows.csv").write_text("1,2")
    monkeypatch.setenv("JOB_FOLDER", str(tmp_path))
    monkeypatch.setenv("API_TOKEN", token)
    raw = notebook(
        "import datetime as dt\nfrom pathlib import Path\n"
        f"from {PACKAGE}.jobs import Secret\n"
        "day: dt.date\nrows: Path\ntoken: Secret\nsay: str = 'default'"
    )
    raw["cells"][-1]["source"] = (
        f"from {PACKAGE}.jobs import output\n"
        "output('a/b.txt').write_text(rows.read_text())\n"
        "print(day + dt.timedelta(1), say, token, token.value, [token.value])"
    )
    declared = parameters_of(raw, "n.ipynb")
    values = {
        "day": "2026-01-05",
        "rows": JobFile("clean", "rows.csv"),
        "token": {"env": "API_TOKEN"},
        "say": "\U0001f600 '\"\\ \u2028?",
    }
    new = json.dumps(inject(raw, declared, check(values, declared, "job 'a'")))
    executed = nbclient.execute(nbformat.reads(new, as_version=4), kernel_name="python3")
    assert executed.cells[-1].outputs[0].text == (
        f"2026-01-06 {values['say']} Secret(\"API_TOKEN\") {token} ['{token}']\n"
    )
    assert (tmp_path / "outputs" / "a" / "b.txt").read_text() == "1,2"
    hidden = redact_notebook(executed, {"API_TOKEN": token})
    assert token not in nbformat.writes(hidden)
    assert "[API_TOKEN] ['[API_TOKEN]']" in hidden.cells[-1].outputs[0].text
