"""Learning from files: the same model as in memory, of whole users, within a bound on memory."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost as xgb

from {{cookiecutter.package_name}} import features, workflow
from {{cookiecutter.package_name}}.config import (
    PROJECT_ROOT,
    Config,
    EngineConfig,
    load_config,
)
from {{cookiecutter.package_name}}.data.examples import Examples, Stored, drawn, read
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import read_manifest
from {{cookiecutter.package_name}}.training.models import fit_model, save_model
from {{cookiecutter.package_name}}.training.splits import Split, split
from {{cookiecutter.package_name}}.training.stored import StoredBatches, fit_encoder

from .conftest import SHOP
from .memory import needs_peak

SOME = [*SHOP, "model=boosting", "model.rounds=25", "training.sample=4000"]


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config([*SHOP, "model=boosting", "model.rounds=25"])


@pytest.fixture(scope="module")
def whole(config: Config) -> Examples:
    return features.build(config)


@pytest.fixture
def stored(whole: Examples, tmp_path: Path) -> Examples:
    """All rows in memory and, divided among three files, on the disk."""
    files = []
    for number, rows in enumerate(np.array_split(np.arange(len(whole)), 3)):
        files.append(tmp_path / f"shard-{number}.parquet")
        whole.frame.iloc[rows].to_parquet(files[-1], row_group_size=1000)
    return replace(whole, stored=Stored(files, len(whole)))


def parts_of(examples: Examples, config: Config) -> Split:
    return split(examples, config.training.split, config.seed)


def saved(config: Config, examples: Examples, parts: Split, folder: Path) -> str:
    model = fit_model(config.model, examples, parts, 1, 2)
    save_model(model, folder)
    content = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    return hashlib.sha256(content).hexdigest()


def test_a_model_from_files_is_that_from_memory(
    config: Config, whole: Examples, stored: Examples, tmp_path: Path
) -> None:
    parts = parts_of(whole, config)
    from_memory = saved(config, whole, parts, tmp_path / "memory")
    assert saved(config, stored, parts, tmp_path / "files") == from_memory
    assert fit_model(config.model, stored, parts, 1, 2).learnt == len(parts.train)
    assert not list(tmp_path.glob(".*"))  # what was made on the way is gone


def test_bins_that_do_not_fit_are_on_the_disk(
    config: Config,
    whole: Examples,
    stored: Examples,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stored.stored is not None
    kept: list[Path] = []
    made = xgb.ExtMemQuantileDMatrix.__init__

    def look(self: object, rows: StoredBatches, **more: object) -> None:
        made(self, rows, **more)
        kept.extend(Path(str(rows.cache_prefix)).parent.iterdir())

    monkeypatch.setattr(xgb.ExtMemQuantileDMatrix, "__init__", look)
    small = replace(stored, stored=replace(stored.stored, engine=EngineConfig(memory=1)))
    parts = parts_of(whole, config)
    found = fit_model(config.model, small, parts, 1, 2)
    assert kept and not any(path.exists() for path in kept)
    judged = whole.frame.iloc[parts.valid]
    in_memory = fit_model(config.model, whole, parts, 1, 2)
    assert np.corrcoef(found.predict(judged), in_memory.predict(judged))[0, 1] > 0.99


def test_a_larger_sample_has_all_of_a_smaller_one() -> None:
    users = np.arange(100_000)
    few, more = drawn(users, 42, 0.03), drawn(users, 42, 0.3)
    assert (more | ~few).all()
    assert few.mean() == pytest.approx(0.03, rel=0.1)
    assert more.mean() == pytest.approx(0.3, rel=0.05)
    assert drawn(users, 42, 1.0).all()


def test_users_of_a_sample_are_whole(whole: Examples) -> None:
    sample = features.build(load_config([*SOME, "training.rows=8000"]))
    assert sample.stored is not None
    learnt = pd.concat(pd.read_parquet(file) for file in sample.stored.files)
    assert 0 < len(sample) < len(learnt) < len(whole)
    assert sample.stored.rows == len(learnt)
    for rows in (sample.frame, learnt):
        all_of_them = whole.frame[whole.frame["user"].isin(rows["user"])]
        pd.testing.assert_frame_equal(
            rows.reset_index(drop=True), all_of_them.reset_index(drop=True)
        )
    assert set(sample.frame["user"]) <= set(learnt["user"])


def test_few_rows_are_all_in_memory(whole: Examples) -> None:
    assert whole.stored is None
    assert not whole.notes
    assert len(whole) == sum(whole.inputs[path] for path in whole.inputs if "impr" in str(path))


def test_rows_held_back_are_never_learnt_from(
    config: Config, whole: Examples, stored: Examples, tmp_path: Path
) -> None:
    parts = parts_of(whole, config)
    assert parts.before is not None
    first = saved(config, stored, parts, tmp_path / "first")
    frame = whole.frame.copy()
    late = frame["day"] >= parts.before
    frame.loc[late, "click"] = 1 - frame.loc[late, "click"]
    frame.loc[late, "price"] *= 100
    frame.loc[late, "device"] = "a late device"
    file = tmp_path / "other.parquet"
    frame.to_parquet(file)
    other = replace(stored, stored=Stored([file], len(frame)))
    assert saved(config, other, parts, tmp_path / "second") == first


def test_the_gap_before_validation_rows_is_left_out(stored: Examples, tmp_path: Path) -> None:
    config = load_config([*SHOP, "model=boosting", "training.split.gap=3"])
    parts = parts_of(stored, config)
    assert stored.stored is not None and parts.before is not None
    encoder, count = fit_encoder(stored.stored, stored.schema, parts.before)
    assert count == len(parts.train)
    batches = StoredBatches(stored.stored.files, stored.schema, parts.before, encoder)
    labels: list[float] = []
    while batches.next(lambda data, label, feature_types: labels.extend(label)):
        pass
    target = stored.frame["click"].to_numpy()[parts.train]
    np.testing.assert_array_equal(labels, target.astype(np.float32))


def test_missing_words_are_no_category(stored: Examples, tmp_path: Path) -> None:
    frame = stored.frame.head(100).assign(day=0)
    frame.loc[::3, "segment"] = None
    file = tmp_path / "gaps.parquet"
    frame.to_parquet(file)
    encoder, _ = fit_encoder(Stored([file], 100), stored.schema, 14.0)
    assert encoder.categories["segment"] == sorted(frame["segment"].dropna().unique())


@pytest.mark.parametrize("harm", ["cut short", "missing"])
def test_a_file_that_is_not_whole_is_named(
    config: Config, whole: Examples, stored: Examples, harm: str
) -> None:
    assert stored.stored is not None
    file = stored.stored.files[1]
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    parts = parts_of(whole, config)
    with pytest.raises(UserError, match=file.name):
        fit_model(config.model, stored, parts, 1, 2)


def test_harm_while_the_library_reads_is_named(whole: Examples, stored: Examples) -> None:
    assert stored.stored is not None
    encoder, _ = fit_encoder(stored.stored, stored.schema, 14.0)
    file = stored.stored.files[2]
    file.write_bytes(file.read_bytes()[:-100])
    rows = StoredBatches(stored.stored.files, stored.schema, 14.0, encoder)
    with pytest.raises(UserError, match=file.name):
        xgb.QuantileDMatrix(rows, enable_categorical=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model=boosting", "boosting learnt from"),
        ("model=linear", "model=linear reads no files"),
        ("training.split.kind=stratified", "files are divided by time alone"),
    ],
)
def test_a_run_tells_what_it_learnt_from(change: str, words: str) -> None:
    overrides = [each for each in SOME if change != "model=linear" or "model" not in each]
    result = workflow.train(load_config([*overrides, change]))
    told = result.report("valid")
    assert "a sample of whole users" in told
    assert words in told
    rows = read_manifest(result.folder)["metrics"].get("rows_learnt")
    assert (rows is not None) == (change == "model=boosting")
    if rows is not None:
        assert rows > 2 * len(result.split.train)
        assert f"learnt from {rows:,} rows" in told


def test_an_evaluation_takes_the_same_sample() -> None:
    trained = workflow.train(load_config(SOME))
    judged = workflow.evaluate(load_config([f"evaluation.run={trained.run}"]))
    pd.testing.assert_frame_equal(judged.examples.frame, trained.examples.frame)
    assert judged.card is not None
    assert "a sample of the" in judged.card.read_text()


def test_the_same_time_bound_holds_for_another_sample() -> None:
    trained = workflow.train(load_config(SOME))
    split_later = ["training.split.valid=0.1", "training.split.test=0.6", "training.sample=3000"]
    with pytest.raises(UserError, match="has learnt from"):
        workflow.evaluate(load_config([f"evaluation.run={trained.run}", *split_later]))


def test_ranks_need_a_stage_that_has_them(
    config: Config, stored: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stored.stored is not None
    module = f"{features.__name__.partition('.')[0]}.training.ranks"
    monkeypatch.setitem(sys.modules, module, None)
    two = replace(stored, stored=replace(stored.stored, ranks=2))
    with pytest.raises(UserError, match="make grow STAGE=pipeline"):
        fit_model(config.model, two, parts_of(stored, config), 1, 2)


def test_cuda_needs_a_library_that_can(config: Config, whole: Examples) -> None:
    if xgb.build_info()["USE_CUDA"]:
        pytest.skip("this XGBoost is not the CPU build")
    with pytest.raises(UserError, match="xgboost in place of xgboost-cpu"):
        fit_model(config.model, whole, parts_of(whole, config), 1, 2, "cuda")


def test_boosting_learns_on_a_gpu(config: Config, stored: Examples) -> None:
    if not xgb.build_info()["USE_CUDA"]:
        pytest.skip("this XGBoost is the CPU build, as the project has it")
    parts = parts_of(stored, config)
    try:
        found = fit_model(config.model, stored, parts, 1, 2, "cuda")
    except UserError as error:
        pytest.skip(str(error))
    on_cpu = fit_model(config.model, stored, parts, 1, 2, "cpu")
    judged = stored.frame.iloc[parts.valid]
    assert np.corrcoef(found.predict(judged), on_cpu.predict(judged))[0, 1] > 0.99


_MEASURED = """
import json, sys
from pathlib import Path
from tests.memory import peak
from {{cookiecutter.package_name}}.config import EngineConfig
from {{cookiecutter.package_name}}.data.examples import Schema, Stored
from {{cookiecutter.package_name}}.training.stored import bins, fit_encoder, scratch

files, memory = [Path(name) for name in sys.argv[2:]], int(sys.argv[1])
names = {f"x{i}": "numeric" for i in range(20)}
schema = Schema("binary", "y", names, ["0", "1"], time="t")
stored = Stored(files, 0, EngineConfig(memory=memory))
before = peak()
encoder, rows = fit_encoder(stored, schema, 5.0)
with scratch(stored) as folder:
    matrix = bins(stored, schema, 5.0, encoder, rows, folder, nthread=2)
    print(json.dumps([type(matrix).__name__, matrix.num_row(), (peak() - before) // 1024]))
    del matrix
"""


@needs_peak
@pytest.mark.slow
def test_memory_is_bounded_by_the_configuration(tmp_path: Path) -> None:
    """3 million rows of 20 numbers: 480 MB as they are, 460 MB as bins."""
    random = np.random.default_rng(0)
    files = []
    for number in range(6):
        table = {f"x{i}": random.normal(size=500_000) for i in range(20)}
        table["x0"][::2] = np.nan  # bins of rows with gaps take more memory
        table |= {"y": random.integers(0, 2, 500_000), "t": np.zeros(500_000)}
        files.append(tmp_path / f"{number}.parquet")
        pq.write_table(pa.table(table), files[-1], row_group_size=100_000)
    found = {}
    for memory in (4000, 400):
        command = [sys.executable, "-c", _MEASURED, str(memory), *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
        kind, rows, more = json.loads(done.stdout)
        assert rows == 3_000_000
        found[kind] = more
    assert found["ExtMemQuantileDMatrix"] < 400
    assert found["ExtMemQuantileDMatrix"] < found["QuantileDMatrix"] < 1000


def test_words_are_read_as_dictionaries(stored: Examples) -> None:
    assert stored.stored is not None
    (first, *_) = read(stored.stored.files, "rows", ["device"], ["device"])
    assert pa.types.is_dictionary(first.schema.field("device").type)
