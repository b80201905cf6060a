"""What the tests share: a clean environment, and ways to make a project."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TEMPLATE))

CHOICES = ("license", "python_version", "stage")
Render = Callable[..., Path]
TAIL = 60  # lines of a failed command's output
# What takes longest begins first. Each of three workers is given two tests to begin with: the
# second is short, as no other worker will take it over.
FIRST = (
    "[defaults]",
    "elsewhere",
    "[proprietary",
    "input_is_refused",
    "grows_by_make",
    "killed_at",
    "test_mutations",
    "random_edits",
    "[awkward]",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(FIRST) if name in item.nodeid), len(FIRST))

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting of the machine or of the calling `make` reaches a project; git knows a person."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text("[user]\n\tname = Test Person\n\temail = test@example.com\n")
    dropped = ("GIT_", "MAKE", "MFLAGS", "PYTHON", "UV_", "VIRTUAL_ENV", "COOKIECUTTER_")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(dropped) and name != "UV_CACHE_DIR":
                patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        # Without bytecode every start of a command would take twice as long.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("CI", "true")  # Hypothesis tries the same cases each time
        # `uv run` put the template's tools first on the PATH; a project has to bring its own.
        tools = str(Path(sys.executable).parent)
        path = [part for part in os.environ["PATH"].split(os.pathsep) if part != tools]
        patch.setenv("PATH", os.pathsep.join(path))
        yield


def run(project: Path, command: str, expected: int = 0, **environment: str) -> str:
    """Run a shell command in a project; return what it printed.

    Fails the test, with the end of what it printed, where it exits with another code.
    """
    result = subprocess.run(
        command,
        shell=True,
        cwd=project,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if result.returncode != expected:
        tail = "\n".join(deque(result.stdout.splitlines(), maxlen=TAIL))
        pytest.fail(f"`{command}` in {project} exited with {result.returncode}:\n{tail}", False)
    return result.stdout


def as_literal(text: str) -> str:
    """The text such that Cookiecutter, which renders given answers as Jinja, gets it back."""
    return "{% raw %}" + text + "{% endraw %}"


def make_project(output: Path, replays: Path, **answers: str) -> Path:
    """Make a project from the default answers and these, in this process; return its folder."""
    project = cookiecutter(
        str(TEMPLATE),
        no_input=True,
        extra_context={
            name: text if name in CHOICES else as_literal(text) for name, text in answers.items()
        },
        output_dir=str(output),
        default_config={"replay_dir": str(replays)},
    )
    return Path(project)


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """`make_project` in a new folder."""

    def in_new_folder(**answers: str) -> Path:
        folder = tmp_path_factory.mktemp("made")
        return make_project(folder / "out", folder / "replays", **answers)

    return in_new_folder


@pytest.fixture(scope="session")
def default_project(render: Render) -> Path:
    """A project from the default answers, to look at and not to change."""
    return render()
