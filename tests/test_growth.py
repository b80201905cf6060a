"""Growth and updates of a project, one thing at a time, by the command that make runs."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from growing import (
    PACKAGE,
    PROJECT,
    KeptTemplate,
    commit,
    copy_template,
    edit,
    git,
    insert,
    new_question,
)
from scalable_ml_growth import run
from scalable_ml_record import RECORD, Record

HOSTILE = "\"q\" 'q' \\b $HOME é 🎉 a: b # no - {{ 7*7 }} {% x {% endraw %} {# y #}"
COMMAND = "scalable_ml_growth.py"


@dataclass(frozen=True)
class Said:
    returncode: int
    stdout: str
    stderr: str


Grow = Callable[..., Said]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template of two versions; the second edits, adds, renames and deletes, and asks more."""
    template = copy_template(tmp_path_factory.mktemp("growth") / "template")
    docs = f"{PROJECT}/docs"
    for name in ("edited", "renamed", "deleted", "dropped"):
        (template / docs / f"{name}.md").write_text("".join(f"{name} {n}\n" for n in range(20)))
    commit(template, "v1")
    edit(template, f"{docs}/edited.md", insert("of version 2", after=15))
    edit(template, f"{docs}/deleted.md", insert("of version 2", after=15))
    git(template, "mv", f"{docs}/renamed.md", f"{docs}/moved.md")
    git(template, "rm", "--quiet", f"{docs}/dropped.md")
    (template / docs / "added.md").write_text("added\n")
    (template / PACKAGE / "config/added.py").write_text('"""Added."""\n')
    new_question(template, "colour", '["red", "blue"]', '(lambda text: None, lambda _: "red")')
    (template / docs / "colour.md").write_text("{{ cookiecutter.colour }}\n")
    commit(template, "v2")
    return template


@pytest.fixture(scope="module")
def clone(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the Makefile of a project fetches the template."""
    folder = tmp_path_factory.mktemp("clone")
    git(folder, "clone", "--quiet", str(template), "template")
    return folder / "template"


def start(template: Path, folder: Path, *answers: str) -> Path:
    """A project of the version v1."""
    git(folder, "clone", "--quiet", "--branch", "v1", str(template), "old")
    command = [sys.executable, "-m", "cookiecutter", "old", "--no-input", "--default-config"]
    subprocess.run([*command, *answers], cwd=folder, check=True, capture_output=True)
    return next(path.parent for path in folder.glob(f"*/{RECORD}"))


@pytest.fixture(scope="module")
def fresh(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(template, tmp_path_factory.mktemp("fresh"))


@pytest.fixture
def project(fresh: Path, tmp_path: Path) -> Path:
    """A lab project of the version v1, to change."""
    git(tmp_path, "clone", "--quiet", str(fresh), "project")
    return tmp_path / "project"


@pytest.fixture(scope="module")
def kept(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> KeptTemplate:
    return KeptTemplate(clone, tmp_path_factory.mktemp("kept"))


@pytest.fixture
def grow(kept: KeptTemplate, project: Path, capfd: pytest.CaptureFixture[str]) -> Grow:
    """The command in this process, with projects that are made once."""

    def in_project(*arguments: str, folder: Path = project) -> Said:
        capfd.readouterr()
        status = run(arguments, folder, kept)
        printed = capfd.readouterr()
        return Said(status, printed.out, printed.err)

    return in_project


def save(project: Path) -> str:
    """Commit everything; return the commit."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Mine")
    return git(project, "rev-parse", "HEAD")


def state(project: Path) -> tuple[str, ...]:
    """All that a refusal must leave alone."""
    files = "".join(
        f"{path}:{path.read_bytes()!r}"
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    )
    return (git(project, "rev-parse", "HEAD"), git(project, "status", "--porcelain"), files)


def refused(result: Said, why: str) -> None:
    assert result.returncode == 1
    assert why in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr


# --- What fits. ----------------------------------------------------------------------------------


def test_grow_is_one_commit_that_can_be_undone(project: Path, grow: Grow) -> None:
    before = git(project, "rev-parse", "HEAD")
    result = grow("grow", "pipeline")
    assert (result.returncode, result.stderr) == (0, "")
    assert "git reset --keep HEAD~1" in result.stdout
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "log", "-1", "--format=%s %an <%ae> %P") == (
        f"Grow to pipeline Test Person <test@example.com> {before}"
    )
    assert (project / "pipeline.mk").is_file()
    assert not (project / "docs/added.md").exists(), "growth is no update"
    assert Record.read((project / RECORD).read_text()).answers["stage"] == "pipeline"
    git(project, "reset", "--keep", "HEAD~1")
    assert git(project, "rev-parse", "HEAD") == before
    assert not (project / "pipeline.mk").exists()


def test_a_grown_project_is_what_the_stage_makes_at_once(
    template: Path, project: Path, grow: Grow, tmp_path: Path
) -> None:
    (tmp_path / "at-once").mkdir()
    at_once = start(template, tmp_path / "at-once", "stage=pipeline")
    assert grow("grow", "pipeline").returncode == 0
    tracked = git(project, "ls-files")
    assert tracked == git(at_once, "ls-files")
    for name in tracked.splitlines():
        assert (project / name).read_bytes() == (at_once / name).read_bytes(), name


def test_update_brings_edits_and_asks_what_is_new(
    template: Path, project: Path, grow: Grow
) -> None:
    edit(project, "docs/edited.md", insert("mine", after=2))
    git(project, "mv", "docs/edited.md", "docs/my-name.md")
    git(project, "rm", "--quiet", "docs/deleted.md")
    save(project)
    result = grow("update")
    assert (result.returncode, result.stderr) == (0, "")
    assert "New question colour: its default, 'red'" in result.stdout
    assert "Deleted here, so it stays deleted: docs/deleted.md" in result.stdout
    assert git(project, "status", "--porcelain") == ""
    text = (project / "docs/my-name.md").read_text()
    assert "mine\n" in text and "of version 2\n" in text
    there = {path.name for path in (project / "docs").iterdir()}
    assert {"my-name.md", "moved.md", "added.md", "colour.md"} <= there
    assert not there & {"edited.md", "renamed.md", "deleted.md", "dropped.md"}
    record = Record.read((project / RECORD).read_text())
    assert record.commit == git(template, "rev-parse", "v2")
    assert record.answers["colour"] == "red"
    subject = git(project, "log", "-1", "--format=%s")
    assert subject == f"Update to v2 ({record.commit[:7]})"


def test_new_questions_are_asked_of_a_person(clone: Path, project: Path) -> None:
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(clone / COMMAND), "update"],
        cwd=project,
        stdin=side,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    os.write(terminal, b"2\n")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert (project / "docs/colour.md").read_text() == "blue\n"


def test_grow_and_update_in_one(project: Path, grow: Grow) -> None:
    assert grow("grow", "pipeline", "--version", "v2").returncode == 0
    assert (project / "pipeline.mk").is_file() and (project / "docs/added.md").is_file()


@pytest.mark.parametrize("arguments", [("update", "--version", "v1"), ("grow", "lab")])
def test_nothing_to_do(project: Path, grow: Grow, arguments: tuple[str, ...]) -> None:
    # `old`, which the project was made from, is a clone of the template: the source is the same.
    before = state(project)
    result = grow(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Nothing to do")
    assert state(project) == before


def test_files_of_a_stage_go_where_their_folder_was_renamed_to(project: Path, grow: Grow) -> None:
    git(project, "mv", "src/shop_ranker/config", "src/shop_ranker/settings")
    save(project)
    assert grow("grow", "pipeline").returncode == 0
    assert (project / "src/shop_ranker/settings/tracking.py").is_file()
    assert not (project / "src/shop_ranker/config").exists()


def test_a_file_renamed_by_the_template_and_deleted_here_stays_deleted(
    project: Path, grow: Grow
) -> None:
    git(project, "rm", "--quiet", "docs/renamed.md")
    save(project)
    result = grow("update")
    assert (result.returncode, result.stderr) == (0, "")
    assert not (project / "docs/moved.md").exists()


def test_odd_answers_make_no_difference(template: Path, grow: Grow, tmp_path: Path) -> None:
    answers = ["project_name", "description", "author_name"]
    quoted = "{% raw %}" + HOSTILE.replace("{% endraw %}", "") + "{% endraw %}"
    (tmp_path / "odd").mkdir()
    project = start(template, tmp_path / "odd", *(f"{name}={quoted}" for name in answers))
    result = grow("grow", "pipeline", folder=project)
    assert (result.returncode, result.stderr) == (0, "")
    changed = git(project, "diff", "--stat", "HEAD~1", "--", "README.md", "LICENSE")
    assert "LICENSE" not in changed and "-" not in changed.partition("|")[2]


def test_a_project_inside_a_larger_repository(fresh: Path, grow: Grow, tmp_path: Path) -> None:
    top = tmp_path / "top"
    git(tmp_path, "init", "--quiet", "top")
    (top / "other.txt").write_text("other\n")
    shutil.copytree(fresh, top / "team/project", ignore=shutil.ignore_patterns(".git"))
    save(top)
    result = grow("grow", "pipeline", folder=top / "team/project")
    assert (result.returncode, result.stderr) == (0, "")
    assert (top / "team/project/pipeline.mk").is_file()
    assert git(top, "status", "--porcelain") == ""
    assert "other.txt" not in git(top, "show", "--stat", "--format=")


# --- What does not fit. --------------------------------------------------------------------------


def test_a_conflict_is_named_and_has_ways_out(project: Path, grow: Grow) -> None:
    edit(project, "docs/edited.md", insert("mine", after=15))
    edit(project, "docs/dropped.md", insert("mine", after=15))
    edit(project, "docs/renamed.md", insert("mine", after=15))
    head = save(project)
    before = state(project)
    result = grow("update")
    assert result.returncode == 1
    assert "2 in conflict" in result.stderr
    assert "  docs/edited.md: changed by both\n" in result.stderr
    assert "  docs/dropped.md: changed here, removed by the template\n" in result.stderr
    assert "The way back: `git reset --hard`" in result.stderr
    assert "<<<<<<<" in (project / "docs/edited.md").read_text()
    assert git(project, "rev-parse", "HEAD") == head, "nothing is committed"
    refused(grow("update"), "is not finished")
    git(project, "reset", "--hard")
    assert state(project) == before
    # And the way on.
    grow("update")
    (project / "docs/edited.md").write_text("both\n")
    git(project, "commit", "--quiet", "-am", "Update")
    assert git(project, "status", "--porcelain") == ""
    assert grow("update").stdout.startswith("Nothing to do")


@pytest.mark.parametrize(
    "name", ["pipeline.mk", "src/shop_ranker/config/tracking.py", "conf/tracking"]
)
def test_a_file_of_ones_own_is_never_written_over(project: Path, grow: Grow, name: str) -> None:
    (project / name).write_text("my own\n")
    refused(grow("grow", "pipeline"), "git does not know")  # untracked
    (project / ".git/info/exclude").write_text(f"/{name}\n")
    before = state(project)
    refused(grow("grow", "pipeline"), "git does not know")  # ignored
    assert state(project) == before
    (project / ".git/info/exclude").write_text("")
    save(project)
    before = state(project)
    result = grow("grow", "pipeline")
    assert result.returncode == 1
    assert name in result.stderr
    kept = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts
            and b"my own\n" in path.read_bytes()]  # fmt: skip
    assert kept
    git(project, "reset", "--hard")
    assert state(project) == before


def test_the_same_file_of_ones_own_is_no_conflict(project: Path, grow: Grow) -> None:
    grow("grow", "pipeline")
    own = (project / "pipeline.mk").read_text()
    git(project, "reset", "--keep", "HEAD~1")
    (project / "pipeline.mk").write_text(own)
    save(project)
    assert grow("grow", "pipeline").returncode == 0


# --- What is refused. ----------------------------------------------------------------------------


@pytest.mark.parametrize("staged", [False, True])
def test_a_dirty_tree_is_refused(project: Path, grow: Grow, staged: bool) -> None:
    edit(project, "README.md", insert("mine", after=1))
    if staged:
        git(project, "add", "README.md")
    before = state(project)
    refused(grow("grow", "pipeline"), "not committed: README.md. Commit or stash")
    assert state(project) == before


def test_files_that_git_does_not_know_may_lie_about(project: Path, grow: Grow) -> None:
    (project / "notes.txt").write_text("mine\n")
    assert grow("grow", "pipeline").returncode == 0
    assert (project / "notes.txt").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("grow", "moon"), "There is no stage 'moon' in v1"),
        (("grow", ""), "Say STAGE=… Stages: lab, pipeline"),
        (("update", "--version", "v9"), "has no version 'v9'. Tags and branches: main, v1, v2"),
        (("update", "--version=--help"), "has no version '--help'"),
        (("update", "--from", "0" * 40), "has no version '000"),
    ],
)
def test_what_there_is_not(project: Path, grow: Grow, arguments: tuple[str, ...], why: str) -> None:
    before = state(project)
    refused(grow(*arguments), why)
    assert state(project) == before


def test_a_project_does_not_shrink(project: Path, grow: Grow) -> None:
    grow("grow", "pipeline")
    refused(grow("grow", "lab"), "lab is below it: a project does not shrink")


def test_without_an_identity_nothing_is_done(
    project: Path, grow: Grow, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(project)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    refused(grow("grow", "pipeline"), "no name and e-mail address")
    assert state(project) == before


def test_without_a_record_nothing_is_done(project: Path, grow: Grow) -> None:
    git(project, "rm", "--quiet", RECORD)
    git(project, "commit", "--quiet", "--message", "Mine")
    refused(grow("update"), f"{RECORD} is not in the last commit")
    (project / RECORD).write_text("{")
    save(project)
    refused(grow("update"), f"{RECORD} cannot be read")


def test_a_record_without_a_version_takes_one(project: Path, grow: Grow) -> None:
    record = Record.read((project / RECORD).read_text())
    (project / RECORD).write_text(Record(None, None, None, record.answers).text())
    save(project)
    refused(grow("update"), "Say which version it was: FROM=")
    assert grow("update", "--from", "v1").returncode == 0


def test_an_answer_that_is_refused_is_an_error_in_words(project: Path, grow: Grow) -> None:
    edit(project, RECORD, lambda text: text.replace('"MIT"', '"GPL"'))
    save(project)
    refused(grow("grow", "pipeline"), "The template cannot be rendered: GPL provided for choice")


def test_without_history_nothing_is_done(grow: Grow, tmp_path: Path) -> None:
    refused(grow("update", folder=tmp_path), "needs the project's git history")


def test_hooks_of_the_project_decide(project: Path, grow: Grow) -> None:
    hook = project / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho no such luck\nexit 1\n")
    hook.chmod(0o755)
    before = state(project)
    result = grow("grow", "pipeline")
    assert result.returncode == 1
    assert "no such luck" in result.stdout + result.stderr
    assert "git did not commit it" in result.stderr
    assert "A  pipeline.mk" in git(project, "status", "--porcelain").splitlines()
    git(project, "reset", "--hard")
    assert state(project) == before


@pytest.mark.full
def test_killed_at_any_moment(clone: Path, project: Path) -> None:
    before = state(project)
    began = time.monotonic()
    command = [sys.executable, str(clone / COMMAND), "grow", "pipeline"]
    subprocess.run(command, cwd=project, check=True)
    whole = time.monotonic() - began
    git(project, "reset", "--quiet", "--keep", "HEAD~1")
    for share in range(1, 12):
        seconds = whole * (0.4 + 0.6 * share / 12)  # before, it only renders
        process = subprocess.Popen(
            command,
            cwd=project,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.3)  # git, in a session of its own, ends its step
        if git(project, "log", "-1", "--format=%s") == "Grow to pipeline":
            git(project, "reset", "--quiet", "--keep", "HEAD~1")
        else:
            git(project, "reset", "--quiet", "--hard")  # the way back
        assert state(project) == before, f"killed after {seconds:.2f} s"
