"""Workers of this machine: the same results as without, whatever ends one, and nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from {{cookiecutter.package_name}}.config import EngineConfig, ShopConfig
from {{cookiecutter.package_name}}.engines import Engine, open_engine
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import sha256

from . import engine_work as work


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(EngineConfig(name="local", workers=2)) as opened:
        yield opened


def test_results_come_in_the_order_of_the_items(engine: Engine) -> None:
    assert engine.map(work.square, range(20), "squares") == [n * n for n in range(20)]


def test_the_work_is_shared_by_workers_that_are_kept(engine: Engine) -> None:
    first = {pid for pid, _ in engine.map(work.whoami, range(8), "asking")}
    again = engine.map(work.whoami, range(8), "asking")
    assert len(first) == 2
    assert {pid for pid, _ in again} == first
    assert {wait for _, wait in again} == {"PASSIVE"}


@pytest.mark.parametrize(("workers", "items"), [(1, 3), (2, 1)])
def test_one_worker_or_one_item_is_done_here(workers: int, items: int) -> None:
    with open_engine(EngineConfig(workers=workers)) as opened:
        assert {pid for pid, _ in opened.map(work.whoami, range(items), "x")} == {os.getpid()}


def test_nothing_to_do_is_nothing(engine: Engine) -> None:
    assert engine.map(work.square, [], "squares") == []


def test_a_killed_worker_is_replaced_and_only_its_item_done_again(
    engine: Engine, tmp_path: Path
) -> None:
    items = [(tmp_path, number) for number in range(8)]
    assert engine.map(work.die_once, items, "x") == [number * number for _, number in items]
    times = {n: len((tmp_path / f"done-{n}").read_text().splitlines()) for _, n in items}
    assert times == {number: 2 if number == 3 else 1 for _, number in items}


def test_an_item_that_always_kills_its_worker_is_named(engine: Engine) -> None:
    with pytest.raises(UserError, match=r"copying: 'the bad one' ended its worker 3 .*SIGKILL"):
        engine.map(work.always_die, ["one", "the bad one", "two", "three"], "copying")
    assert engine.map(work.square, [1, 2], "squares") == [1, 4]  # the engine goes on


def test_a_worker_that_leaves_says_how(engine: Engine) -> None:
    with pytest.raises(UserError, match="exit status 3"):
        engine.map(work.leave, range(2), "leaving")


def test_what_the_user_can_mend_passes_as_it_is(engine: Engine) -> None:
    with pytest.raises(UserError, match=r"^number 2: mend it in the file$"):
        engine.map(work.refuse, range(4), "x")


def test_other_errors_keep_the_traceback_of_the_worker(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        engine.map(work.fail, range(4), "x")
    assert "return 1 / (number - 2)" in "".join(traceback.format_exception(caught.value))


def test_an_error_that_cannot_travel_is_told_in_words(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="Stubborn: nothing") as caught:
        engine.map(work.fail_oddly, range(2), "x")
    assert "fail_oddly" in "".join(caught.value.__notes__)


def test_the_same_warning_of_all_workers_is_shown_once(engine: Engine) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        assert engine.map(work.warn, range(6), "x") == list(range(6))
    assert [str(each.message) for each in shown] == ["look out"]


def test_a_gang_runs_at_the_same_time(engine: Engine) -> None:
    assert engine.gang(work.meet, "here", 3) == [(rank, 3, "here") for rank in range(3)]


def test_a_gang_whose_rank_is_killed_begins_again(engine: Engine, tmp_path: Path) -> None:
    assert engine.gang(work.meet_after_a_death, tmp_path, 2) == [0, 1]
    assert len(list(tmp_path.glob("rank-1-*"))) == 2


def test_a_rank_that_fails_does_not_leave_the_others_waiting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("{{cookiecutter.package_name}}.engines.local.GRACE", 0.2)
    began = time.monotonic()
    with pytest.raises(UserError, match="rank 1 has no rows"):
        engine.gang(work.fail_in_rank_1, None, 2)
    assert time.monotonic() - began < 30


def test_shards_of_the_shop_are_the_same_bytes_with_any_number_of_workers(
    engine: Engine, tmp_path: Path
) -> None:
    config = ShopConfig(users=60)
    found = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        jobs = [(config, folder, first, first + 20) for first in range(0, 60, 20)]
        if workers == 1:
            paths = [work.simulate(job) for job in jobs]
        else:
            paths = engine.map(work.simulate, jobs, "simulating")
        found.append([sha256(path) for path in paths])
    assert found[0] == found[1]


def test_an_engine_that_there_is_not_is_named() -> None:
    wrong = open_engine(EngineConfig(name="locl"))
    with pytest.raises(UserError, match=r"engine.name=locl .*local.*Did you mean 'local'\?"), wrong:
        pass


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_program_however_it_ends(
    ending: signal.Signals, tmp_path: Path
) -> None:
    program = f"""
from pathlib import Path
from {{cookiecutter.package_name}}.config import EngineConfig
from {{cookiecutter.package_name}}.engines import open_engine
from {work.__name__} import wait_long
with open_engine(EngineConfig(workers=2)) as engine:
    engine.map(wait_long, [(Path({str(tmp_path)!r}), number) for number in range(4)], "x")
"""
    paths = os.pathsep.join(filter(None, sys.path))
    running = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        workers = _wait_for_workers(tmp_path, 2)
        running.send_signal(ending)
        _, said = running.communicate(timeout=20)
    finally:
        running.kill()
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in workers if _lives(pid)], 10)
    assert not alive
    assert said.count("Traceback") == (1 if ending == signal.SIGINT else 0)


def _wait_for_workers(folder: Path, count: int) -> list[int]:
    end = time.monotonic() + 60
    while len(found := list(folder.glob("worker-*"))) < count:
        assert time.monotonic() < end, "no worker has begun"
        time.sleep(0.05)
    return [int(path.name.partition("-")[2]) for path in found]


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
