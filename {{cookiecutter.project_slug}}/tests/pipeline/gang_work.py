"""What the tests of gangs have done in workers: they must find it by its name."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from {{cookiecutter.package_name}}.engines import Gang
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.training.gang import together

COLUMNS = 6


def write_rows(path: Path, seed: int) -> Path:
    """Rows of numbers, the label first."""
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(2_000, COLUMNS)).astype(np.float32)
    label = values[:, 0] + values[:, 1] * values[:, 2] + 0.1 * draws.normal(size=2_000) > 0
    np.save(path, np.column_stack([label, values]).astype(np.float32))
    return path


class Rows(xgb.DataIter):
    """A file at a time."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self._next = 0
        super().__init__()

    def next(self, input_data: Any) -> bool:
        if self._next == len(self._files):
            return False
        rows = np.load(self._files[self._next])
        self._next += 1
        input_data(data=rows[:, 1:], label=rows[:, 0])
        return True

    def reset(self) -> None:
        self._next = 0


class DyingRows(Rows):
    """As Rows; the first that reads the file 1 is killed by it."""

    def __init__(self, marker: Path, files: list[Path]) -> None:
        super().__init__(files)
        if any(path.name == "1.npy" for path in files) and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def loss(booster: bytes, rows: Any) -> float:
    """The log loss of a model on rows."""
    model = xgb.Booster(model_file=bytearray(booster))
    chance = model.inplace_predict(rows[:, 1:])
    return float(-np.mean(np.log(np.where(rows[:, 0] == 1, chance, 1 - chance))))


def add_up(gang: Gang, numbers: list[float]) -> tuple[int, int, float]:
    from xgboost import collective

    with together(gang):
        mine = np.array([numbers[gang.rank]])
        total = collective.allreduce(mine, collective.Op.SUM)
        return collective.get_rank(), collective.get_world_size(), float(total[0])


def fail_together(gang: Gang, item: Any) -> None:
    from xgboost import collective

    with together(gang):
        if gang.rank == 1:
            raise UserError("rank 1 has no rows")
        collective.allreduce(np.ones(1), collective.Op.SUM)
