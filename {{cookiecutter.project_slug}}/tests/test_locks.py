"""Locks between real processes: one works, the other is told who; a death frees."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.runs import Busy, claim, write_atomic
from {{cookiecutter.package_name}}.runs.locks import LOCKS, sweep

PACKAGE = claim.__module__.split(".")[0]
HEAD = f"""
import os, subprocess, sys, time
from {PACKAGE}.runs.locks import Busy, claim, sweep
"""
OWNER = """
with claim({name: f"job '{name}'" for name in sys.argv[1:]}, "the-owner"):
    print("held", flush=True)
    time.sleep(60)
"""
MANY = {f"target {number}": f"job '{number}'" for number in range(200)}

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process with some code; returns when it has said something."""
    started = []

    def go(code: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HEAD + code, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout
        process.said = process.stdout.readline().strip()  # type: ignore[attr-defined]
        return process

    yield go
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_second_is_told_who_the_first_is(start: Start) -> None:
    owner = start(OWNER, "a", "b")
    with pytest.raises(Busy) as refused, claim({"b": "job 'b'"}, "another"):
        pass
    host = re.escape(os.uname().nodename)
    assert re.fullmatch(
        rf"job 'b' is being worked on by run the-owner, process {owner.pid} on {host}, "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\. Wait until it has ended\.",
        str(refused.value),
    )


def test_who_is_refused_one_holds_none(start: Start) -> None:
    start(OWNER, "c")
    with pytest.raises(Busy), claim({"a": "", "b": "", "c": "", "d": ""}, "all"):
        pass
    with claim({"a": "", "b": "", "d": ""}, "rest"):
        pass


def test_a_killed_owner_holds_nothing(start: Start) -> None:
    owner = start(OWNER, "a")
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with claim({"a": "job 'a'"}, "next"):
        # The name of the dead one is no longer in the file.
        refused = pytest.raises(Busy, match="run next, process")
        with refused, claim({"a": "job 'a'"}, "third"):
            pass


@pytest.mark.parametrize(
    "how", ["subprocess.Popen(['sleep', '60'])", "os.fork() or time.sleep(60)"]
)
def test_children_do_not_hold_what_their_killed_parent_held(start: Start, how: str) -> None:
    code = OWNER.replace("    print", f"    {how}\n    print")
    parent = start(code, "a")
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    left = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    try:
        with claim({"a": ""}, "next"):
            assert all(Path(f"/proc/{pid}").exists() for pid in left)
    finally:
        for pid in left:
            os.kill(pid, signal.SIGKILL)


def test_a_fork_that_leaves_the_block_frees_nothing() -> None:
    try:
        with claim({"a": "job 'a'"}, "parent"):
            child = os.fork()
            if child == 0:
                raise KeyError
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            with pytest.raises(Busy, match="run parent"), claim({"a": "job 'a'"}, "other"):
                pass
    except KeyError:
        os._exit(0)


def test_two_hundred_targets_are_held_and_freed(runs: Path, start: Start) -> None:
    with claim(MANY, "first"):
        refused = pytest.raises(Busy, match="job '77'")
        with refused, claim({"target 77": MANY["target 77"]}, "second"):
            pass
    with claim(MANY, "third"):
        pass
    killed = start(OWNER, *MANY)
    killed.kill()
    killed.wait()
    with claim({"target 3": ""}, "fourth"):
        sweep()
        assert len(list((runs / LOCKS).iterdir())) == 1
    sweep()
    assert not list((runs / LOCKS).iterdir())


def test_at_most_one_works_at_a_time(tmp_path: Path, start: Start) -> None:
    """Files are removed all the time, by several at once: nobody may lock one that is gone."""
    code = """
done = 0
until = time.monotonic() + 60
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    pass
while done < 100 and time.monotonic() < until:
    try:
        with claim({"a": ""}, str(os.getpid())):
            number = int(open(sys.argv[1]).read())
            open(sys.argv[1], "w").write(str(number + 1))
            done += 1
        sweep()
    except Busy:
        pass
print(done)
"""
    counter = tmp_path / "counter"
    workers = [start(code, str(counter)) for _ in range(3)]
    write_atomic(counter, "0")  # now all begin
    done = [int(worker.stdout.read()) for worker in workers if worker.stdout]
    assert done == [100, 100, 100]
    assert counter.read_text() == "300"
