"""PR6: the repository as a whole."""

from __future__ import annotations

import subprocess

from ..planting import Change, Fault, Repository, both, file, module, replace

CONTRACT = """
[tool.importlinter]
root_package = "{package}"

[[tool.importlinter.contracts]]
name = "Data flows one way"
type = "layers"
containers = ["{package}"]
layers = ["training", "data"]
"""


def readme(text: str) -> Change:
    """More text in the README; {package} is the name of the package."""

    def change(repository: Repository) -> None:
        path = repository.root / "README.md"
        added = text.format(package=repository.package.name)
        path.write_text(path.read_text(encoding="utf-8") + f"\n{added}\n", encoding="utf-8")

    return change


def importing(importer: str, imported: str) -> Change:
    """A module of the folder ``importer`` that imports one of ``imported``."""

    def change(repository: Repository) -> None:
        pyproject = repository.root / "pyproject.toml"
        text = pyproject.read_text(encoding="utf-8")
        if "importlinter" not in text:
            added = CONTRACT.format(package=repository.package.name)
            pyproject.write_text(text + added, encoding="utf-8")
        for folder, code in (
            (importer, f"from ..{imported} import planted\n\n__all__ = ['planted']\n"),
            (imported, '"""Planted."""\n'),
        ):
            path = repository.root / repository.package / folder
            path.mkdir(exist_ok=True)
            (path / "__init__.py").touch()
            (path / "planted.py").write_text(code, encoding="utf-8")

    return change


LOCK = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "small"
source = { virtual = "." }
"""


def locked(python: str) -> Change:
    """A uv.lock made for these versions of Python; without any for those of pyproject.toml."""

    def change(repository: Repository) -> None:
        pyproject, lock = repository.root / "pyproject.toml", repository.root / "uv.lock"
        if not lock.exists():
            lock.write_text(LOCK, encoding="utf-8")
            text = pyproject.read_text(encoding="utf-8")
            text = text.replace("[project]\n", '[project]\nrequires-python = ">=3.11"\n')
            pyproject.write_text(text, encoding="utf-8")
        if python:
            line = f'requires-python = "{python}"'
            replace("uv.lock", '^requires-python = ".*"', line)(repository)

    return change


def staged(name: str) -> Change:
    def change(repository: Repository) -> None:
        subprocess.run(["git", "-C", str(repository.root), "add", "-f", name], check=True)

    return change


PLANTED = module('"""Planted."""')

FAULTS = (
    Fault(
        "PR601",
        "the data import the training",
        importing("data", "training"),
        importing("training", "data"),
    ),
    Fault("PR602", "the lock is for other versions of Python", locked(">=3.8"), locked("")),
    Fault(
        "PR603",
        "the README runs a module that does not exist",
        both(PLANTED, readme("```\npython -m {package}.plantd seed=7\n```")),
        both(PLANTED, readme("```\npython -m {package}.planted seed=7\n```")),
    ),
    Fault(
        "PR604",
        "filler text in the README",
        readme("TODO: replace this text with what the project is for."),
        readme("The list of what to do is in TODO.md."),
    ),
    Fault(
        "PR605",
        "a large table is staged",
        both(file("docs/planted.csv", "user,item\n" * 150_000), staged("docs/planted.csv")),
        both(file("docs/planted.csv", "user,item\n" * 15), staged("docs/planted.csv")),
    ),
)
