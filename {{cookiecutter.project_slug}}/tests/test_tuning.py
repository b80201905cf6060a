"""A search gives the same trials however it is run, and says what its best score is worth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from {{cookiecutter.package_name}} import tune as module
from {{cookiecutter.package_name}}.config import PROJECT_ROOT, Config, load_config
from {{cookiecutter.package_name}}.config.load import parse
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import find_run, read_manifest
from {{cookiecutter.package_name}}.training import rounds
from {{cookiecutter.package_name}}.training.tuning.launch import explore
from {{cookiecutter.package_name}}.training.tuning.search import Search
from {{cookiecutter.package_name}}.training.tuning.space import assign, read_space
from {{cookiecutter.package_name}}.tune import tune
from {{cookiecutter.package_name}}.workflow import train

PACKAGE = module.__name__.split(".")[0]
LINEAR = ["features=all", "model=linear", "tuning=linear", "seed=3", "evaluation.repeats=1"]
LINEAR += ["evaluation.folds=3"]
BOOSTED = ["features=all", "model=boosting", "tuning=boosting", "model.rounds=40", "seed=3"]
BOOSTED += ["training.threads=1"]
SPACE = ["data=shop", "features=all", "model=boosting", "tuning=boosting"]


def rows(count: int, seed: int, strength: float = 1.0) -> list[str]:
    """Four numbers, a day, and a class that the first two decide, the less the lower strength."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 4))
    chance = 1 / (1 + np.exp(-strength * (2 * x[:, 0] + x[:, 1] * x[:, 2])))
    label = np.where(random.random(count) < chance, "yes", "no")
    return [
        ",".join([*(f"{v:.4f}" for v in row), str(n * 40 // count), label[n]])
        for n, row in enumerate(x)
    ]


@pytest.fixture
def table(write_csv) -> list[str]:
    return write_csv("a,b,c,d,day,bought", rows(240, 1), "bought", "data.time=day")


def a_search(config: Config, folder: Path) -> Search:
    search = Search(folder / "x.journal", "minimize", read_space(config), config.tuning, 3)
    search.prepare()
    return search


def test_a_search_is_recorded_and_its_best_is_trained(table: list[str]) -> None:
    tuned = tune(load_config([*table, *LINEAR, "tuning.trials=6"]))
    manifest = read_manifest(tuned.folder)
    assert manifest["kind"] == "tune" and manifest["status"] == "succeeded"
    names = ["plots/search.png", "plots/tried.png", "trials.csv", "tuning.json"]
    assert sorted(manifest["outputs"]) == names
    assert [each.number for each in tuned.trials] == list(range(6))
    trained = read_manifest(find_run(tuned.trained))
    assert trained["config"]["overrides"] == tuned.overrides
    assert trained["model"] == tuned.model == manifest["model"]
    # What was claimed is what that run has, to the last digit: a trial is a training in short.
    assert trained["metrics"][f"valid.linear.{tuned.metric}"] == tuned.claimed
    assert tuned.claimed >= max(each.score or 0.0 for each in tuned.trials)
    assert "optimism" in tuned.report() and tuned.fresh.verdict in tuned.report()


def test_the_first_trial_is_the_configuration_as_it_stands(
    table: list[str], tmp_path: Path
) -> None:
    config = load_config([*table, *LINEAR, "model.l2=5000"])
    search = a_search(config, tmp_path)
    search.run(0, config, partial(module.validate, config))
    first = search.outcomes()[0]
    assert first.parameters == {"model.l2": 5000.0}  # outside the space, and scored all the same
    assert first.score == module.validate(config)


@pytest.mark.slow
def test_trials_do_not_depend_on_how_many_run_at_once(
    table: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def searched(jobs: int) -> list[object]:
        monkeypatch.setenv("RUNS_DIR", str(tmp_path / f"runs{jobs}"))
        options = ["tuning.trials=13", "tuning.warmup=3", f"tuning.jobs={jobs}"]
        return list(tune(load_config([*table, *BOOSTED, *options])).trials)

    alone, together = searched(1), searched(3)
    assert alone == together
    assert {"complete", "pruned"} == {each.state for each in alone}  # type: ignore[attr-defined]


def test_another_seed_is_another_search(table: list[str], tmp_path: Path) -> None:
    search = a_search(load_config([*table, *LINEAR]), tmp_path)
    values = [search.propose(number) for number in range(1, 4)]
    assert values == [search.propose(number) for number in range(1, 4)]
    assert len({each["model.l2"] for each in values}) == 3
    assert values[0] != replace(search, seed=4).propose(1)


def test_what_a_search_depends_on_names_it(table: list[str]) -> None:
    def key(*more: str) -> str:
        config = load_config([*table, *LINEAR, *more])
        return module._key(config, module._prepare(config)[0])

    assert key() == key("tuning.trials=9", "tuning.jobs=2", "training.threads=1")
    others = ["tuning.space.model.l2.high=10", "seed=4", "model.max_iterations=9"]
    assert len({key(), *map(key, others)}) == 4
    path = Path(table[1].partition("=")[2])
    before = key()
    path.write_text(path.read_text().replace("yes", "no", 1))
    module._prepared.clear()  # as a new process would have it
    assert key() != before


def test_test_rows_are_not_read(write_csv, tmp_path: Path) -> None:
    lines = rows(240, 1)
    found = []
    for upside_down in (False, True):
        swap = {"yes": "no", "no": "yes"} if upside_down else {}
        changed = [
            f"{start},{swap.get(end, end)}" if number >= 180 else f"{start},{end}"
            for number, (start, _, end) in enumerate(line.rpartition(",") for line in lines)
        ]
        data = write_csv("a,b,c,d,day,bought", changed, "bought", "data.time=day")
        tuned = tune(load_config([*data, *LINEAR, "tuning.trials=3"]))
        found.append((tuned.trials, tuned.fresh, tuned.model))
        module._prepared.clear()
    assert found[0] == found[1]


def test_what_does_worse_than_half_is_stopped(tmp_path: Path) -> None:
    config = load_config([*SPACE, "tuning.warmup=4", "tuning.batch=1"])
    search = a_search(config, tmp_path)

    def learn(loss: float) -> float:
        for number in range(10):
            rounds.report(number, loss / (number + 1))
        return loss

    for number in range(6):
        search.run(number, config, partial(learn, 1.0 + number))
    search.run(6, config, partial(learn, 9.0))
    search.run(7, config, partial(learn, 0.5))
    states = {n: (each.state, each.rounds) for n, each in search.outcomes().items()}
    assert states[6] == ("pruned", 5)  # after the warm-up, and not before
    assert states[7] == ("complete", 10)
    assert search.best() == search.outcomes()[7]
    without = replace(search, settings=replace(search.settings, pruner="none"))
    without.run(8, config, partial(learn, 9.0))
    assert without.outcomes()[8].state == "complete"


def test_boosting_says_how_each_round_went(table: list[str]) -> None:
    config, heard = load_config([*table, *BOOSTED]), []
    with rounds.listen(lambda number, loss: heard.append((number, loss))):
        train(config)
    assert [number for number, _ in heard] == list(range(len(heard)))
    assert 1 < len(heard) <= 40 and heard[0][1] > min(loss for _, loss in heard)

    def stop(number: int, loss: float) -> None:
        raise KeyError("enough")

    with rounds.listen(stop), pytest.raises(KeyError, match="enough"):
        train(config)


@pytest.mark.parametrize(
    ("space", "parts"),
    [
        ("seed: {low: 1, high: 9}", ["seed", "luck"]),
        ("data: {users: {low: 10, high: 90}}", ["data.users", "other rows"]),
        (
            "training: {split: {valid: {low: 0.1, high: 0.4}}}",
            ["training.split.valid", "other rows"],
        ),
        ("evaluation: {top_k: {low: 1, high: 9}}", ["evaluation.top_k", "another way"]),
        ("training: {threads: {low: 1, high: 9}}", ["training.threads", "does not depend"]),
        ("model: {lerning_rate: {low: 0.1, high: 0.2}}", ["model.lerning_rate", "'learning_rate'"]),
        ("model: {subsample: {low: 0.5, high: 1.5}}", ["model.subsample=1.5", "at most 1"]),
        ("model: {max_depth: {low: 2.5, high: 4}}", ["model.max_depth", "whole number"]),
        ("model: {max_depth: {low: 4, high: 2}}", ["model.max_depth", "higher high"]),
        ("model: {max_depth: {low: 4}}", ["model.max_depth", "low and a higher high"]),
        ("model: {max_depth: {lo: 4, high: 8}}", ["model.max_depth.lo", "'low'"]),
        ("model: {max_depth: 4}", ["model.max_depth", "no range"]),
        ("model: {max_depth: {choices: []}}", ["model.max_depth.choices", "list of values"]),
        ("model: {max_depth: {choices: [3, deep]}}", ["model.max_depth", "deep"]),
        ("model: {l2: {low: 0, high: 8, log: true}}", ["model.l2", "above 0"]),
        ("features: {include: {low: 0, high: 8}}", ["features.include", "choices"]),
        ("", ["no search space", "docs/tuning.md"]),
    ],
)
def test_a_mistake_in_a_space_is_named(space: str, parts: list[str]) -> None:
    overrides = ["~tuning.space", "+tuning.space={" + space + "}"]
    with pytest.raises(UserError) as caught:
        read_space(load_config([*SPACE, *overrides]))
    for part in ["conf/tuning/boosting.yaml", *parts]:
        assert part in str(caught.value)


def test_choices_may_be_lists(tmp_path: Path) -> None:
    space = "+tuning.space={features: {exclude: {choices: [[], ['hour']]}}}"
    config = load_config([*SPACE, "~tuning.space", space, "tuning.sampler=random"])
    search = a_search(config, tmp_path)
    tried = {tuple(assign(search.propose(number))) for number in range(1, 12)}
    assert tried == {("features.exclude=[]",), ('features.exclude=["hour"]',)}
    assert load_config([*SPACE, 'features.exclude=["hour"]']).features.exclude == ["hour"]


def fail(search: Search, wrong: tuple[int, ...], cfg: DictConfig) -> None:
    """A task of which some trials fail."""
    from hydra.core.hydra_config import HydraConfig

    number = int(HydraConfig.get().job.num)

    def objective() -> float:
        if number in wrong:
            raise ValueError(f"trial {number} broke")
        return 10.0 - number

    search.run(number, parse(cfg, []), objective)


def test_a_trial_that_fails_does_not_end_the_search(tmp_path: Path) -> None:
    overrides = [*SPACE, "tuning.trials=6"]
    search = a_search(load_config(overrides), tmp_path)
    trials = explore(search, partial(fail, search, (1, 4)), overrides, tmp_path)
    assert [each.number for each in trials if each.state == "failed"] == [1, 4]
    assert trials[4].error == "ValueError: trial 4 broke"
    best = search.best()
    assert best is not None and best.number == 5


def test_a_search_of_which_all_trials_fail_ends_and_says_why(tmp_path: Path) -> None:
    overrides = [*SPACE, "tuning.trials=9"]
    search = a_search(load_config(overrides), tmp_path)
    with pytest.raises(UserError, match="first 4 trials failed: ValueError: trial 0 broke"):
        explore(search, partial(fail, search, tuple(range(9))), overrides, tmp_path)
    search.prepare()
    assert not search.outcomes()  # whoever mended it begins anew


def test_a_search_without_progress_ends_by_its_patience(tmp_path: Path) -> None:
    overrides = [*SPACE, "tuning.trials=40", "tuning.patience=6"]
    search = a_search(load_config(overrides), tmp_path)
    up = replace(search, direction="maximize", path=tmp_path / "up.journal")
    up.prepare()
    assert len(explore(up, partial(fail, up, ()), overrides, tmp_path)) == 8


def test_half_a_line_of_a_killed_process_is_no_harm(tmp_path: Path) -> None:
    overrides = [*SPACE, "tuning.trials=4"]
    search = a_search(load_config(overrides), tmp_path)
    trials = explore(search, partial(fail, search, ()), overrides, tmp_path)
    with search.path.open("a") as file:
        file.write('{"op_code": 4, "wor')
    search.prepare()
    assert [search.outcomes()[number] for number in range(4)] == trials
    more = replace(search, settings=replace(search.settings, trials=8))
    assert explore(more, partial(fail, more, ()), overrides, tmp_path)[:4] == trials


@pytest.mark.slow
def test_a_search_that_was_interrupted_and_killed_goes_on(
    write_csv, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_csv("a,b,c,d,day,bought", rows(240, 1), "bought", "data.time=day")
    options = ["tuning.trials=24", "tuning.jobs=2", "model.rounds=1000", "tuning.warmup=5"]
    options += ["model.early_stopping=100", "training.threads=1", "evaluation.folds=2"]
    command = [sys.executable, "-m", f"{PACKAGE}.tune", *data, *BOOSTED, *options]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=PROJECT_ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def kept() -> list[str]:
        """The lines of the file of the search: one that begins it, and one a trial."""
        return [line for path in runs.glob("searches/*.journal") for line in path.open()]

    def wait_for(count: int) -> None:
        until = time.monotonic() + 60
        while len(kept()) < count:
            assert time.monotonic() < until
            time.sleep(0.02)

    first = start()
    wait_for(4)
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
    _, said = first.communicate(timeout=60)
    assert first.returncode == 130
    # A library that is interrupted in the middle of a call may have told of it before.
    assert "goes on where it was" in said.splitlines()[-1]
    assert read_manifest(find_run(next(runs.glob("*-tune-*")).name))["status"] == "interrupted"
    second = start()
    wait_for(len(kept()) + 5)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate(timeout=60)
    before = kept()
    third = start()
    _, said = third.communicate(timeout=120)
    assert third.returncode == 0, said
    assert f"{len(before) - 1} trials are there" in said
    after = kept()
    assert after[: len(before)] == before and len(after) == 25  # none was run again
    resumed = (find_run("latest", "tune") / "trials.csv").read_text()
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "undisturbed"))
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (find_run("latest", "tune") / "trials.csv").read_text() == resumed


@pytest.mark.slow
def test_of_noise_the_claim_is_too_good_and_fresh_splits_are_not(write_csv) -> None:
    claimed, fresh = [], []
    for seed in range(4):
        data = write_csv("a,b,c,d,day,bought", rows(400, seed, 0.0), "bought")
        options = ["tuning.trials=12", "tuning.warmup=9", "evaluation.folds=4"]
        more = ["evaluation.repeats=1", "features.exclude=[day]", f"seed={seed}"]
        tuned = tune(load_config([*data, *BOOSTED, *options, *more]))
        claimed.append(tuned.claimed)
        fresh.append(tuned.fresh.best)
        assert tuned.fresh.verdict != "better"
    assert np.mean(claimed) > 0.55
    assert abs(np.mean([each.mean for each in fresh]) - 0.5) < 0.05
    assert sum(each.low <= 0.5 <= each.high for each in fresh) >= 3


@pytest.mark.parametrize(("l2", "verdict"), [(300.0, "better"), (1.0, "no better")])
def test_settings_are_called_better_only_when_they_are(write_csv, l2: float, verdict: str) -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(300, 5))
    y = x @ [3.0, 2.0, 1.0, 0.0, 0.0] + random.normal(size=300)
    lines = [",".join(f"{value:.4f}" for value in [*row, t]) for row, t in zip(x, y, strict=True)]
    data = write_csv("a,b,c,d,e,y", lines, "y", "data.task=regression")
    tuned = tune(load_config([*data, *LINEAR, f"model.l2={l2}", "tuning.trials=8"]))
    assert tuned.metric == "rmse" and tuned.claimed <= (tuned.trials[0].score or 0.0)
    assert tuned.fresh.verdict == verdict
    assert tuned.fresh.gain.low > -0.05  # not worse, whichever it is
