"""What the tests of whole projects share."""

import importlib.metadata
import json
from pathlib import Path

from conftest import run
from scalable_ml_answers import problem_with_package, problem_with_slug

QUICK = """make test ARGS="-m 'not slow'" """


def with_groups(project: Path, *groups: str) -> None:
    """Let `make setup` install these as well."""
    path = project / "pyproject.toml"
    before, after = (f"default-groups = {json.dumps(each)}" for each in (["dev"], ["dev", *groups]))
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    run(project, "make setup")


def every_library_is_a_refused_name(project: Path) -> None:
    """A package named like something in the project's environment would hide it."""
    site_packages = [str(path) for path in project.glob(".venv/lib/python*/site-packages")]
    usable: set[str] = set()
    for distribution in importlib.metadata.distributions(path=site_packages):
        name = distribution.metadata["Name"].replace(".", "-")
        if name == project.name:
            continue
        usable.update({name} if problem_with_slug(name) is None else ())
        tops = {
            Path(file.parts[0]).stem for file in distribution.files or [] if file.suffix == ".py"
        }
        usable.update(top for top in tops if problem_with_package(top.lower()) is None)
    assert not usable, "these belong into DEPENDENCIES of scalable_ml_answers.py"
