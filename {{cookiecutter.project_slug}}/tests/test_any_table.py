"""Random tables with random faults either train or stop with a message that names the cause."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from {{cookiecutter.package_name}} import adopt
from {{cookiecutter.package_name}}.config import load, load_config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.workflow import evaluate, train

from .any_table import make

TABLES = int(os.environ.get("ANY_TABLES", "60"))
FAST = ["training.threads=1", "evaluation.resamples=50"]
MODELS = [["model=boosting", "model.rounds=10"], ["model=linear"], ["model=popularity"]]


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that tables can be adopted into; the project's own is left alone."""
    copy = tmp_path / "conf"
    for path in sorted(load.CONF.rglob("*.yaml")):
        target = copy / path.relative_to(load.CONF)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    monkeypatch.setattr(load, "CONF", copy)
    monkeypatch.setattr(adopt, "CONF", copy)
    return copy


@pytest.mark.slow
def test_any_table_trains_or_is_refused_by_name(
    conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    ends: Counter[str] = Counter()
    said: list[str] = []
    for seed in range(TABLES):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        table = make(rng, folder)
        what = f"table {seed}: {', '.join(table.faults)}"
        try:
            ends[_tried(table, rng, capsys)] += 1
        except UserError as error:
            assert _names_something(str(error)), f"{what}: {error}"
            ends["refused when trained"] += 1
        except Exception as error:
            raise AssertionError(what) from error
    with capsys.disabled():
        print("", dict(ends), *said, sep="\n")
    assert ends["trained"] > TABLES / 3


def _tried(table, rng: random.Random, capsys: pytest.CaptureFixture) -> str:
    arguments = [str(table.path), "--target", table.target, "--name", "any", "--force"]
    status = adopt.main([*arguments, *table.options])
    error = capsys.readouterr().err
    if status:
        assert _names_something(error), error
        raise UserError(error)
    chosen = rng.choice(MODELS)
    trained = train(load_config(["data=any", *chosen, *FAST]))
    evaluate(load_config([f"evaluation.run={trained.run}"]))
    return "trained"


def _names_something(message: str) -> bool:
    """A file, a column or a setting, and no words of Python's or a library's insides."""
    inside = r"Traceback|Error\b.*Error\b|NoneType|object at 0x|dtype|KeyError|IndexError|_duckdb"
    return len(message) > 20 and not re.search(inside, message)
