"""ETL: run twice, late, corrected, killed at any moment or at once, it ends with the same bytes."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.config import PROJECT_ROOT, TableConfig
from {{cookiecutter.package_name}}.data.etl import Loaded, Pipeline, Rows, step
from {{cookiecutter.package_name}}.data.sources import open_source
from {{cookiecutter.package_name}}.errors import UserError


@step
def doubled(rows: Rows, factor: int = 2) -> Rows:
    return rows.query("rows", f"SELECT k, x::BIGINT * {factor} AS x FROM rows")


@step
def positive(rows: Rows) -> Rows:
    return rows.filter("x > 0")


def write(folder: Path, name: str, numbers: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{name},{number}\n" for number in numbers)
    (folder / f"{name}.csv").write_text(f"k,x\n{rows}")


def run(source: Path, to: Path, factor: int = 2) -> Loaded:
    extract = open_source(TableConfig(path=str(source), target="x"))
    return Pipeline(extract, [doubled(factor=factor), positive()], to).run()


def content(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, hidden or not."""
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rows_of(loaded: Loaded) -> list[tuple[object, ...]]:
    return duckdb.execute(
        "SELECT * FROM read_parquet(?)", [[str(f) for f in loaded.files]]
    ).fetchall()


def test_parts_go_through_the_steps_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "in", "b", [3, -1, 1])
    write(tmp_path / "in", "a", [9, 7])
    loaded = run(tmp_path / "in", tmp_path / "out")
    assert rows_of(loaded) == [("a", 18), ("a", 14), ("b", 6), ("b", 2)]
    assert loaded.rows == 4


def test_only_what_has_changed_is_done_again(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / "in", name, [1, 2])
    files = run(tmp_path / "in", tmp_path / "out").files
    before = {file.name: file.stat().st_ino for file in files}
    write(tmp_path / "in", "b", [5])  # corrected
    write(tmp_path / "in", "aa", [4])  # late, and first in order
    (tmp_path / "in" / "c.csv").unlink()  # gone
    loaded = run(tmp_path / "in", tmp_path / "out")
    assert rows_of(loaded) == [("a", 2), ("a", 4), ("aa", 8), ("b", 10)]
    after = {file.name: file.stat().st_ino for file in loaded.files}
    assert len(before.items() & after.items()) == 1  # a is the file it was
    assert {p.name for p in (tmp_path / "out").glob("*.parquet")} == set(after)


def test_another_parameter_or_step_makes_all_of_it_anew(tmp_path: Path) -> None:
    write(tmp_path / "in", "a", [1, 2])
    run(tmp_path / "in", tmp_path / "out")
    assert rows_of(run(tmp_path / "in", tmp_path / "out", factor=3)) == [("a", 3), ("a", 6)]
    module = tmp_path / "steps.py"
    versions = []
    for least in (0, 1):
        code = (
            "from {{cookiecutter.package_name}}.data.etl import step\n\n"
            f"LEAST = {least}\n\n@step\ndef some(rows):\n    return rows.filter('x > %d' % LEAST)\n"
        )
        module.write_text(code + "print(some().version)\n")
        done = subprocess.run(
            [sys.executable, str(module)], capture_output=True, text=True, check=True
        )
        versions.append(done.stdout)
    assert versions[0] != versions[1]  # what stands beside the function counts


def test_a_file_that_is_damaged_or_deleted_is_made_anew(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / "in", name, [1, 2])
    first = run(tmp_path / "in", tmp_path / "out")
    before = content(tmp_path / "out")
    first.files[0].unlink()
    first.files[1].write_bytes(b"PAR1")
    run(tmp_path / "in", tmp_path / "out")
    assert content(tmp_path / "out") == before
    (tmp_path / "out" / "table.json").write_text("{")
    run(tmp_path / "in", tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_part_that_cannot_be_read_is_named_and_the_others_stay(tmp_path: Path) -> None:
    write(tmp_path / "in", "a", [1])
    (tmp_path / "in" / "b.csv").write_text("k,x\nb,2,3\n")
    with pytest.raises(UserError, match=r"b\.csv: not a readable table: line 2 has 3 cells"):
        run(tmp_path / "in", tmp_path / "out")
    write(tmp_path / "in", "b", [2])
    assert rows_of(run(tmp_path / "in", tmp_path / "out")) == [("a", 2), ("b", 4)]
    assert not list((tmp_path / "out").glob(".writing-*"))


def test_a_misspelt_parameter_of_a_step_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="facter"):
        doubled(facter=3)
    with pytest.raises(TypeError, match="JSON"):
        doubled(factor={1, 2})


PARTS = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers(-9, 9), max_size=6))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PARTS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_any_history_of_parts_ends_as_if_the_last_state_were_the_first(
    history: list[dict[str, list[int]]], chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, to, fresh = (Path(folder) / name for name in ("in", "out", "fresh"))
        for number, parts in enumerate(history):
            shutil.rmtree(source, ignore_errors=True)
            for name in sorted(parts, key=lambda _: chance.random()):
                write(source, name, parts[name])
                if number == len(history) - 1 and chance.random() < 0.5:
                    run(source, to)  # the last state arrives part by part
            if parts:
                run(source, to)
        if parts:
            run(source, fresh)
            assert content(to) == content(fresh)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.test_etl import run
last, watched = int(sys.argv[3]), ("/etl/", "/runs/files.py", "/runs/locks.py", "/sources/")
count = 0
def look(frame, event, argument):
    global count
    if any(part in frame.f_code.co_filename for part in watched):
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return look
sys.settrace(look)
run(Path(sys.argv[1]), Path(sys.argv[2]))
sys.settrace(None)
print(count)
"""


def killed_at(line: int, source: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """A pipeline in a process of its own that SIGKILL ends before a line of its code; 0: never."""
    code = KILLED.format(root=str(PROJECT_ROOT))
    command = [sys.executable, "-c", code, str(source), str(to), str(line)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def kill_often(tmp_path: Path, times: int, seed: int) -> None:
    chance = random.Random(seed)
    source, to, fresh = (tmp_path / name for name in ("in", "out", "fresh"))
    for name in "abcd":
        write(source, name, [chance.randint(-9, 9) for _ in range(5)])
    done = killed_at(0, source, fresh)
    lines = int(done.stdout)
    assert lines > 100, done.stderr
    states = set()
    for number in range(times):
        write(source, chance.choice("abcd"), [number])  # corrected while nobody looks
        ended = killed_at(chance.randint(1, lines), source, to)
        states.add(ended.returncode)
        if number % 3 == 2:
            shutil.rmtree(fresh)
            run(source, fresh)
            run(source, to)
            assert content(to) == content(fresh)
    assert -signal.SIGKILL in states


def test_killed_at_any_line_and_run_again_it_gives_the_same_bytes(tmp_path: Path) -> None:
    kill_often(tmp_path, times=3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_very_often_it_gives_the_same_bytes(tmp_path: Path, seed: int) -> None:
    kill_often(tmp_path, times=24, seed=100 + seed)


def test_two_processes_at_once_end_as_one_would(tmp_path: Path) -> None:
    source, to, fresh = (tmp_path / name for name in ("in", "out", "fresh"))
    for number in range(12):
        write(source, f"part{number}", list(range(number)))
    code = KILLED.format(root=str(PROJECT_ROOT))
    command = [sys.executable, "-c", code, str(source), str(to), "0"]
    both = [
        subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in "12"
    ]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    run(source, fresh)
    assert content(to) == content(fresh)


def test_the_bytes_do_not_depend_on_the_number_of_cores(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    duckdb.sql("SELECT 'k' || i % 7 AS k, hash(i) % 1000 AS x FROM range(400_000) t(i)").write_csv(
        str(source / "a.csv")
    )
    files = []
    for cores in (1, 4):
        code = f"import os; os.cpu_count = lambda: {cores}\n{KILLED.format(root=str(PROJECT_ROOT))}"
        to = tmp_path / str(cores)
        command = [sys.executable, "-c", code, str(source), str(to), "0"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        files.append(content(to))
    assert files[0] == files[1]


def test_the_how_to_of_the_documentation_works_as_it_stands(tmp_path: Path) -> None:
    text = (PROJECT_ROOT / "docs" / "etl.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 1
    written = [line for line in blocks[0].splitlines() if line.strip()]
    assert len(written) < 30
    (tmp_path / "orders").mkdir()
    for day, cents in (("2026-01-05", [700, 499, 500]), ("2026-01-06", [9_000])):
        lines = [json.dumps({"day": day, "item": "ä", "cents": each}) for each in cents]
        (tmp_path / "orders" / f"{day}.jsonl").write_text("\n".join(lines))
    (tmp_path / "mine.py").write_text(blocks[0])
    command = [sys.executable, "mine.py"]
    for _ in "12":
        subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
    found = duckdb.sql(f"SELECT item, price FROM '{tmp_path}/data/costly/*.parquet' ORDER BY price")
    assert found.fetchall() == [("ä", 5.0), ("ä", 7.0), ("ä", 90.0)]
