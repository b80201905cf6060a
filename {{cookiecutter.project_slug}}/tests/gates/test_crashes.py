"""Whatever a file holds, the gates answer with findings or silence, and never with a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gates.__main__ import main
from gates.core.formats import FORMATS

CODE: dict[str, Any] = {"cell_type": "code", "metadata": {}, "id": "a", "source": "x = 1\n"}
CODE |= {"outputs": [], "execution_count": None}
BASE: dict[str, Any] = {"cells": [CODE], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
MAGICS = "%matplotlib inline\n!ls *.csv\nfiles = !ls\nx = %pwd\n?print\nprint??\n%timeit 1 + 1\n"
LANGUAGES = (
    "bash",
    "html",
    "R",
    "sql",
    "writefile x.py",
    "javascript",
    "cython",
    "time",
    "capture c",
)


def notebook(**changes: Any) -> str:
    return json.dumps(BASE | changes)


def cells(**changes: Any) -> str:
    return notebook(cells=[CODE | changes])


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


# The file holds no notebook that can be read: one finding, NB300, and the file stays as it is.
UNREADABLE = {
    "empty": b"",
    "blanks": b" \n\n",
    "truncated": notebook().encode()[:60],
    "no JSON": b"# Clicks\n",
    "a list": b"[]",
    "a number": b"4",
    "no notebook": b'{"a": 1}',
    "format 3": b'{"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": []}]}',
    "format 5": notebook(nbformat=5).encode(),
    "format as text": notebook(nbformat="4").encode(),
    "no cells": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    "cells that are none": notebook(cells={"a": 1}).encode(),
    "a cell that is none": notebook(cells=[None, 3, "x"]).encode(),
    "a cell without metadata": b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ""}]}',
    "a cell of no type": cells(cell_type=None).encode(),
    "cell metadata as a list": cells(metadata=[]).encode(),
    "source null": cells(source=None).encode(),
    "source of numbers": cells(source=[1, 2]).encode(),
    "outputs as a text": cells(outputs="x").encode(),
    "outputs of numbers": cells(outputs=[1]).encode(),
    "metadata as a list": notebook(metadata=[1]).encode(),
    "kernelspec as a text": notebook(metadata={"kernelspec": "python3"}).encode(),
    "a byte-order mark": b"\xef\xbb\xbf" + notebook().encode(),
    "not UTF-8": notebook().encode("utf-16"),
    "latin-1": b'{"nbformat": 4, "cells": [], "metadata": {"title": "caf\xe9"}}',
    "a NUL byte": notebook().encode().replace(b"x = 1", b"x =\0 1"),
    "half a character": cells(source="x = '\ud83d'").encode(),
    "nested without end": nested(100_000).encode(),
}

# It can be read, whatever it holds.
READABLE = {
    "no cells at all": notebook(cells=[]).encode(),
    "R": notebook(metadata={"kernelspec": {"language": "R", "name": "ir"}}).encode(),
    "Julia": notebook(metadata={"language_info": {"name": "julia"}}).encode(),
    "a language that is a number": notebook(metadata={"language_info": {"name": 3}}).encode(),
    "magics": cells(source=MAGICS).encode(),
    "other languages": notebook(
        cells=[CODE | {"source": f"%%{name}\n<x y='"} for name in LANGUAGES]
    ).encode(),
    "broken code": cells(source="def f(:\n  '''").encode(),
    "a lone line continuation": cells(source="x = 1 + \\").encode(),
    "NUL in the code": cells(source="x = '\0'").encode(),
    "unicode": json.dumps(
        BASE | {"cells": [CODE | {"source": "名 = '🦜 ﷽ \u2028 \x0c'"}]}
    ).encode(),
    "line ends of all kinds": cells(source="a = 1\r\nb = 2\rc = 3\n").encode(),
    "CRLF": notebook().encode().replace(b", ", b",\r\n"),
    "tags as a text": cells(metadata={"tags": "parameters"}).encode(),
    "tags of numbers": cells(metadata={"tags": [1, None, "parameters"]}).encode(),
    "tags null": cells(metadata={"tags": None}).encode(),
    "an unknown cell type": cells(cell_type="heading", level=2).encode(),
    "attachments as a list": cells(cell_type="markdown", attachments=[1]).encode(),
    "outputs of no form": cells(
        outputs=[{}, {"data": [1]}, {"text": 3}, {"data": {"text/plain": None}}]
    ).encode(),
    "minor version as a text": notebook(nbformat_minor="5").encode(),
    "a key twice": notebook().encode().replace(b'"nbformat": 4', b'"nbformat": 3, "nbformat": 4'),
    "NaN": cells(metadata={"score": float("nan")}).encode(),
    "deep metadata": notebook(metadata={"x": json.loads(nested(400))}).encode(),
    "deep code": cells(source="x = " + "(" * 500 + ")" * 500).encode(),
    "a long sum": cells(source="x = " + " + ".join(["1"] * 5000)).encode(),
    "deep blocks": cells(
        source="".join(" " * n + "if x:\n" for n in range(90)) + " " * 90 + "x"
    ).encode(),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    main(["--format", "json", *arguments])
    return {finding["rule"] for finding in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_one_clear_finding(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("01_clicks.ipynb")
    path.write_bytes(content)
    for layout in ("any", "project"):
        assert found(capsys, "--layout", layout, str(path)) == {"NB300"}
        assert found(capsys, "--layout", layout, "--fix", str(path)) == {"NB300"}
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", READABLE.values(), ids=READABLE)
def test_what_can_be_read_is_looked_at(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("01_clicks.ipynb")
    path.write_bytes(content)
    for layout in ("any", "project"):
        found(capsys, "--layout", layout, str(path))
    for name in FORMATS:
        assert main(["--layout", "project", "--format", name, str(path)]) in (0, 1)
    assert main(["--layout", "project", "--fix", str(path)]) in (0, 1)
    json.loads(path.read_text())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x =\0 1",
        b"\xef\xbb\xbfx = 1\n",
        b"caf\xe9 = 1",
        b"def f(:",
        b"x = 1\r\n",
        b"\xff\xfe",
    ],
)
def test_a_module_of_any_kind(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.py").write_bytes(content)
    assert found(capsys, "rows.py") <= {"NB300"}


def test_things_that_are_no_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder.ipynb").mkdir()
    Path("loop.ipynb").symlink_to("loop.ipynb")
    Path("gone.ipynb").symlink_to("nowhere.ipynb")
    os.mkfifo("pipe.ipynb")
    assert found(capsys) == set()
    assert found(capsys, "folder.ipynb") == set()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("secret.ipynb")
    path.write_text(notebook())
    path.chmod(0)
    assert found(capsys, str(path)) == {"NB300"}


def test_all_of_them_at_once_from_the_command_line() -> None:
    root = Path(__file__).parents[2]
    for number, content in enumerate([*UNREADABLE.values(), *READABLE.values()]):
        Path(f"{number:02}_clicks.ipynb").write_bytes(content)
    Path("caf\udce9.ipynb").write_bytes(b"")  # a name that is not UTF-8
    for options in ([], ["--layout", "project"], ["--fix"]):
        done = subprocess.run(
            [sys.executable, "-m", "gates", *options, "."],
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stdout.count(": NB300 ") == len(UNREADABLE) + 1


def test_a_notebook_of_50_megabytes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["0.123456789, " * 8 + "\n"] * 5000
    output = {"output_type": "stream", "name": "stdout", "text": lines}
    picture = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": "iVBOR" * 10**5},
    }
    path = Path("01_clicks.ipynb")
    path.write_text(cells(outputs=[output, picture] * 50))
    assert path.stat().st_size > 50e6
    start = time.perf_counter()
    assert found(capsys, str(path)) == {"NB311", "NB322"}
    assert time.perf_counter() - start < 20
    assert main(["--fix", "--select", "NB311", str(path)]) == 0
    assert path.stat().st_size < 1000
