"""By how much two files differ, told in the terms of what they hold."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imsave

from {{cookiecutter.package_name}}.runs.differences import (
    Difference,
    difference,
)


def compare(folder: Path, name: str, one: Any, other: Any) -> Difference:
    paths = []
    for side, content in (("one", one), ("other", other)):
        path = folder / side / name
        path.parent.mkdir()
        path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
        paths.append(path)
    return difference(*paths)


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


def png(level: float, size: int = 4) -> bytes:
    pixels = np.full((size, size, 3), 0.5)
    pixels[0, 0] = level
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return buffer.getvalue()


def notebook(*texts: str, source: str = "1 + 1") -> str:
    cells = [
        {
            "cell_type": "code",
            "source": source,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": [text]}],
        }
        for text in texts
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4})


@pytest.mark.parametrize(
    ("name", "one", "other", "words", "size"),
    [
        ("a.json", '{"x": [1, 2.0]}', '{"x": [1, 2.5]}', "most x[1]: by 0.5", 0.2),
        ("a.json", '{"x": 1, "y": "a"}', '{"x": 2, "y": "b"}', "y: 'a' in the run, 'b'", np.inf),
        ("a.json", '{"x": 1}', '{"x": 1, "z": 2}', "z: only in the replay", np.inf),
        ("a.json", '{"x": true}', '{"x": 1}', "x: 'True' in the run", np.inf),
        ("a.json", '{"x": 1e-18}', '{"x": 0}', "1 number differ", 1e-12),
        ("a.json", '{"x": 1}', '{ "x": 1 }', "written in another way", 0),
        ("a.json", "1" + "0" * 400, "2" + "0" * 400, "1 number differ", np.inf),
        ("a.json", '{"x": 1', '{"x": 2', "from byte 6", np.inf),
        ("a.parquet", parquet(x=[1.0, 2]), parquet(x=[1.0, 4]), "column x: 1 row of 2", 0.5),
        ("a.parquet", parquet(x=["a"]), parquet(x=["b"]), "first row 0: 'a' in the run", np.inf),
        ("a.parquet", parquet(x=[1]), parquet(x=[1, 2]), "1 rows in the run, 2", np.inf),
        ("a.parquet", parquet(x=[1]), parquet(y=[1]), "columns differ: x, y", np.inf),
        ("a.ipynb", notebook("a 1.5", "b"), notebook("a 1.6", "c"), "cell 1: line 1", np.inf),
        ("a.ipynb", notebook("loss 2.0\n"), notebook("loss 2.5\n"), "'loss 2.5'", 0.2),
        ("a.ipynb", notebook("a"), notebook("a", source="2"), "cell 1 has another", np.inf),
        ("a.ipynb", notebook("a"), notebook("a", "b"), "1 cells in the run, 2", np.inf),
        ("a.png", png(0.5), png(0.9), "6.25% of the pixels differ, by at most 10", np.inf),
        ("a.png", png(0.5), png(0.504), "by at most 1 of 255", 0),
        ("a.png", png(0.5), png(0.5, 5), "4 x 4 in the run, 5 x 5", np.inf),
        ("a.txt", "x\ny 10 %", "x\ny 11 %", "line 2: 'y 10 %' in the run", 1 / 11),
        ("a.bin", b"abcd", b"abXd", "4 bytes in the run, 4 in the replay", np.inf),
    ],
)
def test_a_difference_is_told_with_its_place_and_size(
    tmp_path: Path, name: str, one: Any, other: Any, words: str, size: float
) -> None:
    found = compare(tmp_path, name, one, other)
    assert words in found.what
    assert found.size == pytest.approx(size)


def test_a_saved_model_is_compared_by_its_numbers(tmp_path: Path) -> None:
    import xgboost

    random = np.random.default_rng(1)
    data = random.normal(size=(50, 2))
    target = data[:, 0] + random.normal(size=50)
    contents = []
    for shift in (0.0, 0.5):
        matrix = xgboost.DMatrix(data, target + shift)
        booster = xgboost.train({"max_depth": 2, "nthread": 1}, matrix, 2)
        contents.append(bytes(booster.save_raw("ubj")))
    found = compare(tmp_path, "booster.ubj", *contents)
    assert "learner." in found.what
