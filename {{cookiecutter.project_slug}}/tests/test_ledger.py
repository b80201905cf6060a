"""The ledger of looks at test rows: every look counts, whatever happens to its writers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.evaluation.ledger import identity, look, path, version
from {{cookiecutter.package_name}}.training.splits import Split

PARTS = Split(np.arange(0, 50), np.arange(50, 75), np.arange(75, 100), "")


def table(seed: int = 0) -> Examples:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": random.random(100), "y": random.integers(0, 2, 100)})
    frame["word"] = pd.Series(random.choice(["a", "b", None], 100), dtype="str")
    frame["#row"] = np.arange(100)
    kinds: Any = {"x": "numeric", "word": "categorical"}
    return Examples(frame, Schema("binary", "y", kinds, ["0", "1"], key=["#row"]), {}, {})


def test_looks_and_models_are_counted_by_test_rows() -> None:
    first = look(table(), PARTS, "aaa", "run 1")
    assert first.describe() == "this is the first look at these test rows"
    again = look(table(), PARTS, "aaa", "run 2")
    assert again.describe() == "these test rows have been looked at 2 times, for 1 model"
    third = look(table(), PARTS, "bbb", "run 3")
    assert (third.looks, third.models) == (3, 2)
    assert third.describe() == (
        "these test rows have been looked at 3 times, for 2 models; "
        "each further look makes the figures a little too good"
    )
    assert look(table(seed=1), PARTS, "aaa", "run 4").looks == 1
    entries = [json.loads(line) for line in path().read_text().splitlines()]
    assert [entry["run"] for entry in entries] == ["run 1", "run 2", "run 3", "run 4"]
    assert entries[0]["sizes"] == {"train": 50, "valid": 25, "test": 25}


def test_a_version_is_that_of_the_test_rows_whatever_else_there_is() -> None:
    examples = table()
    frame, test = examples.frame, PARTS.test
    known = version(examples, test)
    other = frame[["#row", "word", "y", "x"]].assign(more=1)
    other.loc[:74, "x"] = 0.0  # rows to learn from
    assert version(replace(examples, frame=other), test) == known
    shuffled = frame.sample(frac=1, random_state=0)
    place = np.flatnonzero(shuffled["#row"].to_numpy() >= 75)
    assert version(replace(examples, frame=shuffled), place) == known
    for column, value in (("x", 0.5), ("word", "c"), ("y", 1 - frame.y[80]), ("#row", 1000)):
        changed = frame.copy()
        changed.loc[80, column] = value
        assert version(replace(examples, frame=changed), test) != known, column
    assert version(examples, test[1:]) != known


def test_a_model_of_other_features_is_judged_by_the_same_rows() -> None:
    examples = table()
    fewer = replace(examples, schema=replace(examples.schema, features={"x": "numeric"}))
    assert version(fewer, PARTS.test) != version(examples, PARTS.test)
    assert identity(fewer, PARTS.test) == identity(examples, PARTS.test)
    look(examples, PARTS, "aaa", "run 1")
    assert look(fewer, PARTS, "bbb", "run 2").models == 2


def test_damaged_lines_stay_are_skipped_and_are_told_of() -> None:
    look(table(), PARTS, "aaa", "run 1")
    whole = path().read_bytes()
    path().write_bytes(whole + b"no json\n[1]\n\xff\xfe\n" + whole[:40])  # killed while it wrote
    found = look(table(), PARTS, "bbb", "run 2")
    assert (found.looks, found.models, found.damaged) == (2, 2, 4)
    assert "4 lines" in found.describe()
    assert path().read_bytes().startswith(whole + b"no json\n[1]\n\xff\xfe\n" + whole[:40] + b"\n")
    assert look(table(), PARTS, "bbb", "run 3").looks == 3


WRITER = """
import sys
from {{cookiecutter.package_name}}.evaluation.ledger import look
from tests.test_ledger import PARTS, table

examples = table()
for number in range(int(sys.argv[2])):
    look(examples, PARTS, sys.argv[1], f"run {number}")
    print(number, flush=True)
"""


def writer(name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, name, str(count)]
    return subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)


def test_writers_at_once_and_a_killed_one_lose_no_look() -> None:
    steady = [writer("aaa", 40), writer("bbb", 40)]
    killed = writer("ccc", 100_000)
    assert killed.stdout is not None
    for _ in range(10):
        killed.stdout.readline()
    time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    told = 10 + len(killed.stdout.read().splitlines())
    assert killed.wait() == -signal.SIGKILL
    for each in steady:
        each.communicate()
        assert each.returncode == 0
    found = look(table(), PARTS, "ddd", "run x")
    assert found.damaged <= 1
    assert 81 + told <= found.looks <= 82 + told
    assert found.models == 4


def test_a_ledger_that_cannot_be_written_is_said(runs: Path) -> None:
    runs.parent.mkdir(exist_ok=True)
    runs.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        look(table(), PARTS, "aaa", "run 1")


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_clean_keeps_the_ledger_and_removes_the_runs(tmp_path: Path) -> None:
    shutil.copy(PROJECT_ROOT / "Makefile", tmp_path)
    clean = ["make", "-C", str(tmp_path), "clean"]
    environment = {**os.environ, "MAKEFLAGS": ""}
    subprocess.run(clean, check=True, env=environment, capture_output=True)  # nothing there yet
    for name in ("20260101-000000-train-abcd/manifest.json", ".results/a/b", ".open/c"):
        file = tmp_path / "runs" / name
        file.parent.mkdir(parents=True)
        file.write_text("x")
    (tmp_path / "runs" / "latest").symlink_to("20260101-000000-train-abcd")
    (tmp_path / "runs" / path().name).write_text("{}\n")
    subprocess.run(clean, check=True, env=environment, capture_output=True)
    assert [each.name for each in (tmp_path / "runs").iterdir()] == [path().name]
