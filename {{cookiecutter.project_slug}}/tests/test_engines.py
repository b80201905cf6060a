"""Engines: the same bytes from both, whatever surrounds them, and no process left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT
from {{cookiecutter.package_name}}.jobs import processes
from {{cookiecutter.package_name}}.jobs.engines import ENGINES
from {{cookiecutter.package_name}}.jobs.worker import (
    STOPPED,
    Task,
    executed,
    tidy,
    work,
)

PRELOAD = ("numpy", "pandas", "matplotlib.pyplot", "no_such_module")
PATIENCE = 5.0  # seconds in which nothing of a job may be left
Cell = str | tuple[str, list[str]]


def notebook(*cells: Cell, minor: int = 5) -> dict[str, Any]:
    made = []
    for number, cell in enumerate(cells):
        source, tags = (cell, []) if isinstance(cell, str) else cell
        made.append(
            {
                "cell_type": "code",
                "metadata": {"tags": tags} if tags else {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
        )
        if minor >= 5:
            made[-1]["id"] = f"cell-{number}"
    return {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": minor}


@dataclass
class Ended:
    """What a job's process left and said."""

    code: int | None
    messages: list[tuple[str, Any]]
    task: Task

    @property
    def bytes(self) -> bytes:
        return self.task.executed.read_bytes()

    @property
    def cells(self) -> list[dict[str, Any]]:
        return list(json.loads(self.bytes)["cells"])


class Started:
    """A job's process that runs."""

    def __init__(self, context: Any, task: Task) -> None:
        self.task = task
        self.channel, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(task, theirs))
        self.process.start()
        theirs.close()

    def wait(self, timeout: float = 60) -> Ended:
        self.process.join(timeout)
        messages = []
        with contextlib.suppress(EOFError):
            while self.channel.poll():
                messages.append(self.channel.recv())
        return Ended(self.process.exitcode, messages, self.task)

    def has_written(self, name: str) -> int:
        """Waits for a process id in a file of the notebook."""
        path = self.task.cwd / name
        deadline = time.monotonic() + 30
        while not (path.is_file() and path.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return int(path.read_text())


@pytest.fixture(scope="module")
def context() -> Any:
    made = processes.context(PRELOAD, ENGINES)
    processes.warm(made)
    return made


@pytest.fixture
def start(context: Any, tmp_path: Path) -> Iterator[Callable[..., Started]]:
    running = []

    def go(engine: str, *cells: Cell, minor: int = 5, **environment: str) -> Started:
        cwd = tmp_path / "folder with spaces and ümlaut"
        scratch = tmp_path / f"scratch-{len(running)}"
        for folder in (cwd, scratch):
            folder.mkdir(exist_ok=True)
        content = notebook(*cells, minor=minor)
        running.append(Started(context, Task("job", content, engine, cwd, scratch, environment)))
        return running[-1]

    yield go
    for started in running:
        processes.stop(started.process, grace=0)


def gone(pids: list[int]) -> bool:
    """Whether all processes end before patience does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not [pid for pid in pids if lives(pid)]:
            return True
        time.sleep(0.02)
    return False


def lives(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


# --- what both engines leave

SAME: dict[str, tuple[Cell, ...]] = {
    "streams": (
        "import sys\nfor i in range(3):\n    print('out', i)\n    print('err', i, file=sys.stderr)",
        "import time\nprint('a', end='')\ntime.sleep(0.3)\nprint('b')",  # over a timed flush
        "for i in range(3):\n    print(f'\\r{i} of 3', end='')\nprint()",
        "print('ä ☃ 😀', '\\ud800')",
    ),
    "below Python": (
        "import os, subprocess\nprint(1)\nos.system('echo 2')\nprint(3)\nos.write(2, b'4\\n')",
        "subprocess.run(['echo', '5'])\nprint(6)",
        "!echo seven",
        # Python 3.12 and later warn of a fork where there are threads, as in a kernel
        "import warnings\nwarnings.simplefilter('ignore')",
        "pid = os.fork()\nif not pid:\n    print('child')\n    os._exit(0)\nos.waitpid(pid, 0)[1]",
    ),
    "displays": (
        "from IPython.display import HTML, Markdown, clear_output, display\ndisplay(1, HTML('x'))",
        "handle = display(HTML('first'), display_id='name')\nprint('between')\nMarkdown('*y*')",
        "handle.update(HTML('second'))",
        "print('gone')\nclear_output(wait=True)\nprint('stays')",
        "display({'text/plain': '', 'application/vnd.x+json': {'a': (1, None)}}, raw=True)",
        "5;",
        "display({'text/plain': '', 'application/json': {'x': float('nan')}}, raw=True)",
        "object()",
    ),
    "figures and tables": (
        "import matplotlib.pyplot as plt\nimport pandas as pd\nplt.plot([1, 3, 2])",
        "figure, axes = plt.subplots()\naxes.bar([1, 2], [3, 4])\nplt.show()\nprint('shown')",
        "figure",
        "%matplotlib inline\nplt.plot([1]);",
        "pd.DataFrame({'a': [1, 2.5], 'b': ['x', None]})",
    ),
    "errors": (
        ("1 / 0", ["raises-exception"]),
        "def invert(x):\n    return 1 / x\n\nprint('before')\ninvert(0)",
        "print('never')",
    ),
    "an error in a library": ("import json\njson.loads('{')",),
    "a syntax error": ("1 +",),
    "an error while shown": (
        "class A:\n    def __repr__(self):\n        raise ValueError('bad')\nA()",
        "'never'",
    ),
    "sys.exit": ("print('a')\nimport sys\nsys.exit(0)", "'never'"),
    "exit": ("exit()", "'never'"),
    "input": ("input('Name? ')",),
    "await": (
        "import asyncio\nawait asyncio.sleep(0.01)\nasyncio.get_running_loop().is_running()",
        "asyncio.run(asyncio.sleep(0))",
    ),
    "warnings": (
        "import logging, warnings\nwarnings.warn('careful')",
        "logging.error('logged')",
        "import traceback\ntry:\n    {}['a']\nexcept KeyError:\n    traceback.print_exc()",
    ),
    "empty cells": ("", "1", "  ", "_ + 1"),
    "a process like any other": (
        "import multiprocessing as m\nm.current_process(), m.parent_process()",
        "m.get_start_method(allow_none=True)",
        # no pool of forks: to fork where there are threads may hang, here as in any kernel
        "def square(x):\n    return x * x",
        "import inspect, pickle\nprint(inspect.getsource(square))\npickle.dumps(square)[:2]",
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_both_engines_leave_the_same_bytes(name: str, start: Callable[..., Started]) -> None:
    first, second = (start(engine, *SAME[name]) for engine in ENGINES)
    left, right = first.wait(), second.wait()
    assert (left.code, right.code) == (0, 0)
    assert left.messages == right.messages
    assert left.bytes == right.bytes


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_are_in_the_order_in_which_they_were_made(
    engine: str, start: Callable[..., Started]
) -> None:
    code = """\
import os, sys
from IPython.display import display
print("a")
print("b", file=sys.stderr)
os.system("echo c")
display("d")
print("e")
"""
    outputs = start(engine, code).wait().cells[0]["outputs"]
    seen = [o["text"] if "text" in o else o["data"]["text/plain"] for o in outputs]
    assert seen == ["a\n", "b\n", "c\n", "'d'", "e\n"]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_text_is_lost_and_none_overtakes(engine: str, start: Callable[..., Started]) -> None:
    code = """\
import sys, time
number, end = 0, time.monotonic() + 0.7  # texts are sent by a thread five times a second
while time.monotonic() < end:
    print(number, file=(sys.stdout, sys.stderr)[number // 1000 % 2])
    number += 1
print(number)
"""
    outputs = start(engine, code).wait().cells[0]["outputs"]
    numbers = [int(line) for output in outputs for line in output["text"].splitlines()]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_of_the_caller_reaches_the_bytes(
    engine: str,
    start: Callable[..., Started],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = """\
import datetime, locale, os, sys, time
print(hash("x"), {"a", "b", "c", "d"}, time.tzname, datetime.datetime.fromtimestamp(0))
print(locale.getpreferredencoding(), sys.getfilesystemencoding(), sys.argv)
print(sys.stdin.read() == "", os.environ["MINE"], os.environ.get("PYTHONSTARTUP_RAN"))
open("ä", "w").write("ö")
"""
    ran = start(engine, code, MINE="1").wait()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("MPLBACKEND", "agg")
    startup = ran.task.scratch / "startup.py"
    startup.write_text("print('a person was here')")
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    again = start(engine, code, MINE="1").wait()
    assert "1970-01-01 00:00:00" in str(ran.cells[0]["outputs"])
    assert ran.bytes == again.bytes


@pytest.mark.parametrize("engine", ENGINES)
def test_a_variable_set_after_the_server_began_reaches_the_notebook(
    engine: str, start: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_LATE", "yes")
    ran = start(engine, "import os\nos.environ['SET_LATE']").wait()
    assert ran.cells[0]["outputs"][0]["data"]["text/plain"] == "'yes'"


@pytest.mark.parametrize("engine", ENGINES)
def test_an_old_notebook_keeps_its_format(engine: str, start: Callable[..., Started]) -> None:
    ran = start(engine, "1", minor=4).wait()
    assert json.loads(ran.bytes)["nbformat_minor"] == 4
    assert "id" not in ran.cells[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_cell_is_announced(engine: str, start: Callable[..., Started]) -> None:
    ran = start(engine, "1", "2", "3").wait()
    assert ran.messages == [("cell", 0), ("cell", 1), ("cell", 2)]
    assert [cell["execution_count"] for cell in ran.cells] == [1, 2, 3]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_notebook_does_at_exit_is_done(engine: str, start: Callable[..., Started]) -> None:
    code = "import atexit, pathlib\natexit.register(pathlib.Path('done').write_text, 'yes')"
    ran = start(engine, code).wait()
    assert (ran.task.cwd / "done").read_text() == "yes"


@pytest.mark.parametrize("engine", ENGINES)
def test_two_jobs_draw_different_random_numbers(engine: str, start: Callable[..., Started]) -> None:
    code = "import random, numpy\n(random.random(), float(numpy.random.rand()))"
    first, second = (start(engine, code).wait().cells[0]["outputs"] for _ in range(2))
    drawn, again = (eval(o[0]["data"]["text/plain"]) for o in (first, second))
    assert all(a != b for a, b in zip(drawn, again, strict=True))


def test_texts_are_joined_and_addresses_left_out() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "a <x at 0x7f0123456789>\n1\r"},
        {"output_type": "stream", "name": "stdout", "text": ["2\n", "b"]},
        {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "<y at 0xabcdef0>"}},
    ]
    made = tidy(outputs)
    assert made[0]["text"] == "a <x at 0x0>\n2\nb"
    assert made[1]["data"] == {"text/plain": "<y at 0x0>"}
    assert outputs[0]["text"].startswith("a <x at 0x7f")


def test_an_executed_notebook_says_nothing_of_its_execution() -> None:
    before = notebook("1")
    before["metadata"] = {"papermill": {"start_time": "now"}, "kernelspec": {"name": "python3"}}
    before["cells"][0]["metadata"] = {"execution": {}, "papermill": {}, "tags": ["a"]}
    before["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "stale"}]
    made = executed(before, [])
    assert made["metadata"] == {"kernelspec": {"name": "python3"}}
    assert made["cells"][0]["metadata"] == {"tags": ["a"]}
    assert made["cells"][0]["outputs"] == []


# --- ends that nobody planned

SLEEP = "import os, subprocess, time\nfrom pathlib import Path\n"
CHILDREN = """\
plain = subprocess.Popen(["sleep", "600"])
apart = subprocess.Popen(["sleep", "600"], start_new_session=True)
Path("apart").write_text(str(apart.pid))
Path("plain").write_text(str(plain.pid))
Path("kernel").write_text(str(os.getpid()))
"""
FOREVER = SLEEP + CHILDREN + "print('so far')\ntime.sleep(600)"


def family(started: Started) -> list[int]:
    pids = [started.has_written(name) for name in ("kernel", "plain", "apart")]
    return [*pids, started.process.pid]


def test_a_killed_kernel_is_told_with_its_signal(start: Callable[..., Started]) -> None:
    started = start("kernel", "print('first')", FOREVER, "'never'")
    pids = family(started)
    time.sleep(0.4)  # until what it printed was sent
    os.kill(pids[0], signal.SIGKILL)
    ran = started.wait()
    assert ("kernel", -signal.SIGKILL) in ran.messages
    assert ran.cells[0]["outputs"][0]["text"] == "first\n"
    assert ran.cells[1]["outputs"][0]["text"] == "so far\n"
    assert ran.cells[2]["execution_count"] is None
    assert gone(pids)


def test_a_kernel_that_leaves_is_no_success(start: Callable[..., Started]) -> None:
    ran = start("kernel", "import os\nos.write(2, b'last words')\nos._exit(0)").wait()
    assert ("kernel", 0) in ran.messages
    assert "last words" in ran.task.log.read_text()


def test_a_process_that_leaves_leaves_no_notebook(start: Callable[..., Started]) -> None:
    ran = start("inprocess", "import os\nos._exit(0)").wait()
    assert not ran.task.executed.exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stopped_job_keeps_what_it_got(engine: str, start: Callable[..., Started]) -> None:
    started = start(engine, "1", FOREVER, "'never'")
    pids = family(started)
    time.sleep(0.4)
    processes.stop(started.process)
    ran = started.wait()
    assert ran.code == STOPPED
    assert [cell["execution_count"] for cell in ran.cells] == [1, 2, None]
    assert ran.cells[1]["outputs"][0]["text"] == "so far\n"
    assert gone(pids)


STUBBORN = (
    "for _ in range(10):\n    try:\n        time.sleep(600)\n    except BaseException:\n        "
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "end",
    [
        "sum(range(10**12))",
        STUBBORN + "pass",
        "import signal\nsignal.signal(15, 1)\ntime.sleep(99)",
    ],
    ids=["holds the interpreter", "catches everything", "ignores SIGTERM"],
)
def test_a_stop_is_never_refused(engine: str, end: str, start: Callable[..., Started]) -> None:
    started = start(engine, SLEEP + CHILDREN + end)
    pids = family(started)
    processes.stop(started.process, grace=0.5)
    assert started.process.exitcode is not None
    assert gone(pids)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_worker_leaves_no_process(engine: str, start: Callable[..., Started]) -> None:
    started = start(engine, FOREVER)
    pids = family(started)
    os.kill(started.process.pid, signal.SIGKILL)
    started.process.join()
    processes.clear(started.process.pid)
    assert gone(pids)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_ended_notebook_leaves_no_process(engine: str, start: Callable[..., Started]) -> None:
    started = start(engine, SLEEP + CHILDREN)
    pids = family(started)
    assert started.wait().code == 0
    assert gone(pids)


RUNNER = """
import json, sys, time
from pathlib import Path
from {{cookiecutter.package_name}}.jobs import processes, worker

if __name__ == "__main__":
    context = processes.context((), [sys.argv[1]])
    processes.warm(context)
    ours, theirs = context.Pipe()
    content = json.loads(Path("notebook.json").read_text())
    scratch = Path("scratch")
    scratch.mkdir()
    task = worker.Task("job", content, sys.argv[1], Path.cwd(), scratch.absolute())
    process = context.Process(target=worker.work, args=(task, theirs))
    process.start()
    theirs.close()
    Path("worker").write_text(str(process.pid))
    process.join()
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("end", ["time.sleep(600)", "sum(range(10**12))"])
def test_a_killed_runner_leaves_no_process(engine: str, end: str, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    (tmp_path / "runner.py").write_text(RUNNER)
    (tmp_path / "notebook.json").write_text(json.dumps(notebook(SLEEP + CHILDREN + end)))
    environment = {**os.environ, "TEST_MARK": mark}
    command = [sys.executable, "runner.py", engine]
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as runner:
        deadline = time.monotonic() + 30
        while not (tmp_path / "kernel").is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        names = ("kernel", "plain", "apart", "worker")
        pids = [int((tmp_path / name).read_text()) for name in names]
        assert all(lives(pid) for pid in pids)
        runner.kill()
    assert gone(pids)
    assert gone([process.pid for process in psutil.process_iter() if bears(process, mark)])


def bears(process: psutil.Process, mark: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get("TEST_MARK") == mark
    return False


# --- memory


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_is_that_of_all_processes_of_a_job(
    engine: str, start: Callable[..., Started]
) -> None:
    code = SLEEP + "data = b'x' * (200 << 20)\nPath('full').write_text('1')\ntime.sleep(600)"
    started = start(engine, code)
    memory = processes.Memory(started.process.pid)
    assert memory.sample() < 200
    started.has_written("full")
    time.sleep(0.5)  # more than a sample costs
    assert 200 <= memory.sample() < 500
    processes.stop(started.process)
    deadline = time.monotonic() + PATIENCE
    while memory.sample() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert memory.sample() == 0
    assert memory.peak >= 200


def test_a_refused_plan_says_its_error_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for name in ("pyproject.toml", "conf", "src", "notebooks"):
        here = PROJECT_ROOT / name
        if here.is_dir():
            shutil.copytree(here, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(here, root / name)
    with (root / "notebooks" / "03_train_model.py").open("a") as file:
        file.write("# one line more\n")
    command = [sys.executable, "-m", "{{cookiecutter.package_name}}.jobs", "data=shop"]
    paths = os.environ | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, cwd=root, env=paths, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: job 'train_model'")
    assert len(done.stderr.splitlines()) == 1
