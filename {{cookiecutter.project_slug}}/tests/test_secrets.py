"""Secrets: never shown by themselves, and hidden in whatever a notebook leaves."""

from __future__ import annotations

import base64
import copy
import html
import json
import pickle
import secrets
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.jobs import Secret
from {{cookiecutter.package_name}}.jobs.secret import (
    redact,
    redact_notebook,
    values_of,
)

from .jobs_project import PACKAGE, JobsProject

TOKEN = "p@ss" + "\"w'ö\\rd/+ 1"  # something for each way of escaping
SECRETS = {"API_TOKEN": TOKEN}
HIDDEN = "[API_TOKEN]"


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "repr": repr,
    "repr in a list": lambda v: repr([v, 'it\'s "quoted"']),
    "repr with both quotes": lambda v: repr(f"'{v}\""),
    "repr of bytes": lambda v: repr(v.encode()),
    "json": json.dumps,
    "json with letters": lambda v: json.dumps({"a": v}, ensure_ascii=False),
    "json in json": lambda v: json.dumps(json.dumps(v)),
    "repr of json": lambda v: repr(json.dumps({"a": v})),
    "html": html.escape,
    "html of repr": lambda v: html.escape(repr(v), quote=False),
    "url": lambda v: urllib.parse.quote(v, safe=""),
    "url path": urllib.parse.quote,
    "url form": urllib.parse.quote_plus,
    "hex": lambda v: v.encode().hex(),
    "base64": encode,
    "base64 for urls": lambda v: base64.urlsafe_b64encode(v.encode()).decode(),
    "base64 after 1": lambda v: encode(f"u{v}!"),
    "base64 after 2": lambda v: encode(f"u:{v}!!"),
    "coloured": lambda v: f"\x1b[31m{v[:2]}\x1b[0m\x1b[1m{v[2:]}\x1b[0m",
}
codes = st.lists(st.sampled_from(["\x1b", "[", "\x1b[0m", "\x1b[31m", "3", "m", "ab"]), max_size=14)
texts = (st.text(min_size=7, max_size=40) | codes.map("".join)).filter(
    lambda v: len(v.strip()) >= 7
)
lines = texts.filter(lambda v: not {"\r", "\n"} & set(v))


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(value=texts)
@settings(max_examples=40, deadline=None)
def test_a_secret_is_found_however_it_is_written(spelling: str, value: str) -> None:
    written = SPELLINGS[spelling](value.strip())
    shown = redact(f"before {written} after", {"Ω": value})
    assert "[Ω]" in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    # up to four letters of a Base64 depend on what stands beside the secret
    rest = shown.removeprefix("before ").removesuffix(" after").replace("[Ω]", "")
    assert len(rest) <= len(written) - len(value.strip()) or (
        "base64" in spelling and len(rest) <= 8
    )


@given(st.text(max_size=60), st.lists(lines, max_size=3))
@settings(max_examples=100, deadline=None)
def test_nothing_else_is_touched(text: str, values: list[str]) -> None:
    secrets = {f"S{number}": f"{value}\ue000" for number, value in enumerate(values)}
    assert redact(text.replace("\ue000", ""), secrets) == text.replace("\ue000", "")


def test_secrets_that_overlap_are_hidden_whole() -> None:
    secrets = {"USER": "ada-lovelace", "URL": "lovelace:1815", "PART": "love"}
    assert redact("<ada-lovelace:1815>", secrets) == "<[USER][PART][URL]>"
    assert redact("\x1b[1mada-\x1b[0mlovelace\x1b[2m.", {"USER": "ada-lovelace"}) == (
        "\x1b[1m[USER]\x1b[0m\x1b[2m."
    )


def test_the_lines_of_a_long_secret_are_hidden_one_by_one() -> None:
    key = "-----BEGIN-----\n" + "\n".join(letter * 32 for letter in "abc") + "\n-----END-----\n"
    assert redact(f"x\n{key}", {"KEY": key}) == "x\n[KEY]\n"
    assert redact("  1 " + "b" * 32, {"KEY": key}) == "  1 [KEY]"
    assert redact("-----END-----", {"KEY": key}) == "-----END-----"


def leaky() -> Any:
    """A notebook with the secret everywhere but in a picture's Base64."""
    output = nbformat.v4.new_output
    png = base64.b64encode(b"\x89PNG" + bytes(range(256))).decode()
    held = base64.b64encode(f"\x89PNG tEXt {TOKEN}".encode()).decode()
    outputs = [
        output("stream", name="stderr", text=f"using {TOKEN}\n"),
        output("display_data", {"text/html": f"<b>{html.escape(TOKEN)}</b>", "image/png": png}),
        output("display_data", {"image/png": held}),
        output("execute_result", {"application/json": {TOKEN: [1, {"a": f"x{TOKEN}"}]}}),
        output("error", ename="E", evalue=repr(TOKEN), traceback=["line", f"E: {TOKEN!r}"]),
    ]
    cells = [
        nbformat.v4.new_code_cell(f"t = {TOKEN!r}", outputs=outputs, execution_count=9134),
        nbformat.v4.new_markdown_cell(f"# {TOKEN}"),
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata={"title": TOKEN})


@pytest.mark.parametrize("lines", [False, True])
def test_no_part_of_a_notebook_holds_a_secret(lines: bool) -> None:
    notebook = leaky()
    if lines:  # as it is in a file
        notebook = json.loads(nbformat.writes(notebook))
    before = copy.deepcopy(notebook)
    hidden = redact_notebook(notebook, {**SECRETS, "NUMBER": "9134"})
    assert notebook == before
    assert type(hidden) is type(notebook)
    shown = json.dumps(hidden)
    assert all(spell(TOKEN)[1:-1] not in shown for spell in (repr, json.dumps, html.escape))
    assert shown.count(HIDDEN) == 9
    nbformat.validate(hidden if not lines else nbformat.from_dict(hidden))
    outputs = hidden["cells"][0]["outputs"]
    assert outputs[1]["data"]["image/png"] == before["cells"][0]["outputs"][1]["data"]["image/png"]
    assert outputs[2]["data"] == {"text/plain": "[image/png that held a secret]"}
    assert hidden["cells"][0]["execution_count"] == 9134


def test_a_number_may_be_a_secret_and_lines_may_split_one() -> None:
    cell = {"outputs": [{"data": {"a/json": {"pin": 98765}, "text/plain": ["ab\n", "cdef"]}}]}
    hidden = redact_notebook({"cells": [cell]}, {"PIN": "98765", "LINES": "b\ncd"})
    data = hidden["cells"][0]["outputs"][0]["data"]
    assert data == {"a/json": {"pin": "[PIN]"}, "text/plain": ["a[LINES]ef"]}


def test_a_secret_does_not_show_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", TOKEN)
    secret = Secret("API_TOKEN")
    assert secret.value == TOKEN
    shown = (
        repr(secret),
        str(secret),
        f"{secret}",
        format(secret),
        repr([secret]),
        repr(vars(secret)),
    )
    assert all(TOKEN not in text and "API_TOKEN" in text for text in shown)
    assert TOKEN.encode() not in pickle.dumps(secret)
    assert secret == Secret("API_TOKEN") != Secret("OTHER")
    assert len({secret, Secret("API_TOKEN")}) == 1


@pytest.mark.parametrize("name", ["", "a-b", "1A", "A\n", "s3cret token", 7, None])
def test_what_names_no_variable_is_refused_and_not_repeated(name: Any) -> None:
    with pytest.raises(UserError, match="name of an environment variable") as refusal:
        Secret(name)
    assert str(name) not in str(refusal.value).replace(" ", "").replace("\n", "") or not name


def test_only_variables_that_are_there_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", TOKEN)
    monkeypatch.delenv("ABSENT", raising=False)
    assert values_of(["API_TOKEN", "ABSENT"]) == SECRETS
    assert redact("text", {"EMPTY": "", "SHORT": "ex"}) == "text"


PLAIN = secrets.token_hex(16)  # the same however it is escaped, so that any trace is found
NOTEBOOK = f"""\
# %% tags=["parameters"]
from {PACKAGE}.jobs import Secret

token: Secret = Secret("API_TOKEN")

# %%
"""
LEAKS = """
import os, subprocess, sys, warnings
from IPython.display import HTML, display
print(token, token.value)
print(token.value, file=sys.stderr)
os.write(2, token.value.encode())
subprocess.run(["echo", token.value])
display(HTML(f"<b>{token.value}</b>"), {"text/plain": token.value}, raw=False)
warnings.warn(token.value)
"""


@pytest.mark.parametrize("engine", ["kernel", "inprocess"])
@pytest.mark.parametrize("ending", ["", "raise ValueError(token.value)", "os._exit(3)"])
def test_a_secret_is_in_nothing_that_a_job_leaves(tmp_path: Path, engine: str, ending: str) -> None:
    project = JobsProject(tmp_path)
    project.job("leaks", LEAKS + ending, text=NOTEBOOK)
    status, said = project.run(f"jobs.engine={engine}", API_TOKEN=PLAIN)
    assert (status == 0) == (not ending), said
    assert PLAIN not in said
    files = [path for path in project.runs.rglob("*") if path.is_file()]
    assert {"leaks.html", "manifest.json", "jobs.json"} <= {path.name for path in files}
    assert [path.name for path in files if PLAIN.encode() in path.read_bytes()] == []


def test_a_secret_that_is_not_set_starts_nothing(tmp_path: Path) -> None:
    project = JobsProject(tmp_path)
    project.job("leaks", LEAKS, text=NOTEBOOK)
    status, said = project.run(API_TOKEN="")
    assert status == 1
    assert "the environment variable API_TOKEN is empty" in said
    assert not list(project.runs.glob("*-jobs-*"))
