"""Faults injected for real: what a job is said to be, what is left on disk, what runs on.

``KILLS`` (default 3) is the number of random moments at which a run is ended by each signal,
``DISK_STEP`` (default 24) how many pages of 4 KiB more there are at each try of a full disk.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.jobs.outcome import fault

from .jobs_project import PACKAGE, JobsProject, write_pair

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("KILLS", "3"))
DISK_STEP = int(os.environ.get("DISK_STEP", "24"))
ENDED = {"succeeded", "failed", "timed_out", "interrupted", "killed", "skipped"}
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0 and Path("/proc/mounts").exists()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[JobsProject]:
    found = JobsProject(tmp_path / "project")
    yield found
    for process in found.processes():
        process.kill()


def results(run: Path) -> dict[str, bytes]:
    """What a run of equal jobs must give again: executed notebooks, summaries, outputs."""
    names = ("*.ipynb", "*.summary.json", "*/*.csv")
    files = (path for name in names for path in run.glob(name))
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def torn(runs: Path) -> list[str]:
    """Files at a final place that are not whole."""
    found = []
    for path in runs.rglob("*"):
        final = not any(part.startswith(".") for part in path.relative_to(runs).parts)
        if not (final or ".results" in path.parts) or not path.is_file():
            continue
        text = path.read_bytes()
        if path.suffix in (".json", ".ipynb"):
            try:
                json.loads(text)
            except ValueError:
                found.append(str(path))
        elif path.suffix == ".html" and not text.rstrip().endswith(b"</html>"):
            found.append(str(path))
    return found


def wait_for(project: JobsProject, job: str, status: str = "running") -> None:
    """Wait until the newest run says that ``job`` is as far."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if project.records()[job]["status"] == status:
                return
        except (ValueError, OSError, KeyError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"{job} was never {status}")


def no_process_is_left(project: JobsProject, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while (left := project.processes()) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [" ".join(process.cmdline()) for process in left]


# --- one job


CAUSES = {
    "dies": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
        {},
        ("killed", 137, "SIGKILL"),
    ),
    "swells": (
        "import time\nheap = []\nwhile True:\n    heap.append(bytearray(20_000_000))\n"
        "    time.sleep(0.02)\n",
        {"memory": 600},
        ("killed", 137, "over its limit of 600 MiB"),
    ),
    "endless": ("while True:\n    pass\n", {"timeout": 3}, ("timed_out", 124, "after 3 s")),
    "deaf": (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    time.sleep(1)\n",
        {"timeout": 3},
        ("timed_out", 124, "after 3 s"),
    ),
    "exits": ("import sys\nsys.exit(0)\n", {}, ("failed", 1, "sys.exit(0)")),
    "quits": ("import os\nos._exit(0)\n", {}, ("killed", 137, "ended itself with exit status 0")),
    "raises": ("{}['absent']\n", {}, ("failed", 1, "KeyError: 'absent', in cell 4")),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_job_that_goes_wrong_says_how(project: JobsProject, name: str) -> None:
    code, settings, (status, code_of_command, cause) = CAUSES[name]
    project.job(name, code + "\n# %%\nprint('never')\n", **settings)
    project.job("after", needs=[name])
    code_found, said = project.run()
    records = project.records()
    assert records[name]["status"] == status, said
    assert cause in records[name]["cause"]
    assert records["after"]["status"] == "skipped"
    assert code_found == code_of_command
    assert cause in said
    assert not torn(project.runs)
    assert not list((project.runs / ".results").glob(f"{name}-*"))
    no_process_is_left(project)


def test_a_retry_is_counted_and_may_succeed(project: JobsProject) -> None:
    mark = project.root / "mark"
    project.job(
        "shaky",
        f"from pathlib import Path\nmark = Path({str(mark)!r})\nseen = mark.exists()\n"
        "mark.touch()\nassert seen\n",
        retries=2,
    )
    status, said = project.run()
    assert status == 0, said
    assert "retrying" in said
    assert (project.records()["shaky"]["status"], project.records()["shaky"]["attempts"]) == (
        "succeeded",
        2,
    )


def test_code_in_a_parameter_name_reaches_no_notebook(project: JobsProject) -> None:
    mark = project.root / "mark"
    name = f"users=1; open({str(mark)!r}, 'w'); users"
    project.job("victim", parameters={name: 1})
    status, said = project.run()
    assert status == 1
    assert "job 'victim'" in said
    assert not mark.exists()
    assert not list(project.runs.glob("*-jobs-*"))


def test_a_notebook_edited_while_it_runs_is_for_the_next_run(project: JobsProject) -> None:
    project.job("slow", "import time\ntime.sleep(1.5)\nprint('first')\n")
    process = project.start()
    wait_for(project, "slow")
    write_pair(project.root / "slow", "print('second')\n")
    assert process.wait(60) == 0
    assert b"first" in (project.newest() / "slow.ipynb").read_bytes()
    status, said = project.run()
    assert status == 0
    assert "slow.ipynb changed" in said
    assert b"second" in (project.newest() / "slow.ipynb").read_bytes()


# --- many jobs, large ones, odd places


def test_a_graph_of_two_hundred_jobs_runs(project: JobsProject) -> None:
    graph = {
        f"job_{number}": {
            "needs": [f"job_{number - 7}"] if number >= 7 else [],
            "parameters": {"users": number},
        }
        for number in range(200)
    }
    project.jobs("one", graph)
    status, said = project.run("jobs.engine=inprocess")
    assert status == 0, said
    records = project.records()
    assert len(records) == 200
    assert {record["status"] for record in records.values()} == {"succeeded"}
    assert (project.newest() / "index.html").read_text().count(".html") >= 200


def test_large_outputs_in_many_cells_arrive_whole(project: JobsProject) -> None:
    cells = "\n# %%\n".join(f"print('{letter}' * 85_000)" for letter in "abcdef" * 10)
    project.job("large", cells)
    status, said = project.run()
    assert status == 0, said
    notebook = json.loads((project.newest() / "large.ipynb").read_bytes())
    printed = ["".join(o["text"]) for c in notebook["cells"] for o in c.get("outputs", [])]
    assert sorted(map(len, printed)) == [85_001] * 60
    assert not torn(project.runs)


def test_odd_paths_are_only_paths(tmp_path: Path) -> None:
    odd = tmp_path / "ünï cödé 项目 'it' \"is\"" / "a b"
    project = JobsProject(odd, conf=tmp_path / "conf")
    code = f"from {PACKAGE}.jobs import output\noutput('größe 项.csv').write_text('x')\n"
    project.job("größe", code, outputs=["größe 项.csv"])
    project.job("count", needs=["größe"])
    status, said = project.run()
    assert status == 0, said
    assert (project.newest() / "größe" / "größe 项.csv").read_text() == "x"


# --- runners that are ended, and runners that meet


WRITES = f"""
import time
from {PACKAGE}.jobs import output, summarise
time.sleep(0.1)
output("table.csv").write_text("users\\n" * users)
summarise(["Done."], users=users)
"""


def a_graph(project: JobsProject) -> None:
    project.job("first", WRITES, outputs=["table.csv"], parameters={"users": 500})
    project.job("second", needs=["first"], parameters={"users": {"from": "first.users"}})
    project.job("third", WRITES)
    project.job("fourth", WRITES, needs=["second", "third"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[JobsProject, dict, float]:
    project = JobsProject(tmp_path_factory.mktemp("undisturbed"))
    a_graph(project)
    start = time.monotonic()
    status, said = project.run()
    assert status == 0, said
    return project, results(project.newest()), time.monotonic() - start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_runner_ended_at_any_moment_leaves_truth_and_goes_on(
    undisturbed: tuple[JobsProject, dict, float], number: signal.Signals
) -> None:
    project, expected, duration = undisturbed
    moments = random.Random(number.value)
    tally = {"ended": 0, "finished before": 0, "jobs done": 0}
    for _ in range(KILLS):
        shutil.rmtree(project.runs)
        process = project.start()
        time.sleep(moments.uniform(0.0, duration))
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        assert process.returncode in (0, -number, 128 + number), said
        tally["ended" if process.returncode else "finished before"] += 1
        no_process_is_left(project)
        assert not torn(project.runs)
        ended = max(project.runs.glob("*-jobs-*"), default=None)
        kept = {path.name.rpartition("-")[0] for path in project.runs.glob(".results/*-*")}

        status, said = project.run()
        assert status == 0, said
        assert results(project.newest()) == expected
        assert not torn(project.runs)
        if ended is None or not ended.exists():
            continue  # it had not come to making a run, or to saying what run it is
        manifest = json.loads((ended / "manifest.json").read_text())
        assert manifest["status"] in ("succeeded", "interrupted", "killed"), manifest["status"]
        if (ended / "jobs.json").exists():
            records = project.records(ended)
            assert {record["status"] for record in records.values()} <= ENDED
            done = {job for job, record in records.items() if record["status"] == "succeeded"}
            assert done <= kept
            for job in done:
                notebook = json.loads((ended / f"{job}.ipynb").read_bytes())
                assert fault(notebook) is None
            again = project.records()
            assert all(again[job]["reused"] == ended.name for job in done)
            tally["jobs done"] += len(done)
    print(number.name, tally)


def test_of_two_runners_one_works_and_the_other_is_told_who(project: JobsProject) -> None:
    project.job("slow", "import time\ntime.sleep(3)\n")
    first = project.start()
    wait_for(project, "slow")
    owner = project.newest().name
    status, said = project.run()
    assert status == 75, said
    assert owner in said
    assert first.wait(60) == 0
    assert [path.name for path in project.runs.glob("*-jobs-*")] == [owner]
    assert project.run()[0] == 0


SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(id, now);
  if (id == CLOCK_REALTIME) now->tv_sec -= 86400;
  return done;
}
time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
"""


def test_a_clock_set_back_hides_no_change_and_no_result(project: JobsProject) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/proc").exists():
        pytest.skip("needs a C compiler, to put the clock of a process back")
    project.job("first")
    assert project.run()[0] == 0
    before = project.newest().name
    library = project.root / "yesterday.so"
    source = project.root / "yesterday.c"
    source.write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    yesterday = {"LD_PRELOAD": str(library)}
    status, said = project.run(**yesterday)
    assert status == 0, said
    assert f"as in {before}" in said
    write_pair(project.root / "first", "print('edited')\n")
    status, said = project.run(**yesterday)
    assert "first.ipynb changed" in said
    assert status == 0, said
    names = sorted(path.name for path in project.runs.glob("*-jobs-*"))
    assert names[0] == before  # ids go on, whatever the clock says
    assert b"edited" in (project.runs / names[-1] / "first.ipynb").read_bytes()


# --- disks


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """A file system of ``size`` at ``path``, in memory."""
    path.mkdir(parents=True, exist_ok=True)
    if not AS_ROOT:
        pytest.skip("needs root on Linux, to mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def remount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


def test_a_full_disk_at_any_write_spoils_nothing(project: JobsProject) -> None:
    a_graph(project)
    with small_disk(project.runs, "64m"):
        assert project.run("jobs.engine=inprocess")[0] == 0
        good = project.newest()
        before = results(good)
        project.job("first", WRITES, outputs=["table.csv"], parameters={"users": 501})
        tries = 0
        for pages in range(0, 4000, DISK_STEP):
            used = shutil.disk_usage(project.runs).used
            remount(project.runs, f"size={used + 4096 * pages}")
            status, said = project.run("jobs.engine=inprocess")
            assert results(good) == before
            assert not torn(project.runs)
            assert "Traceback" not in said, said
            if status == 0:
                break
            tries += 1
            assert "disk is full" in said or "No space left" in said, said
        assert tries > 0
        remount(project.runs, "size=64m")
        assert project.run("jobs.engine=inprocess")[0] == 0
        assert project.records()["fourth"]["status"] == "succeeded"


def test_a_folder_that_cannot_be_written_is_named(project: JobsProject) -> None:
    project.job("first")
    with small_disk(project.runs, "8m"):
        remount(project.runs, "ro")
        status, said = project.run()
        assert status == 1
        assert str(project.runs) in said
        assert "Traceback" not in said
