"""What a notebook imports is read from its text, through the package, as Python would find it."""

from __future__ import annotations

from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.jobs.imports import (
    PACKAGE,
    ROOT,
    ImportReader,
)


def names(files: frozenset[Path]) -> set[str]:
    return {path.relative_to(ROOT).with_suffix("").as_posix() for path in files}


def read(tmp_path: Path, *sources: str) -> tuple[set[str], frozenset[str]]:
    found = ImportReader(tmp_path / "imports.json").of_cells(sources)
    return names(found.files), found.libraries


@pytest.mark.parametrize(
    ("source", "files"),
    [
        (f"import {PACKAGE}.progress", {"__init__", "progress"}),
        (f"from {PACKAGE} import progress", {"__init__", "progress"}),
        (f"from {PACKAGE}.runs.files import sha256", {"runs/files", "runs/run", "errors"}),
        (f"def f():\n    from {PACKAGE} import workflow", {"workflow", "features/shop"}),
        (f"%matplotlib inline\nfrom {PACKAGE}.data import table", {"data/table"}),
        # its modules are imported by names that a program computes
        (f"from {PACKAGE}.training import models", {"training/models/boosting"}),
    ],
)
def test_files_of_the_package_are_found_through_each_other(
    tmp_path: Path, source: str, files: set[str]
) -> None:
    assert files <= read(tmp_path, source)[0]


def test_only_what_is_imported_counts(tmp_path: Path) -> None:
    assert read(tmp_path, f"from {PACKAGE} import progress")[0] == {"__init__", "progress"}
    assert read(tmp_path, "x = 1", "import os, json", "broken(") == (set(), frozenset())


def test_libraries_are_those_of_others(tmp_path: Path) -> None:
    source = "import os, numpy as np\nfrom sklearn.metrics import roc_auc_score"
    assert read(tmp_path, source)[1] == {"numpy", "sklearn.metrics"}
    assert "xgboost" in read(tmp_path, f"from {PACKAGE}.training.models import boosting")[1]


def test_what_is_remembered_is_what_was_read(tmp_path: Path) -> None:
    memory = tmp_path / "imports.json"
    source = f"from {PACKAGE} import workflow"
    reader = ImportReader(memory)
    first = reader.of_cells([source])
    reader.save()
    assert ImportReader(memory).of_cells([source]) == first
    memory.write_text("{torn")
    assert ImportReader(memory).of_cells([source]) == first
