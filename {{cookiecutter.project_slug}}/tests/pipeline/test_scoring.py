"""Batch scoring: the features of training, the same bytes however divided, and nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from {{cookiecutter.package_name}} import workflow
from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.data import shop as simulated
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.features import shop as declared
from {{cookiecutter.package_name}}.features.declared import Feature
from {{cookiecutter.package_name}}.runs import find_run, read_manifest, sha256
from {{cookiecutter.package_name}}.scoring import score
from {{cookiecutter.package_name}}.scoring import shop as of_users
from {{cookiecutter.package_name}}.scoring.candidates import retrieval
from {{cookiecutter.package_name}}.scoring.grain import grained
from {{cookiecutter.package_name}}.scoring.past import Moment, count, numbers, past_of
from {{cookiecutter.package_name}}.scoring.rows import Items, Rows
from {{cookiecutter.package_name}}.scoring.shop import items_of, with_counts

USERS = ["data=shop", "features=all", "data.users=150", "data.shard_users=40"]
QUICK = ["model=boosting", "model.rounds=12", "engine=local", "engine.workers=1"]
NAMES = [feature.name for feature in declared.FEATURES if feature.name != "position"]


class AsTheyAre:
    """A model that knows no codes: rows come to it as numbers of full precision."""

    def categories(self) -> None:
        return None


# Skew between training and scoring


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> tuple[simulated.Shop, pd.DataFrame]:
    """A small shop, and each impression with its features as training has them."""
    shop = simulated.simulate(
        load_config([*USERS, "data.visits=8"]).data,  # type: ignore[arg-type]
        tmp_path_factory.mktemp("shop"),
    )
    files = declared.build_shards(shop, declared.FEATURES, tmp_path_factory.mktemp("features"))
    rows = pd.concat(map(pd.read_parquet, shop.impressions), ignore_index=True)
    found = pd.concat(map(pd.read_parquet, files), ignore_index=True)
    assert rows[declared.KEY].equals(found[declared.KEY])
    return shop, found.assign(time=rows.time, price_cents=rows.price_cents)


def scored_features(shop: simulated.Shop, shown: pd.DataFrame, features: list[Feature]):
    """The features that scoring computes for one visit, as of the moment it began."""
    (user,), (at,), (device,) = (shown[name].unique() for name in ("user", "time", "device"))
    moment = Moment(int(at), int((at - shop.start) // simulated.DAY))
    items = items_of(shop.items)
    ids = numbers(items, "item")
    counts = [count(path, ids, moment) for path in shop.impressions]
    items = with_counts(items, sum(counts[1:], counts[0]))
    price = numbers(items, "list_price_cents").copy()
    price[shown["item"]] = shown["price_cents"]  # what it was sold for that day
    items = items.drop_columns("price_cents").append_column("price_cents", pa.array(price))
    shelf, ratio = numbers(items, "shelf"), numbers(items, "ratio")
    shard = int(user) // 40
    past = past_of(shop.users[shard], shop.impressions[shard], ids, shelf, ratio, device, moment)
    past = replace(past, device=pa.array([device] * len(past)))  # that of this visit
    rows = Rows(
        ibis.duckdb.connect(threads=1), grained(features), past, slice(0, len(past)),
        Items(items, shelf), moment, AsTheyAre(),  # type: ignore[arg-type]
    )  # fmt: skip
    place = int(user) % 40
    matrix = rows.matrix(slice(place, place + 1), shown["item"].to_numpy()[None, :])
    found = pd.DataFrame(matrix, columns=[feature.name for feature in features])
    for feature in features:
        if feature.kind == "categorical":
            words = [*rows._words[feature.name], None]
            found[feature.name] = [words[int(code)] for code in found[feature.name].fillna(-1)]
    return found


def test_features_are_those_of_training_for_every_impression_of_a_visit(trained_on) -> None:
    shop, rows = trained_on
    visits = list(rows.groupby(["user", "visit"], sort=True))
    first = [part for (_, visit), part in visits if visit == 0][:3]
    chosen = first + [part for _, part in visits[:: len(visits) // 20]]
    for shown in chosen:
        found = scored_features(shop, shown, declared.FEATURES)
        wanted = shown.reset_index(drop=True)
        for name in NAMES:
            pd.testing.assert_series_equal(
                found[name].astype(wanted[name].dtype), wanted[name], rtol=0, atol=0
            )
    assert any(part.user_price_ratio.notna().all() for part in chosen)  # some have a past


def test_a_feature_that_crosses_users_and_items_is_computed_for_each_pair(trained_on) -> None:
    shop, rows = trained_on
    crossed = Feature("dear", "numeric", "", lambda t: t.price_cents / (t.user_shown + 1))
    later = rows[rows.visit == 3]
    shown = later[later.user == later.user.iloc[0]]
    found = scored_features(shop, shown, [crossed])
    assert np.array_equal(found["dear"], shown.price_cents / (shown.user_shown + 1))


def test_a_feature_of_other_rows_or_unknown_columns_is_refused_by_name() -> None:
    ever = Feature("ever", "numeric", "", lambda t: t.click.sum().over(group_by="user"))
    with pytest.raises(UserError, match="the feature ever needs 'click'"):
        grained([ever])
    seen = Feature("seen", "numeric", "", lambda t: t.user_shown.sum().over(group_by="user"))
    with pytest.raises(UserError, match="the feature seen looks at other rows"):
        grained([seen])


def test_candidates_are_as_many_as_asked_for_all_different_and_what_a_user_likes() -> None:
    random = np.random.default_rng(0)
    shelf, clicks = random.integers(0, 5, 60), random.integers(0, 99, 60)
    for size in (1, 7, 20, 59, 60, 90):
        chosen = retrieval(shelf, clicks, size)
        shown = random.integers(0, 30, (40, 5))
        found = chosen.candidates(shown, shown * random.integers(0, 2, (40, 5)))
        assert found.shape == (40, min(size, 60))
        assert (np.diff(found, axis=1) > 0).all()
    likes = np.zeros((1, 5), dtype=np.int64)
    likes[0, 3] = 9
    found = retrieval(shelf, clicks, 10).candidates(likes, likes)
    assert (shelf[found] == 3).sum() >= 3


# The shop


@pytest.fixture(scope="module")
def runs_of_shop(tmp_path_factory: pytest.TempPathFactory):
    """A folder of runs with a model of the shop; tests have their own otherwise."""
    folder = tmp_path_factory.mktemp("runs")
    before = os.environ.get("RUNS_DIR")
    os.environ["RUNS_DIR"] = str(folder)
    workflow.train(load_config([*USERS, *QUICK]))
    if before is None:
        del os.environ["RUNS_DIR"]
    return folder


@pytest.fixture
def shop_runs(runs_of_shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNS_DIR", str(runs_of_shop))
    return runs_of_shop


def bytes_of(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.glob("*.parquet"))}


def test_each_user_has_the_best_items_in_order_and_the_run_tells_of_it(shop_runs: Path) -> None:
    result = score(load_config([*QUICK, "scoring.top_k=4"]))
    rows = pd.concat(map(pd.read_parquet, result.files), ignore_index=True)
    assert list(rows.columns) == ["user", "rank", "item", "score"]
    assert len(rows) == result.rows == 150 * 4
    assert rows.user.tolist() == np.repeat(np.arange(150), 4).tolist()
    for _, of in rows.groupby("user"):
        assert of["rank"].tolist() == [1, 2, 3, 4]
        assert of["item"].is_unique
        order = of.sort_values(["score", "item"], ascending=[False, True])
        assert order["item"].tolist() == of["item"].tolist()
    manifest = read_manifest(find_run("latest", "score"))
    assert manifest["model"] == result.model
    assert "speed.json" in manifest["records"]
    summary = json.loads((find_run("latest", "score") / "scores.json").read_text())
    assert {n: each["sha256"] for n, each in summary["files"].items()} == bytes_of(result.folder)


@pytest.mark.parametrize("model", ["linear", "popularity"])
def test_models_without_codes_score_the_same_way(model: str, runs: Path) -> None:
    workflow.train(load_config([*USERS, *QUICK[2:], f"model={model}"]))
    rows = pd.concat(map(pd.read_parquet, score(load_config(QUICK[2:])).files))
    assert len(rows) == 150 * 5
    assert rows.score.between(0, 1).all()


def test_batches_and_workers_change_no_byte(
    shop_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_users, "_FEW", 0)  # for workers, however few
    found = []
    for workers, batch in ((1, 16_384), (1, 21), (3, 100)):
        folder = tmp_path / f"{workers}-{batch}"
        settings = [f"engine.workers={workers}", f"scoring.batch={batch}"]
        score(load_config([*QUICK, *settings, f"scoring.output={folder}"]))
        found.append(bytes_of(folder))
    assert len(found[0]) == 4
    assert found[0] == found[1] == found[2]


def test_what_is_there_is_kept_and_what_is_missing_made(shop_runs: Path) -> None:
    first = score(load_config(QUICK))
    kept = {path: path.stat().st_mtime_ns for path in first.files}
    before = bytes_of(first.folder)
    again = score(load_config(QUICK))
    assert again.predicted == 0
    assert "nothing to do" in again.report()
    first.files[1].unlink()
    third = score(load_config(QUICK))
    assert third.predicted == 40 * 20
    assert bytes_of(third.folder) == before
    others = [path for path in first.files if path != first.files[1]]
    assert all(path.stat().st_mtime_ns == kept[path] for path in others)


def test_a_folder_never_mixes_two_models(shop_runs: Path, tmp_path: Path) -> None:
    settings = [*QUICK, f"scoring.output={tmp_path / 'scores'}"]
    first = score(load_config(settings))
    before = bytes_of(first.folder)
    second = score(load_config([*settings, "scoring.as_of=20"]))
    after = bytes_of(second.folder)
    assert second.predicted == 150 * 20
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    (tmp_path / "mine").mkdir()
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "mine" / "shard-00000.parquet")
    with pytest.raises(UserError, match="no file of scores"):
        score(load_config([*settings, f"scoring.output={tmp_path / 'mine'}"]))
    assert (tmp_path / "mine" / "shard-00000.parquet").exists()


def test_a_killed_run_goes_on_at_its_partition(shop_runs: Path, tmp_path: Path) -> None:
    whole = score(load_config([*QUICK, f"scoring.output={tmp_path / 'whole'}"]))
    folder = tmp_path / "killed"
    arguments = [*QUICK, "scoring.batch=20", f"scoring.output={folder}"]
    code = (
        "import sys, time\n"
        "from {{cookiecutter.package_name}}.scoring import score, shop\n"
        "from {{cookiecutter.package_name}}.config import load_config\n"
        "once = shop.write\n"
        "def slowly(*given):\n"
        "    once(*given); time.sleep(0.5)\n"
        "shop.write = slowly\n"
        f"score(load_config({arguments!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not list(folder.glob("shard-*.parquet")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = list(folder.glob("shard-*.parquet"))
    assert 0 < len(there) < 4
    assert not (folder / "scores.json").exists()
    result = score(load_config(arguments))
    assert result.predicted == 20 * (150 - 40 * len(there))
    assert bytes_of(folder) == bytes_of(whole.folder)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".writing")] == []


def test_a_feature_that_is_declared_no_more_is_named(
    shop_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = [feature for feature in declared.FEATURES if feature.name != "taste_lift"]
    monkeypatch.setattr(declared, "FEATURES", fewer)
    with pytest.raises(UserError, match="does not declare: taste_lift"):
        score(load_config(QUICK))


def test_a_model_that_was_changed_since_is_refused(runs: Path) -> None:
    result = workflow.train(load_config([*USERS, *QUICK]))
    file = result.folder / "model" / "model.json"
    file.write_text(file.read_text().replace('"format"', '"format" '))
    with pytest.raises(UserError, match=r"model\.json: changed since"):
        score(load_config(QUICK))


def test_a_day_beyond_the_end_is_refused(shop_runs: Path) -> None:
    with pytest.raises(UserError, match="has 28 days"):
        score(load_config([*QUICK, "scoring.as_of=29"]))


def test_the_future_changes_no_score(shop_runs: Path, tmp_path: Path) -> None:
    """Scores as of a day are the same when all days from it on are another shop's."""
    at = [*QUICK, "scoring.as_of=14"]
    now = score(load_config([*at, f"scoring.output={tmp_path / 'now'}"]))
    drifted = [*USERS, *at, "data.drift.day=14", f"scoring.output={tmp_path / 'drifted'}"]
    other = score(load_config(drifted))
    one, two = (pd.concat(map(pd.read_parquet, each.files)) for each in (now, other))
    pd.testing.assert_frame_equal(one, two)


# Tables


def orders(rows: int, seed: int = 0, first: str = "2024-02-01") -> pd.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    word = random.choice(["red", "green", "blue"], rows)
    when = pd.Timestamp(first) + pd.to_timedelta(random.integers(0, 300 * 24, rows), unit="h")
    noise = random.normal(size=rows)
    late = (when - pd.Timestamp("2024-06-01")).days / 100
    score = x + (word == "red") + late + noise
    number = np.arange(rows) + 1000 * seed
    frame = pd.DataFrame({"order": number, "x": x, "word": word, "when": when})
    frame["gift"] = random.random(rows) < 0.3
    frame.loc[::13, "x"] = np.nan
    frame.loc[::17, "word"] = None
    frame.loc[::19, "when"] = pd.NaT
    frame["y"] = np.where(score > 0, "yes", "no")
    return frame.assign(amount=score, size=np.digitize(score, [-1, 1]))


@pytest.fixture
def adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Train on a table; the overrides that do so, with a contract that is written."""
    from {{cookiecutter.package_name}}.data.contracts import write_contract
    from {{cookiecutter.package_name}}.data.ingest import ingest

    def train(frame: pd.DataFrame, target: str, *more: str) -> list[str]:
        others = [name for name in ("y", "amount", "size") if name != target]
        path, contract = tmp_path / "orders.parquet", tmp_path / "orders.yaml"
        frame.drop(columns=others).to_parquet(path, index=False)
        overrides = ["data=table", f"data.path={path}", f"data.target={target}", "data.id=[order]"]
        overrides += ["features=all", *(more or QUICK[:2])]
        config = load_config(overrides)
        write_contract(ingest(config.data).contract, contract)  # type: ignore[arg-type]
        overrides.append(f"data.contract={contract}")
        workflow.train(load_config(overrides))
        return overrides

    return train


def predictions(result) -> pd.DataFrame:
    return pd.concat(map(pd.read_parquet, result.files), ignore_index=True)


@pytest.mark.parametrize("model", [QUICK[:2], ["model=linear"]], ids=["boosting", "linear"])
@pytest.mark.parametrize("target", ["y", "amount", "size"])
def test_rows_scored_at_once_in_parts_and_alone_are_those_of_training(
    adopted, target: str, model: list[str], tmp_path: Path
) -> None:
    adopted(orders(400), target, *model)
    run = find_run("latest", "train")
    own = pd.read_parquet(run / "predictions.parquet").sort_values("#row")
    names = [name for name in own if name.startswith("prediction")]
    whole = predictions(score(load_config([])))
    assert whole["order"].tolist() == list(range(400))
    assert list(whole.columns) == ["order", "row", *names]
    same = np.array_equal if "boosting" in model[0] else nearly  # sums of BLAS differ by shape
    assert same(whole.loc[own["#row"], names].to_numpy(), own[names].to_numpy())
    alone = predictions(score(load_config(["scoring.batch=1", f"scoring.output={tmp_path / 'a'}"])))
    assert same(alone[names].to_numpy(), whole[names].to_numpy())
    given = pd.read_parquet(tmp_path / "orders.parquet").drop(columns=target)
    seven = score(load_config([f"scoring.input={divided(given, 7, tmp_path / 'seven')}"]))
    assert len(seven.files) == 7
    assert same(predictions(seven)[names].to_numpy(), whole[names].to_numpy())
    few = divided(given.iloc[::37], 11, tmp_path / "rows")  # files of one row
    each = predictions(score(load_config([f"scoring.input={few}"])))
    assert same(each[names].to_numpy(), whole.loc[::37, names].to_numpy())


def nearly(one: np.ndarray, two: np.ndarray) -> bool:
    return np.allclose(one, two, rtol=0, atol=1e-12)


def divided(frame: pd.DataFrame, parts: int, folder: Path) -> Path:
    """Rows as so many files of one folder."""
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), parts)):
        frame.iloc[rows].to_parquet(folder / f"part-{number:03d}.parquet", index=False)
    return folder


def test_a_part_that_is_corrected_is_scored_again_and_no_other(adopted, tmp_path: Path) -> None:
    adopted(orders(300), "y")
    given = orders(90, seed=1).drop(columns=["y", "amount", "size"])
    folder = divided(given, 3, tmp_path / "new")
    settings = [f"scoring.input={folder}"]
    first = score(load_config(settings))
    before = bytes_of(first.folder)
    given.iloc[30:60].assign(x=0.0).to_parquet(folder / "part-001.parquet", index=False)
    second = score(load_config(settings))
    assert second.predicted == 30
    after = bytes_of(second.folder)
    assert [name for name in after if after[name] != before[name]] == ["part-001.parquet"]
    (folder / "part-000.parquet").unlink()
    assert set(bytes_of(score(load_config(settings)).folder)) == {*after} - {"part-000.parquet"}


def test_rows_that_break_the_contract_are_set_aside_and_the_target_is_not_looked_at(
    adopted, tmp_path: Path
) -> None:
    adopted(orders(300), "y")
    contract = tmp_path / "orders.yaml"
    contract.write_text(contract.read_text().replace("policy: stop", "policy: set_aside"))
    given = orders(60, seed=1).drop(columns=["amount", "size"]).assign(y=None)
    given["order"] = given["order"].astype(object)
    given.loc[[3, 40], "order"] = "oops"
    folder = tmp_path / "new"
    folder.mkdir()
    for number, rows in enumerate((slice(0, 30), slice(30, 60))):
        given.iloc[rows].astype({"order": str}).to_csv(folder / f"{number}.csv", index=False)
    result = score(load_config([f"scoring.input={folder}"]))
    assert result.rows == 58
    assert any("2 of 60 rows set aside" in note for note in result.notes)
    aside = pd.concat(map(pd.read_parquet, (tmp_path / "data" / "quarantine").rglob("*.parquet")))
    assert [list(each) for each in aside["#reasons"]] == [["order: type"]] * 2
    found = predictions(result)
    assert set(found["order"]) == set(range(1000, 1060)) - {1003, 1040}


def test_what_the_model_needs_and_the_rows_lack_is_named(adopted, tmp_path: Path) -> None:
    adopted(orders(300), "y")
    given = orders(20, seed=1).drop(columns=["y", "amount", "size", "when"])
    given.to_parquet(tmp_path / "new.parquet", index=False)
    with pytest.raises(UserError, match="missing: when"):
        score(load_config([f"scoring.input={tmp_path / 'new.parquet'}"]))
    contract = tmp_path / "orders.yaml"
    lines = contract.read_text().splitlines(keepends=True)
    contract.write_text("".join(line for line in lines if not line.strip().startswith("when:")))
    with pytest.raises(UserError, match="lacks: when_day, when_weekday, when_hour"):
        score(load_config([f"scoring.input={tmp_path / 'new.parquet'}"]))
