"""Ray and Spark, each a real cluster of two workers here: the results are those of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT, EngineConfig, ShopConfig
from {{cookiecutter.package_name}}.engines import Engine, open_engine
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import sha256
from {{cookiecutter.package_name}}.training.gang import Job, fit_gang

from .. import engine_work as work
from . import gang_work

pytestmark = pytest.mark.slow

# Two Python workers of one JVM; two JVMs with a Python worker each.
SPARK = {"spark": None, "spark-cluster": "local-cluster[2,1,1024]"}


def needs(name: str) -> None:
    """Skip where the group of an engine is not installed. Ray, once imported, hears no settings."""
    if find_spec({"spark": "pyspark"}.get(name, name)) is None:
        pytest.skip(f"the group {name} is not installed")


@pytest.fixture(scope="module", params=["local", "ray", "spark", "spark-cluster"])
def config(request: pytest.FixtureRequest) -> EngineConfig:
    name = request.param.partition("-")[0]
    if name != "local":
        needs(name)
    return EngineConfig(name=name, workers=2, memory=700, address=SPARK.get(request.param))


@pytest.fixture(scope="module")
def engine(config: EngineConfig) -> Iterator[Engine]:
    with open_engine(config) as opened:
        yield opened


def test_results_come_in_the_order_of_the_items(engine: Engine) -> None:
    assert engine.map(work.square, range(12), "squares") == [n * n for n in range(12)]
    assert len({pid for pid, _ in engine.map(work.whoami, range(8), "asking")}) > 1
    assert engine.map(work.square, [], "squares") == []


def test_a_killed_worker_is_replaced_and_its_item_done_again(
    engine: Engine, tmp_path: Path
) -> None:
    items = [(tmp_path, number) for number in range(8)]
    assert engine.map(work.die_once, items, "x") == [number * number for _, number in items]
    assert len((tmp_path / "done-3").read_text().splitlines()) == 2


def test_an_item_that_always_kills_its_worker_is_named(engine: Engine) -> None:
    with pytest.raises(UserError, match="copying: 'the bad one' ended its worker 3 times"):
        engine.map(work.always_die, ["one", "the bad one", "two"], "copying")
    assert engine.map(work.square, [1, 2], "squares") == [1, 4]  # the engine goes on


def test_errors_pass_as_they_are(engine: Engine) -> None:
    with pytest.raises(UserError, match=r"^number 2: mend it in the file$"):
        engine.map(work.refuse, range(4), "x")
    with pytest.raises(ZeroDivisionError) as caught:
        engine.map(work.fail, range(4), "x")
    assert "return 1 / (number - 2)" in "".join(caught.value.__notes__)


def test_shards_of_the_shop_are_the_same_bytes(engine: Engine, tmp_path: Path) -> None:
    config = ShopConfig(users=60)
    jobs = [(config, tmp_path, first, first + 20) for first in range(0, 60, 20)]
    here = [sha256(work.simulate(job)) for job in jobs]
    for _, folder, first, _ in jobs:
        (folder / f"{first}.parquet").unlink()
    assert [sha256(path) for path in engine.map(work.simulate, jobs, "simulating")] == here


def test_ranks_of_a_gang_add_up(engine: Engine) -> None:
    assert engine.gang(gang_work.add_up, [1.0, 10.0], 2) == [(0, 2, 11.0), (1, 2, 11.0)]


def test_a_gang_that_fails_says_why(engine: Engine) -> None:
    with pytest.raises(UserError, match="rank 1 has no rows"):
        engine.gang(gang_work.fail_together, None, 2)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("rows")
    files = [gang_work.write_rows(folder / f"{n}.npy", n) for n in range(5)]
    watched = [gang_work.write_rows(folder / f"watched-{n}.npy", 10 + n) for n in range(2)]
    parameters = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "subsample": 0.8,
        "seed": 7,
        "nthread": 1,
    }
    return Job(files, watched, gang_work.Rows, gang_work.Rows, parameters, 60, 5)


@pytest.fixture(scope="module")
def here(job: Job) -> bytes:
    return fit_gang(EngineConfig(name="local"), job, 2).booster


def test_a_gang_learns_the_same_model_on_every_engine(
    config: EngineConfig, engine: Engine, job: Job, here: bytes
) -> None:
    fitted = fit_gang(config, job, 2)
    assert fitted.booster == here
    losses = fitted.history["valid"]
    assert losses[-1] < 0.5 * losses[0]


def test_a_killed_rank_leads_to_the_same_model(
    config: EngineConfig, engine: Engine, job: Job, here: bytes, tmp_path: Path
) -> None:
    """It is killed when it reads its rows for the first time, while the others wait for it."""
    marked = Job(**{**vars(job), "batches": partial(gang_work.DyingRows, tmp_path / "died")})
    assert fit_gang(config, marked, 2).booster == here
    assert (tmp_path / "died").exists()


_BELOW = """
from {{cookiecutter.package_name}}.config import EngineConfig
from {{cookiecutter.package_name}}.engines import open_engine
from tests import engine_work as work
with open_engine(EngineConfig(name="ray", workers=1, memory=700)) as engine:
    print(engine.map(work.square, [3], "squares"))
"""


def test_ray_has_workers_below_uv_run_too(tmp_path: Path) -> None:
    """It would start them by the same command in a copy of this folder, where there is no uv."""
    needs("ray")
    if (uv := shutil.which("uv")) is None:
        pytest.skip("uv is not on the PATH")
    (tmp_path / "uv").symlink_to(uv)
    command = ["./uv", "run", "--no-sync", "--project", PROJECT_ROOT, "python", "-c", _BELOW]
    paths = os.pathsep.join([str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "[9]\n", done.stderr


def test_a_gang_learns_from_the_rows_of_all_ranks(job: Job, here: bytes) -> None:
    alone = fit_gang(EngineConfig(name="local"), job, 1).booster
    half = Job(**{**vars(job), "files": job.files[::2]})
    rows = np.concatenate([np.load(path) for path in job.watched])
    loss = {
        name: gang_work.loss(booster, rows)
        for name, booster in [
            ("alone", alone),
            ("together", here),
            ("half", fit_gang(EngineConfig(name="local"), half, 1).booster),
        ]
    }
    assert abs(loss["together"] - loss["alone"]) < abs(loss["half"] - loss["alone"])


def test_more_ranks_than_files_are_refused(job: Job) -> None:
    with pytest.raises(UserError, match=r"training.ranks=3: the rows lie in 2 files"):
        fit_gang(EngineConfig(name="local"), job, 3)


@pytest.mark.parametrize(
    ("name", "address"), [("ray", "127.0.0.1:1"), ("spark", "spark://127.0.0.1:1")]
)
def test_a_cluster_that_does_not_answer_is_named(name: str, address: str) -> None:
    needs(name)
    absent = open_engine(EngineConfig(name=name, address=address))
    with pytest.raises(UserError, match=f"engine.address={address}: nothing answers"), absent:
        pass
