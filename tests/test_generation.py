"""Projects made from good, odd and bad answers: their files, their history, and what is refused."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import yaml
from cookiecutter.exceptions import FailedHookException

from conftest import CHOICES, TEMPLATE, Render, as_literal, make_project
from scalable_ml_answers import single_line
from test_answers import REFUSED

HOSTILE = (
    "\"quotes\" 'single' \\back\\n `tick` $HOME %s é 🎉 a: b # no\n1.0 - {{ 7*7 }} {% x <b>&amp;"
)
ODD_ANSWERS = {
    "defaults": {},
    "hostile": {
        "project_name": HOSTILE,
        "project_slug": "Odd_Name-1",
        "package_name": "odd",
        "description": HOSTILE,
        "author_name": HOSTILE,
        "author_email": "o'brien+{x}@example.com",
        "license": "Apache-2.0",
        "python_version": "3.13",
        "stage": "pipeline",
    },
    "no": {
        "project_name": "no",
        "description": "1.0",
        "author_name": "null",
        "author_email": "",
        "license": "Proprietary",
    },
    "mapping": {"project_name": "a: b", "description": "- {a: b}", "author_name": "@x %y"},
    "leftovers": {"project_name": "{{ 7*7 }}", "description": "{# x #}", "author_name": '"""'},
    "longest": {
        "project_name": "W" * 120,
        "project_slug": "s" * 60,
        "package_name": "p" * 40,
        "description": "long " * 99 + "words",
        "license": "BSD-3-Clause",
    },
}

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module", params=ODD_ANSWERS)
def made(request: pytest.FixtureRequest, render: Render) -> tuple[Path, dict[str, str]]:
    given = ODD_ANSWERS[request.param]
    return render(**given), given


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for git's own."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is below a folder, empty folders too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


# --- What comes out. -----------------------------------------------------------------------------


def test_every_file_can_be_read(made: tuple[Path, dict[str, str]]) -> None:
    project, _ = made
    seen = set()
    for name, content in files(project).items():
        text = content.decode("utf-8") if Path(name).suffix != ".png" else ""
        assert not re.search(r"\{\{ *cookiecutter", text), f"{name}: Jinja is left over"
        try:
            match Path(name).suffix:
                case ".toml":
                    tomllib.loads(text)
                case ".yaml" | ".yml":
                    yaml.safe_load(text)
                case ".py":
                    compile(text, name, "exec")
                case ".json":
                    json.loads(text)
                case ".ipynb":
                    nbformat.validate(nbformat.reads(text, as_version=4))
        except Exception as error:
            raise AssertionError(f"{name} cannot be read: {error}") from error
        seen.add(Path(name).suffix)
    assert {".toml", ".yaml", ".py", ".md", ".ipynb"} <= seen


def test_no_jinja_is_left_over(default_project: Path) -> None:
    for name, content in files(default_project).items():
        assert not re.search(rb"\{\{ *cookiecutter|\{%", content), name


def test_answers_come_back_from_pyproject(made: tuple[Path, dict[str, str]]) -> None:
    folder, given = made
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == folder.name == given.get("project_slug", folder.name)
    author = project["authors"][0]
    if "description" in given:
        assert project["description"] == single_line(given["description"])
    assert author["name"] == single_line(given.get("author_name", "Test Person"))
    assert author.get("email", "") == given.get("author_email", "test@example.com")
    assert project["requires-python"].startswith(f">={given.get('python_version', '3.11')}")
    assert (folder / "src" / given.get("package_name", "")).is_dir()


def test_the_title_of_the_readme_is_the_name(made: tuple[Path, dict[str, str]]) -> None:
    folder, given = made
    title = (folder / "README.md").read_text(encoding="utf-8").splitlines()[0]
    shown = re.sub(r"\\([^\w\s])", r"\1", title)
    assert shown == f"# {single_line(given.get('project_name', 'Shop Ranker'))}"


def test_one_licence_is_left(made: tuple[Path, dict[str, str]]) -> None:
    folder, given = made
    licence = (folder / "LICENSE").read_text(encoding="utf-8")
    assert f"{single_line(given.get('author_name', 'Test Person'))}" in licence
    first = {"Apache-2.0": "Apache License", "BSD-3-Clause": "BSD 3-Clause License"}
    first |= {"MIT": "MIT License", "Proprietary": "Copyright"}
    assert licence.lstrip().startswith(first[given.get("license", "MIT")])
    assert not (folder / "licenses").exists()


def test_same_answers_give_the_same_files(render: Render) -> None:
    assert files(render(**ODD_ANSWERS["hostile"])) == files(render(**ODD_ANSWERS["hostile"]))


# --- Through the command line, as a person does it. ----------------------------------------------


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Cookiecutter's command line in `tmp_path/here`, with an empty home."""
    for folder in ("here", "home", "tmp"):
        (tmp_path / folder).mkdir()

    def run(
        *arguments: str, typed: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path / "here",
            env={
                **os.environ,
                "HOME": str(tmp_path / "home"),
                "TMPDIR": str(tmp_path / "tmp"),
                **environment,
            },
            input=typed,
            capture_output=True,
            encoding="utf-8",
        )

    return run


def test_answers_are_asked_for(cli: Cli, tmp_path: Path) -> None:
    typed = ["{{ 7*7 }} \"a\\b\" 'c' 🎉", "typed", "", "no", "a: b", "a@b.example", "4", "2", "2"]
    result = cli(typed="\n".join(typed) + "\n")
    assert result.returncode == 0, result.stdout + result.stderr
    project = tomllib.loads((tmp_path / "here/typed/pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["description"] == "no"
    assert project["project"]["authors"] == [{"name": "a: b", "email": "a@b.example"}]
    assert project["project"]["license"] == "LicenseRef-Proprietary"
    assert project["project"]["requires-python"].startswith(">=3.12")
    assert (tmp_path / "here/typed/pipeline.mk").is_file()
    assert (tmp_path / "here/typed/README.md").read_text(encoding="utf-8").startswith("# {{ 7\\*7")


def test_only_the_next_command_is_printed(cli: Cli, tmp_path: Path) -> None:
    result = cli("--no-input")
    assert result.returncode == 0
    assert result.stdout == f"cd {tmp_path}/here/shop-ranker && make\n"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("project_slug", "../escaped"),
        ("project_slug", "{outside}/absolute"),
        ("project_slug", "ranker\n"),
        ("package_name", "json"),
        ("package_name", "../../escaped"),
        ("author_name", '"; import os; os.mkdir("injected") #\x01'),
    ],
)
def test_a_refused_answer_writes_nothing(cli: Cli, tmp_path: Path, answer: str, value: str) -> None:
    before = tree(tmp_path)
    value = as_literal(value.replace("{outside}", str(tmp_path / "home")))
    result = cli("--no-input", f"{answer}={value}")
    assert result.returncode == 1
    assert f"{answer} cannot be" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert tree(tmp_path) == before


def test_a_typed_answer_is_refused_at_its_question(cli: Cli, tmp_path: Path) -> None:
    before = tree(tmp_path)
    result = cli(typed="My project\n../escaped\n")
    assert result.returncode == 1
    assert "project_slug cannot be '../escaped'" in result.stdout
    assert "imports it by" not in result.stdout  # the next question
    assert tree(tmp_path) == before


# A choice that is none is refused by Cookiecutter itself, when it does not come from a replay file.
@pytest.mark.parametrize(
    ("answer", "value", "why"), [row for row in REFUSED if row[0] not in CHOICES]
)
def test_every_refusal_happens_before_anything_is_written(
    tmp_path: Path, answer: str, value: str, why: str
) -> None:
    with pytest.raises(FailedHookException, match=re.escape(why)):
        make_project(tmp_path / "out", tmp_path / "replays", **{answer: value})
    assert tree(tmp_path) == {}


@pytest.fixture(scope="session")
def replay(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What Cookiecutter keeps of a generation, to be replayed."""
    folder = tmp_path_factory.mktemp("replay")
    make_project(folder, folder)
    kept: dict[str, dict[str, object]]
    kept = json.loads((folder / f"{TEMPLATE.name}.json").read_text())
    return kept


@pytest.mark.parametrize(
    ("answer", "value"), [("project_slug", "../escaped"), ("license", "GPL"), ("author_name", 7)]
)
def test_replay_files_are_checked(
    cli: Cli,
    tmp_path: Path,
    replay: dict[str, dict[str, object]],
    answer: str,
    value: object,
) -> None:
    file = tmp_path / "replay.json"
    file.write_text(json.dumps({"cookiecutter": {**replay["cookiecutter"], answer: value}}))
    result = cli("--replay-file", str(file))
    assert result.returncode == 1
    assert f"{answer} cannot be" in result.stdout
    assert tree(tmp_path / "here") == {}
    assert not (tmp_path / "escaped").exists()


def test_the_checks_cannot_be_answered_away(cli: Cli, tmp_path: Path) -> None:
    result = cli("--no-input", "project_slug=../escaped", "__project_slug=ok")
    assert result.returncode == 1
    assert "project_slug cannot be" in result.stdout
    assert tree(tmp_path / "here") == {}
    assert not (tmp_path / "escaped").exists()


def test_answers_are_checked_without_hooks(cli: Cli, tmp_path: Path) -> None:
    result = cli("--no-input", "--accept-hooks", "no", "project_slug=../escaped")
    assert result.returncode == 1
    assert not (tmp_path / "escaped").exists()


def test_the_hook_refuses_too(tmp_path: Path) -> None:
    from scalable_ml_answers import as_data

    hook = (TEMPLATE / "hooks/pre_gen_project.py").read_text(encoding="utf-8")
    rendered = tmp_path / "hook.py"
    bad = {"project_slug": "../escaped", "project_name": "\"'\\\n{{"}
    rendered.write_text(hook.replace("{{ cookiecutter | as_data }}", as_data(bad)))
    command = [sys.executable, str(rendered)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert result.returncode == 1
    assert "project_slug cannot be '../escaped'" in result.stderr
    assert "Traceback" not in result.stderr


# --- History. ------------------------------------------------------------------------------------


def git(project: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=project, check=True, capture_output=True, encoding="utf-8"
    ).stdout


def test_the_first_commit_holds_every_file(default_project: Path) -> None:
    project = default_project
    log = git(project, "log", "--format=%an <%ae> %s")
    assert log == "Test Person <test@example.com> Start from cookiecutter-scalable-ml\n"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "branch", "--show-current") == "main\n"
    assert set(git(project, "ls-files").splitlines()) == set(files(project))


def test_without_an_identity_files_are_staged(cli: Cli, tmp_path: Path) -> None:
    result = cli("--no-input", GIT_CONFIG_GLOBAL=os.devnull)
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) == 1
    assert "Warning: git knows no name and e-mail address" in result.stderr
    project = tmp_path / "here/shop-ranker"
    assert set(git(project, "ls-files").splitlines()) == set(files(project))
    pyproject = tomllib.loads((project / "pyproject.toml").read_text())
    assert pyproject["project"]["authors"] == [{"name": "Unnamed Author"}]


def test_without_git_there_is_a_warning(cli: Cli, tmp_path: Path) -> None:
    result = cli("--no-input", PATH=str(tmp_path / "home"))
    assert result.returncode == 0
    assert result.stderr.startswith("Warning: git was not found")
    assert len(result.stderr.splitlines()) == 1
    assert (tmp_path / "here/shop-ranker/LICENSE").exists()
    assert not (tmp_path / "here/shop-ranker/.git").exists()


def test_another_repository_in_the_environment_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    before = tree(other)
    result = cli("--no-input", GIT_DIR=str(other / ".git"), GIT_INDEX_FILE=str(other / "index"))
    assert result.returncode == 0, result.stderr
    assert git(tmp_path / "here/shop-ranker", "status", "--porcelain") == ""
    assert tree(other) == before


def test_hooks_and_signing_of_the_machine_are_for_people(cli: Cli, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    config = tmp_path / "config"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], config)
    with config.open("a") as file:
        file.write(f"[core]\n\thooksPath = {hooks}\n[commit]\n\tgpgSign = true\n")
    result = cli("--no-input", GIT_CONFIG_GLOBAL=str(config))
    assert (result.returncode, result.stderr) == (0, "")


def test_overwriting_a_project_leaves_its_history_alone(cli: Cli, tmp_path: Path) -> None:
    assert cli("--no-input").returncode == 0
    project = tmp_path / "here/shop-ranker"
    (project / "README.md").write_text("mine\n")
    git(project, "commit", "--quiet", "--all", "--message", "Mine")
    assert cli("--no-input", "--overwrite-if-exists").stderr == ""
    assert git(project, "log", "-1", "--format=%s") == "Mine\n"
    assert git(project, "status", "--porcelain") == " M README.md\n"
