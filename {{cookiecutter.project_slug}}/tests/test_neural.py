"""The neural model: what it learns, what it needs, and what its file holds."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from {{cookiecutter.package_name}}.config import NeuralConfig, SplitConfig
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.training.models import (
    fit_model,
    load_model,
    save_model,
)
from {{cookiecutter.package_name}}.training.splits import split

PACKAGE = "{{cookiecutter.package_name}}"
SMALL = NeuralConfig(batch=64, width=32, epochs=40)


def make(missing: bool = False) -> Examples:
    """Two numbers that say something only together, and a word that says nothing."""
    random = np.random.default_rng(4)
    a, b = random.normal(size=(2, 1500))
    frame = pd.DataFrame({"a": a, "b": b, "word": random.choice(["x", "y"], 1500)})
    frame["y"] = (frame.a * frame.b > 0).astype(float)
    if missing:
        frame.loc[::9, "a"] = np.nan
    kinds = {"a": "numeric", "b": "numeric", "word": "categorical"}
    return Examples(frame, Schema("binary", "y", kinds, ["n", "y"]), {}, {})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    folder = tmp_path_factory.mktemp("neural")
    examples = make()
    save_model(fit_model(SMALL, examples, split(examples, SplitConfig(), 1), 7, 1, "cpu"), folder)
    return folder


def test_it_finds_what_no_column_says_alone(saved: Path) -> None:
    examples = make()
    test = examples.frame.iloc[split(examples, SplitConfig(), 1).test]
    model = load_model(saved)
    assert ((model.predict(test) > 0.5) == test.y).mean() > 0.9
    importance = model.importance()
    assert importance["word"] < 0.05 < 0.3 < min(importance["a"], importance["b"])


def test_what_is_saved_is_the_best_epoch_and_predicts_as_it_learnt(saved: Path) -> None:
    """PyTorch says the loss and NumPy predicts: the two agree, on the best epoch."""
    examples = make()
    valid = examples.frame.iloc[split(examples, SplitConfig(), 1).valid]
    model = load_model(saved)
    predicted = model.predict(valid)
    loss = -np.log(np.where(valid.y == 1, predicted, 1 - predicted)).mean()
    history = model.history()["valid"]
    assert loss == pytest.approx(min(history), rel=1e-4)
    assert len(history) == SMALL.epochs or len(history) - np.argmin(history) == 9


def test_a_number_never_missing_in_training_is_average_when_missing(saved: Path) -> None:
    model, frame = load_model(saved), make().frame.head(50)
    middle = model.saved()["columns"]["middle"]["a"]
    unknown, average = frame.assign(a=np.nan), frame.assign(a=middle)
    assert np.array_equal(model.predict(unknown), model.predict(average))


def test_a_number_missing_in_training_is_something_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    examples = make(missing=True)
    model = fit_model(SMALL, examples, split(examples, SplitConfig(), 1), 7, 1, "cpu")
    middle = model.saved()["columns"]["middle"]["a"]
    frame = examples.frame.head(50)
    apart = model.predict(frame.assign(a=np.nan)) - model.predict(frame.assign(a=middle))
    assert np.abs(apart).max() > 1e-3


def test_the_file_holds_numbers_and_no_date(saved: Path) -> None:
    with zipfile.ZipFile(saved / "weights.npz") as file:
        assert {entry.date_time[0] for entry in file.infolist()} == {1980}
    with np.load(saved / "weights.npz", allow_pickle=False) as arrays:
        assert {array.dtype for array in arrays.values()} == {np.dtype("float32")}


@pytest.mark.parametrize("fault", ["absent", "cut", "pickle"])
def test_a_file_that_is_not_what_was_saved_is_refused(
    saved: Path, tmp_path: Path, fault: str
) -> None:
    whole = (saved / "weights.npz").read_bytes()
    (tmp_path / "model.json").write_bytes((saved / "model.json").read_bytes())
    pickled = io.BytesIO()
    np.savez(pickled, **{"table 0": np.array([print], dtype=object)})
    if fault != "absent":
        broken = whole[: len(whole) // 2] if fault == "cut" else pickled.getvalue()
        (tmp_path / "weights.npz").write_bytes(broken)
    with pytest.raises(UserError, match=r"model\.json: not a saved model"):
        load_model(tmp_path)


def test_what_was_saved_predicts_without_pytorch(saved: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None  # as if it were not installed
import numpy as np, pandas as pd
from pathlib import Path
from {PACKAGE}.training.models import load_model
frame = pd.DataFrame(dict(a=[0.5, -2.0], b=[1.0, 1.0], word=["x", "new"]))
print(load_model(Path({str(saved)!r})).predict(frame).tobytes().hex())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    frame = pd.DataFrame({"a": [0.5, -2.0], "b": [1.0, 1.0], "word": ["x", "new"]})
    assert done.stdout.strip() == load_model(saved).predict(frame).tobytes().hex()


def test_without_pytorch_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    examples = make()
    with pytest.raises(UserError, match="default-groups"):
        fit_model(SMALL, examples, split(examples, SplitConfig(), 1), 7, 1)


def test_a_gpu_that_is_not_there_is_not_replaced_silently() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    examples = make()
    with pytest.raises(UserError, match=r"training\.device=cuda"):
        fit_model(SMALL, examples, split(examples, SplitConfig(), 1), 7, 1, "cuda")


def test_a_gpu_learns_the_same_rule_and_the_same_bits_again(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    examples = make()
    parts = split(examples, SplitConfig(), 1)
    for folder in ("a", "b"):
        model = fit_model(SMALL, examples, parts, 7, 1, "cuda")
        save_model(model, tmp_path / folder)
    for file in ("model.json", "weights.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    test = examples.frame.iloc[parts.test]
    assert ((model.predict(test) > 0.5) == test.y).mean() > 0.9


def test_another_seed_is_another_model() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    examples = make()
    parts, quick = split(examples, SplitConfig(), 1), replace(SMALL, epochs=2)
    one, other = (fit_model(quick, examples, parts, seed, 1, "cpu") for seed in (1, 2))
    assert not np.array_equal(one.predict(examples.frame), other.predict(examples.frame))


def test_nothing_imports_pytorch_before_it_is_needed() -> None:
    code = f"""
import sys
from {PACKAGE} import train, evaluate, workflow
from {PACKAGE}.training.models import neural
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
