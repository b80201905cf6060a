"""PR606-PR607: what DVC runs is what is declared, and tables do not bypass it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any

from .configs.documents import Broken, Document
from .core.gate import Context, Gate
from .core.rules import Finding, Rule
from .project import DATA, _git

PR606 = Rule(
    "PR606",
    "dvc.yaml is not what conf/steps.yaml declares",
    "`dvc repro` would skip a step although what it depends on has changed, or run too much",
    "Run `make steps`, which writes it, and commit it; what you meant to change there belongs into "
    "conf/steps.yaml",
    bad="# conf/config.yaml, which chooses model: linear\n"
    "# dvc.yaml\n    params:\n    - conf/model/boosting.yaml:",
    good="# conf/config.yaml, which chooses model: linear\n"
    "# dvc.yaml, after `make steps`\n    params:\n    - conf/model/linear.yaml:",
)
PR607 = Rule(
    "PR607",
    "a data file that the configuration uses is in no history",
    "nobody else can have it, and nobody can tell which version of it a result came from",
    "`dvc add FILE`, then commit FILE.dvc; a small file may also be committed as it is",
    bad="# conf/data/orders.yaml\npath: data/orders.csv   # which only this machine has",
    good="# conf/data/orders.yaml\npath: data/orders.csv   # data/orders.csv.dvc is in git",
)
RULES = (PR606, PR607)

PIPELINE = Path("dvc.yaml")
# What the package makes again from the configuration, below data/.
MADE = ("shop", "features", "tables", "quarantine", "scores", "steps")


def check(context: Context) -> Iterator[Finding]:
    if context.settings.wants(PR606):
        yield from check_pipeline(context)
    if context.settings.wants(PR607):
        yield from check_versioned(context)


# --- PR606


def check_pipeline(context: Context) -> Iterator[Finding]:
    """Compare dvc.yaml with what the package's steps would write."""
    root, name = context.root, f"{context.settings.package}.steps.pipeline"
    if not ((root / PIPELINE).is_file() and context.settings.package):
        return
    try:
        if importlib.util.find_spec(name) is None:
            return  # of a dvc.yaml that people write themselves
        wanted = importlib.import_module(name).text()
    except ModuleNotFoundError:
        return
    except Exception as error:
        what = f"it cannot be made: {(str(error) or type(error).__name__).splitlines()[0]}"
        yield Finding(PR606, PIPELINE, what)
        return
    there = (root / PIPELINE).read_text(encoding="utf-8", errors="replace")
    lines = zip_longest(there.splitlines(), wanted.splitlines())
    for number, (has, wants) in enumerate(lines, start=1):
        if has != wants:
            what = f"it has {_quoted(has)} where {_quoted(wants)} is declared"
            yield Finding(PR606, PIPELINE, what, line=number)
            return


def _quoted(line: str | None) -> str:
    return "nothing more" if line is None else f"'{line.strip()}'"


# --- PR607


def check_versioned(context: Context) -> Iterator[Finding]:
    """Files and folders of data that conf/ names, below the project, in neither git nor DVC."""
    root = context.root
    if not (root / ".dvc").is_dir():
        return
    for path in sorted((root / "conf").rglob("*.yaml")):
        try:
            document = Document(path)
        except Broken:
            continue  # the gate of the configuration says so
        for keys, text in _texts(document.values):
            if _is_data(root, text) and not _is_versioned(root, PurePosixPath(text)):
                what = f"'{text}' is in neither git nor DVC: dvc add {text}"
                yield Finding(PR607, path.relative_to(root), what, line=document.line(*keys))


Keys = tuple[str | int, ...]


def _texts(item: object, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """All texts in nested values, and the keys that lead to them."""
    pairs: Any = ()
    if isinstance(item, dict):
        pairs = item.items()
    elif isinstance(item, list):
        pairs = enumerate(item)
    elif isinstance(item, str):
        yield keys, item
    for key, value in pairs:
        yield from _texts(value, (*keys, key))


def _is_data(root: Path, text: str) -> bool:
    """Whether a text is a path of data inside the project: by its ending, or by what is there."""
    path = PurePosixPath(text)
    if "$" in text or path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        return False
    if path.parts[0] == "data" and path.parts[1] in MADE:
        return False
    folder = path.parts[0] == "data" and (root / path).is_dir()
    return folder or (bool(DATA.search(text)) and not any(sign in text for sign in "*?: \n"))


def _is_versioned(root: Path, path: PurePosixPath) -> bool:
    """Whether git has it, or a .dvc file beside it or beside a folder above it."""
    pointers = [root / f"{each}.dvc" for each in (path, *path.parents) if each.parts]
    if any(pointer.is_file() for pointer in pointers):
        return True
    return bool(_git(root, "ls-files", "--", str(path)))


GATE = Gate(RULES, on_project=check)
main = GATE.main

if __name__ == "__main__":
    sys.exit(main())
