"""The gates of the project are also what other repositories install."""

import tomllib

import yaml

from conftest import TEMPLATE

GATES = TEMPLATE / "{{cookiecutter.project_slug}}" / "gates"
PYPROJECT = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_of_the_gates_is_packaged() -> None:
    folders = {
        ".".join(["gates", *path.parent.relative_to(GATES).parts])
        for path in GATES.rglob("__init__.py")
    }
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == folders


def test_hooks_call_the_command_that_is_installed() -> None:
    hooks = yaml.safe_load((TEMPLATE / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert {hook["entry"].split()[0] for hook in hooks} <= set(PYPROJECT["project"]["scripts"])
