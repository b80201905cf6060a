"""The files of a notebook: written to its own folder, found in those of the jobs it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.jobs import needed, output
from {{cookiecutter.package_name}}.jobs.folder import JobFile
from {{cookiecutter.package_name}}.runs import open_run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As in a job that needs ``clean``, which has written two files."""
    given = tmp_path / "job" / "needs" / "clean"
    (given / "plots").mkdir(parents=True)
    (given / "rows.csv").write_text("a,b\n")
    (given / "plots" / "roc.png").write_bytes(b"png")
    monkeypatch.setenv("JOB_FOLDER", str(tmp_path / "job"))
    return tmp_path / "job"


def test_a_job_writes_into_its_own_folder(folder: Path) -> None:
    assert output("rows.csv") == folder / "outputs" / "rows.csv"
    output("plots/a b/ü.png").write_bytes(b"png")
    assert (folder / "outputs" / "plots" / "a b" / "ü.png").is_file()


def test_a_job_reads_what_it_needs(folder: Path) -> None:
    assert needed("clean", "rows.csv").read_text() == "a,b\n"
    assert needed("clean", "plots/roc.png").read_bytes() == b"png"


@pytest.mark.parametrize(
    ("job", "name", "message"),
    [
        ("clean", "row.csv", "written: plots/roc.png, rows.csv. Did you mean 'rows.csv'?"),
        ("clean", "plots", "there is no such file"),
        ("claen", "rows.csv", "those of: clean. Did you mean 'clean'?"),
        ("../clean", "rows.csv", "is not the name of a job"),
    ],
)
def test_a_file_that_is_not_there_is_answered_with_those_that_are(
    folder: Path, job: str, name: str, message: str
) -> None:
    with pytest.raises(UserError) as refusal:
        needed(job, name)
    assert message in str(refusal.value)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", ".", "a\nb", "a\0b"])
def test_a_name_cannot_lead_out_of_the_folder(folder: Path, name: str) -> None:
    for use in (output, lambda name: needed("clean", name), lambda name: JobFile("clean", name)):
        with pytest.raises(UserError, match="is not the name of a file"):
            use(name)
    assert not (folder / "outputs").exists()


def test_a_person_writes_below_the_runs_and_reads_the_newest(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOB_FOLDER", raising=False)
    assert output("rows.csv") == runs / "interactive" / "outputs" / "rows.csv"
    with pytest.raises(UserError, match="no jobs run 'latest'"):
        needed("clean", "rows.csv")
    with open_run("jobs", load_config()) as run:
        (run.path / "clean").mkdir()
        (run.path / "clean" / "rows.csv").write_text("new")
    assert needed("clean", "rows.csv") == run.path / "clean" / "rows.csv"
    with pytest.raises(UserError, match=f"{run.id} holds no files of 'other'.* those of: clean"):
        needed("other", "rows.csv")
