"""Stages: a smaller one has nothing of a larger one; what a project keeps of how it was made."""

import itertools
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from conftest import TEMPLATE, Render, run
from growing import commit, copy_template, git
from scalable_ml_answers import RULES, choices
from scalable_ml_record import RECORD, Record, record_of, without_secrets

STAGES = choices("stage")
LISTED = [
    (stage, line.strip())
    for stage in STAGES[1:]
    for line in (TEMPLATE / "templates" / stage / "files.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


@pytest.fixture(scope="module")
def projects(render: Render, default_project: Path) -> dict[str, Path]:
    """A project of each stage, to look at and not to change."""
    return {stage: render(stage=stage) if stage != "lab" else default_project for stage in STAGES}


@pytest.mark.parametrize(("stage", "pattern"), LISTED)
def test_a_listed_file_comes_with_its_stage(
    projects: dict[str, Path], stage: str, pattern: str
) -> None:
    for made, project in projects.items():
        found = list(project.glob(pattern.strip("/")))
        expected = STAGES.index(made) >= STAGES.index(stage)
        assert bool(found) == expected, f"{pattern} in a project of the stage {made}"


def test_a_larger_stage_only_adds(projects: dict[str, Path]) -> None:
    for smaller, larger in itertools.pairwise(STAGES):
        names = [
            set(run(projects[stage], "git ls-files").splitlines()) for stage in (smaller, larger)
        ]
        assert names[0] < names[1]
        for name in names[0] - {RECORD}:
            lines = [(projects[stage] / name).read_bytes().splitlines()
                     for stage in (smaller, larger)]  # fmt: skip
            assert set(lines[0]) <= set(lines[1]), f"{name} has lines that {larger} has not"


def test_lab_says_nothing_of_the_groups_of_stages(projects: dict[str, Path]) -> None:
    project = tomllib.loads((projects["lab"] / "pyproject.toml").read_text())
    assert set(project["dependency-groups"]) == {"dev", "neural", "postgres"}
    assert not any(isinstance(each, dict) for each in project["dependency-groups"]["dev"])


def test_an_absent_fragment_leaves_nothing_behind(projects: dict[str, Path]) -> None:
    """No line of blanks where it would have stood, and none too many."""
    for name in ("pyproject.toml", "conf/config.yaml", "README.md", ".pre-commit-config.yaml"):
        for stage, project in projects.items():
            text = (project / name).read_text()
            assert not re.search(r"\n\n\n|[ \t]\n|^\n|\n\n$", text), f"{name} of {stage}"


def test_no_folder_is_left_empty(projects: dict[str, Path]) -> None:
    for project in projects.values():
        folders = [
            path for path in project.rglob("*") if path.is_dir() and ".git" not in path.parts
        ]
        assert [path for path in folders if not any(path.iterdir())] == []


# --- The record. ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    template = copy_template(tmp_path_factory.mktemp("from") / "template")
    commit(template, "v1")
    return template


@pytest.mark.parametrize("how", ["folder", "clone", "zip"])
def test_wherever_the_template_comes_from(template: Path, tmp_path: Path, how: str) -> None:
    """Fragments are found, and the record says what there is to say."""
    given = str(template)
    expected: tuple[object, ...] = (str(template), git(template, "rev-parse", "HEAD"), False)
    if how == "clone":  # as of gh:owner/name
        expected_source = f"file://{template}"
        given = f"git+{expected_source}"
        expected = (expected_source, *expected[1:])
    if how == "zip":
        git(template, "archive", "--format=zip", "--prefix=name/", f"-o{tmp_path}/t.zip", "HEAD")
        given, expected = str(tmp_path / "t.zip"), (None, None, None)
    # In a process of its own: this one has the answers' rules of another folder loaded.
    command = f"{sys.executable} -m cookiecutter {given} --no-input -o . stage=pipeline"
    run(tmp_path, command, HOME=str(tmp_path))
    project = tmp_path / "shop-ranker"
    assert "mlflow" in tomllib.loads((project / "pyproject.toml").read_text())["dependency-groups"]
    record = Record.read((project / RECORD).read_text())
    assert (record.source, record.commit, record.dirty) == expected
    assert record.answers["stage"] == "pipeline"
    assert list(record.answers) == list(RULES)
    assert RECORD in git(project, "ls-files").splitlines()


def test_uncommitted_changes_of_the_template_are_on_record(template: Path, tmp_path: Path) -> None:
    copy = tmp_path / "template"
    shutil.copytree(template, copy)
    assert record_of(copy, {}).dirty is False
    (copy / "{{cookiecutter.project_slug}}/new.md").write_text("new\n")
    assert record_of(copy, {}).dirty is True


def test_somebody_elses_repository_is_not_the_templates(template: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    shutil.copytree(template, tmp_path / "inside", ignore=shutil.ignore_patterns(".git"))
    assert record_of(tmp_path / "inside", {}) == Record(None, None, None, {})


def test_the_record_is_the_same_text_for_the_same_answers() -> None:
    record = Record("https://example.com/t", "ab", False, {"project_name": 'é 🎉 "\\ {{ x }}'})
    assert Record.read(record.text()) == record
    assert record.text() == Record.read(record.text()).text()
    assert record.text().endswith("}\n")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"source": 1}', '{"answers": []'])
def test_a_damaged_record_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"template\.json cannot be read"):
        Record.read(text)


@pytest.mark.parametrize(
    ("remote", "kept"),
    [
        ("https://ada:s3cret@example.com/t.git", "https://example.com/t.git"),
        ("https://s3cret@example.com:8443/t.git", "https://example.com:8443/t.git"),
        ("https://example.com/t.git?private_token=s3cret#s3cret", "https://example.com/t.git"),
        ("ssh://git:s3cret@example.com:22/t.git", "ssh://git@example.com:22/t.git"),
        ("git@example.com:team/t.git", "git@example.com:team/t.git"),
        ("https://ada:p@s3cret@example.com/t.git", "https://example.com/t.git"),
        ("/srv/t.git", "/srv/t.git"),
        ("file:///srv/t.git", "file:///srv/t.git"),
    ],
)
def test_no_password_is_on_record(template: Path, tmp_path: Path, remote: str, kept: str) -> None:
    assert without_secrets(remote) == kept
    copy = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(template), "template")
    git(copy, "remote", "set-url", "origin", remote)
    text = record_of(copy, {}).text()
    assert json.loads(text)["source"] == kept
    assert "s3cret" not in text
