"""Clicks of orders that nobody saw: against the truth, which only a simulation knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{cookiecutter.package_name}}.config import Config, ShopConfig, load_config
from {{cookiecutter.package_name}}.data import simulation as shop
from {{cookiecutter.package_name}}.data.examples import Schema
from {{cookiecutter.package_name}}.data.hashing import below, draw, mixed, normal
from {{cookiecutter.package_name}}.evaluation.intervals import Resamples, resample
from {{cookiecutter.package_name}}.evaluation.product import Product, attention, unplaced
from {{cookiecutter.package_name}}.training import seeds
from {{cookiecutter.package_name}}.training.models import fit_model
from {{cookiecutter.package_name}}.workflow import prepare, train

from .conftest import SHOP, SMALL

LOGGED = Schema("binary", "y", {}, ["no", "yes"], group="user", ranking="list", position="place")
K = 4


def log(seed: int, lists: int, size: int = 8) -> tuple[pd.DataFrame, Any, Any]:
    """Lists in random order, what each row is worth, and the chance that each place is looked at:
    a click needs both."""
    random = np.random.default_rng(seed)
    seen = 1 / (1 + 0.35 * np.arange(size))
    place = np.tile(np.arange(size), lists)
    lists_of = np.repeat(np.arange(lists), size)
    worth = random.beta(1, 5, lists * size)
    clicks = (random.random(len(place)) < worth * seen[place]).astype(int)
    frame = pd.DataFrame({"user": lists_of // 3, "list": lists_of, "place": place, "y": clicks})
    return frame, worth, seen


def new_places(frame: pd.DataFrame, scores: Any) -> Any:
    order = np.lexsort((-scores, frame.list))
    place = np.empty(len(frame), dtype=int)
    place[order] = frame.place.to_numpy()[np.lexsort((frame.place, frame.list))]
    return place


def estimate(frame: pd.DataFrame, train: pd.DataFrame, said: Any, of_train: Any) -> Any:
    drawn = resample(frame, LOGGED, np.random.default_rng(1))
    random = np.random.default_rng(2)
    seen = attention(train, of_train, np.zeros(len(train)), LOGGED, random, 200)
    return Product(frame, said, LOGGED, seen, drawn, K), drawn


def test_the_logged_order_has_the_clicks_that_were_logged() -> None:
    frame, worth, _ = log(1, 300)
    judge, _ = estimate(frame, frame, worth, worth)
    value, _ = judge.judge(judge.logged)
    first = frame[frame.place < K]
    assert value == pytest.approx(1000 * first.y.mean())
    shuffled = frame.sample(frac=1, random_state=1)
    judge, _ = estimate(shuffled, frame, worth[shuffled.index], worth)
    assert judge.judge(judge.logged)[0] == pytest.approx(value)


def test_attention_is_found_again() -> None:
    frame, worth, seen = log(2, 20_000)
    found = attention(frame, worth, np.zeros(len(frame)), LOGGED, np.random.default_rng(1), 50)
    ratio = found.places / seen
    assert np.abs(ratio / ratio.mean(axis=1, keepdims=True) - 1).max() < 0.12


def test_items_that_are_shown_first_do_not_make_places_look_good() -> None:
    frame, _, seen = log(3, 20_000)
    random = np.random.default_rng(3)
    # Good items lie on top more often than not, and are known by their number.
    item = np.where(random.random(len(frame)) < 0.8, frame.place >= K, frame.place < K).astype(int)
    worth = np.array([0.5, 0.1])[item]
    place = frame.place.to_numpy()
    logged = frame.assign(y=(random.random(len(frame)) < worth * seen[place]).astype(int))
    flat = np.full(len(frame), 0.2)
    for known, close in ((item.astype(float), True), (np.zeros(len(frame)), False)):
        found = attention(logged, flat, known, LOGGED, np.random.default_rng(1), 50).places[0]
        off = np.abs(found / found.mean() / (seen / seen.mean()) - 1).max()
        assert (off < 0.12) == close


def test_ties_earn_the_average_of_their_places() -> None:
    frame, worth, _ = log(4, 200)
    judge, _ = estimate(frame, frame, worth, worth)
    constant, resampled = judge.judge(np.ones(len(frame)))
    random = np.random.default_rng(5)
    orders = [judge.judge(random.random(len(frame)))[0] for _ in range(300)]
    assert constant == pytest.approx(np.mean(orders), rel=0.02)
    assert resampled is not None and np.isfinite(resampled).all()


def test_the_model_is_asked_without_the_place() -> None:
    frame, _, _ = log(5, 10)
    used = Schema("binary", "y", {"place": "numeric"}, ["no", "yes"], position="place")
    assert (unplaced(frame, used).place == 0).all()
    assert unplaced(frame, LOGGED) is frame


def chance(config: ShopConfig, frame: pd.DataFrame, place: Any) -> Any:
    """The probability of 2**32 of a click on rows of the shop, were they shown at ``place``."""
    world, users = shop._World(config), mixed(np.arange(config.users))
    visits = shop._visits(world, users)
    time, device = visits.time, visits.device
    pairs = zip(visits.who.tolist(), visits.number.tolist(), strict=True)
    number = {pair: i for i, pair in enumerate(pairs)}
    user, item = frame.user.to_numpy(), frame["item"].to_numpy()
    row = np.array([number[p] for p in zip(user.tolist(), frame.visit.tolist(), strict=True)])
    day = (time[row] - shop.start_second(config)) // shop.DAY
    promoted = below(draw(config.seed, "promotion", item, day // 7), 10) == 0
    logit = (
        shop._BASE_LOGIT
        + shop._taste(world, users, user, day, world.category[item])
        + normal(draw(config.seed, "quality", item)) * 500 // 1000
        - shop._price_sensitivity(config.seed, mixed(user))
        * shop._price_level(config, item)
        // 1000
        + np.where(promoted, 400, 0)
        + np.array([0, 150, -100])[device[row]]
        + np.where((time[row] % shop.DAY) // 3600 >= 18, 200, 0)
        - 30 * place
    )
    return shop._SIGMOID[np.clip(logit, -shop._LOGIT_LIMIT, shop._LOGIT_LIMIT) + shop._LOGIT_LIMIT]


def shop_log(config: Config) -> tuple[Any, ...]:
    """The test rows of a shop, what judges orders of them, and the orders to judge by name."""
    examples, parts = prepare(config)
    model, baseline = (
        fit_model(each, examples, parts, 1, 2)
        for each in (config.model, load_config(["model=popularity", *SHOP]).model)
    )
    frame, logged = (examples.frame.iloc[rows] for rows in (parts.test, parts.train))
    said = [model.predict(unplaced(each, examples.schema)) for each in (frame, logged)]
    seen = attention(
        logged, said[1], baseline.predict(logged), examples.schema, seeds.stream(1, "a"), 200
    )
    drawn = resample(frame, examples.schema, seeds.stream(1, "b"), 200)
    judge = Product(frame, said[0], examples.schema, seen, drawn, 10)
    orders = {"model": said[0], "popular": baseline.predict(frame), "logged": judge.logged}
    return frame, judge, drawn, orders


def true_clicks(config: ShopConfig, frame: pd.DataFrame, scores: Any, k: int = 10) -> float:
    named = frame.assign(list=frame.slate, place=frame.position)
    order = np.lexsort((-scores, frame.slate))
    lists = frame.slate.to_numpy()[order]
    rank = np.empty(len(frame), dtype=int)
    rank[order] = np.arange(len(order)) - np.searchsorted(lists, lists)
    chances = chance(config, frame, new_places(named, scores)) / 2**32
    return float(1000 * chances[rank < k].mean())


def test_the_truth_of_the_shop_lies_within() -> None:
    config = load_config([*SHOP, "data.users=800", "data.seed=7", "model=linear"])
    assert isinstance(config.data, ShopConfig)
    frame, judge, drawn, orders = shop_log(config)
    bits = draw(
        config.data.seed, "click", *(frame[n].to_numpy() for n in ("user", "visit", "position"))
    )
    logged = chance(config.data, frame, frame.position.to_numpy())
    assert ((bits >> np.uint64(32) < logged) == (frame.click == 1)).all()  # the truth is the shop's
    assert_within(config.data, frame, judge, drawn, orders)


def assert_within(
    config: ShopConfig, frame: pd.DataFrame, judge: Product, drawn: Resamples, orders: Any
) -> None:
    truth = {name: true_clicks(config, frame, scores) for name, scores in orders.items()}
    found = {name: judge.judge(scores) for name, scores in orders.items()}
    for name, (value, values) in found.items():
        assert values is not None
        low, high = drawn.bounds("clicks_per_mille", values, value) or (1, 0)
        assert low <= truth[name] <= high, name
    for other in ("popular", "logged"):
        gain = found["model"][0] - found[other][0]
        low, high = drawn.bounds("gain", found["model"][1] - found[other][1], gain) or (1, 0)
        assert 0 < low <= truth["model"] - truth[other] <= high, other


def test_a_run_says_what_its_order_would_earn() -> None:
    result = train(load_config(SMALL))
    scores = result.evaluation.scores["valid"]
    assert {"boosting", "popularity"} == {n for n, s in scores.items() if "clicks_per_mille" in s}
    assert "Clicks per mille" in result.report("valid")


@pytest.mark.slow
def test_a_known_gain_lies_within_as_often_as_said(capsys: pytest.CaptureFixture[str]) -> None:
    def orders(worth: Any, seed: int) -> Any:
        random = np.random.default_rng(seed)
        return [worth * np.exp(random.normal(0, noise, len(worth))) for noise in (0.3, 1.5)]

    frame, worth, seen = log(0, 100_000)
    truth = []
    for scores in orders(worth, 0):
        place = new_places(frame, scores)
        truth.append(1000 * (worth * seen[place])[place < K].mean())
    held, gain = 0, 0
    for seed in range(1, 201):
        frame, worth, _ = log(seed, 900)
        before, of_before, _ = log(1000 + seed, 900)
        judge, drawn = estimate(frame, before, worth, of_before)
        (one, ones), (other, others) = (judge.judge(each) for each in orders(worth, seed))
        low, high = drawn.bounds("clicks", ones, one)
        held += low <= truth[0] <= high
        low, high = drawn.bounds("gain", ones - others, one - other)
        gain += low <= truth[0] - truth[1] <= high
    with capsys.disabled():
        print(
            f"\nclicks per mille: within in {held / 200:.1%}, its gain in {gain / 200:.1%} of 200"
        )
    assert 178 <= held <= 199 and 178 <= gain <= 199
