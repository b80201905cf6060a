"""Every option composes, and a mistake is answered with the key and what would be valid."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from {{cookiecutter.package_name}}.config import CONF, load_config
from {{cookiecutter.package_name}}.errors import UserError

NEEDS = {("data", "table"): ["data.path=x.csv", "data.target=y"]}
OPTIONS = sorted(
    (path.parent.name, path.stem)
    for path in CONF.glob("*/*.yaml")
    if path.parent.name != "contracts"  # of tables; no options
)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes(group: str, option: str) -> None:
    config = load_config([f"{group}={option}", *NEEDS.get((group, option), [])])
    assert config.overrides[0] == f"{group}={option}"


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model=lienar", ["model=lienar", "boosting, linear, neural, popularity", "'linear'"]),
        ("model.lerning_rate=1", ["model.lerning_rate", "'learning_rate'", "max_depth"]),
        ("seeed=1", ["seeed", "'seed'"]),
        ("data.foo.bar=1", ["data.foo", "users"]),
        ("+foo=1", ["foo", "training"]),
        ("+data.drift.foo=1", ["data.drift.foo", "strength"]),
        ("model.max_depth=deep", ["model.max_depth", "deep", "a whole number"]),
        ("seed=x", ["seed", "'x'", "a whole number"]),
        ("model.max_depth=0", ["model.max_depth=0", "1 to 30"]),
        ("training.split.kind=tiem", ["training.split.kind=tiem", "time, group"]),
        ("data.kind=shpo", ["data.kind=shpo", "'shop'"]),
        ("data=table", ["data.path", "is needed"]),
        ("seed", ["seed", "KEY=VALUE"]),
        ("data.start=é", ["data.start", "'data.start=\"é\"'"]),
        ("training.split.valid=0.89", ["leave nothing to train on"]),
        ("jobs.onyl=x", ["jobs.onyl", "'only'"]),
        ("jobs.engine=kernal", ["jobs.engine=kernal", "kernel or inprocess"]),
        ("jobs.only=5", ["jobs.only", "a list, such as [a, b]"]),
        ("jobs.graph.train_model.timeout=x", ["jobs.graph.train_model.timeout", "a number"]),
        ("jobs.graph.train_model.retries=1", ["+jobs.graph.train_model.retries=VALUE"]),
        ("+jobs.graph.train_model.retry=1", ["jobs.graph.train_model.retry", "'retries'"]),
    ],
)
def test_a_mistake_names_the_key_and_what_is_valid(override: str, parts: list[str]) -> None:
    group = override.partition("=")[0]
    chosen = [each for each in ("data=shop", "model=boosting") if not each.startswith(f"{group}=")]
    with pytest.raises(UserError) as error:
        load_config([*chosen, override])
    for part in parts:
        assert part in str(error.value)


def test_the_overrides_are_part_of_the_configuration() -> None:
    assert load_config(["seed=7"]).to_dict()["overrides"] == ["seed=7"]


def test_what_would_run_can_be_read_back() -> None:
    config = load_config(["data=shop", "seed=7", "jobs.from=[train_model]"])
    written = OmegaConf.to_container(OmegaConf.create(config.to_yaml()))
    assert written == config.to_dict()
    assert config.to_dict()["jobs"]["from"] == ["train_model"]


def test_one_name_is_a_list_of_one() -> None:
    config = load_config(["jobs.only=train_model", "jobs.graph.train_model.needs=explore_data"])
    assert config.jobs.only == ["train_model"]
    assert config.jobs.graph["train_model"].needs == ["explore_data"]
