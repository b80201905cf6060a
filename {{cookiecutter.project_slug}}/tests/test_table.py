"""A table of one's own: what is inferred, what is refused, and how it is said."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from {{cookiecutter.package_name}} import features
from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.data import explore, table
from {{cookiecutter.package_name}}.errors import UserError

RANDOM = random.Random(0)
NOISE = [RANDOM.random() for _ in range(400)]


@pytest.mark.parametrize(
    ("targets", "task", "classes"),
    [
        (["0", "1"], "binary", ["0", "1"]),
        (["yes", "no"], "binary", ["no", "yes"]),
        (["True", "False"], "binary", ["False", "True"]),
        (["Ja", "Nein"], "binary", ["Nein", "Ja"]),
        (["yes", "no", "maybe"], "multiclass", ["maybe", "no", "yes"]),
        (["a", "b", "c"], "multiclass", ["a", "b", "c"]),
        (["1", "2", "3"], "multiclass", ["1", "2", "3"]),
        ([f"{n / 10}" for n in range(90)], "regression", []),
    ],
)
def test_the_task_is_inferred(write_csv, targets: list[str], task: str, classes: list[str]) -> None:
    rows = [f"{x},{targets[i % len(targets)]}" for i, x in enumerate(NOISE)]
    schema = features.build(load_config(write_csv("x,y", rows, "y"))).schema
    assert (schema.task, schema.classes) == (task, classes)


def test_rows_without_a_target_are_set_aside_and_counted(write_csv) -> None:
    rows = [f"{x},{['a', 'b', ''][i % 3]}" for i, x in enumerate(NOISE)]
    examples = features.build(load_config(write_csv("x,y", rows, "y")))
    assert len(examples) == 267
    assert "133 of 400 rows set aside: no y" in examples.notes


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    rows = [f"{x}{separator}{i % 2}" for i, x in enumerate(NOISE)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join([f"x{separator}y", *rows]))
    overrides = ["data=table", f"data.path={path}", "data.target=y"]
    assert list(features.build(load_config(overrides)).schema.features) == ["x"]


def test_a_column_that_gives_the_target_away_stops_the_run(write_csv) -> None:
    rows = [f"{x},{['no', 'yes'][i % 2]},{i % 2}" for i, x in enumerate(NOISE)]
    with pytest.raises(UserError, match=r"leak: it alone .*\n.*data.exclude=\[leak\]"):
        features.build(load_config(write_csv("x,leak,y", rows, "y")))
    kept = features.build(load_config(write_csv("x,leak,y", rows, "y", "data.keep=[leak]")))
    assert "leak" in kept.schema.features
    left_out = features.build(load_config(write_csv("x,leak,y", rows, "y", "data.exclude=[leak]")))
    assert "leak" not in left_out.schema.features


def test_a_sum_that_holds_the_target_stops_the_run(write_csv) -> None:
    rows = []
    for fare, tip in zip(NOISE[:200], NOISE[200:], strict=True):
        rows.append(f"{fare * 40:.2f},{fare * 40 + tip * 5:.2f},{tip * 5:.2f}")
    with pytest.raises(UserError, match=r"total: tip \+ fare explain .* their sum"):
        features.build(load_config(write_csv("fare,total,tip", rows, "tip")))


def test_a_good_column_is_no_leak(write_csv) -> None:
    rows = [f"{x},{int(x + NOISE[-i] / 2 > 0.75)}" for i, x in enumerate(NOISE)]
    assert features.build(load_config(write_csv("x,y", rows, "y"))).schema.features


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"x,y\n", "the table has no rows"),
        (b"\x00\x01\x02", "not text"),
        (b"x,y\n" + b"1,7\n" * 30, "every row has the same value"),
        (b"x,z\n1,2\n", "no such column"),
        (b"x,y\n" + b"".join(b"1,t%d\n" % n for n in range(80)), "80 different texts"),
        (b'x,y\n"1,2\n', "not a readable table"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        features.build(load_config(["data=table", f"data.path={path}", "data.target=y"]))


def test_infinite_numbers_count_as_missing_and_are_said(write_csv) -> None:
    rows = [f"{'inf' if i == 5 else x},{i % 2}" for i, x in enumerate(NOISE)]
    examples = features.build(load_config(write_csv("x,y", rows, "y")))
    assert examples.frame["x"].isna().sum() == 1
    assert "x: 1 infinite numbers count as missing" in examples.notes


@pytest.mark.parametrize(("key", "kept"), [("group", 350), ("time", 350)])
def test_rows_without_a_group_or_time_are_set_aside(write_csv, key: str, kept: int) -> None:
    rows = [f"{x},{i % 2},{'' if i % 8 == 0 else i % 30}" for i, x in enumerate(NOISE)]
    examples = features.build(load_config(write_csv("x,y,k", rows, "y", f"data.{key}=k")))
    assert len(examples) == kept
    assert "50 of 400 rows set aside: no k" in examples.notes


def test_a_time_that_does_not_order_is_refused(write_csv) -> None:
    rows = [f"{x},{i % 2},t{i % 5}" for i, x in enumerate(NOISE)]
    with pytest.raises(UserError, match=r"data\.time=k: holds neither dates nor numbers"):
        features.build(load_config(write_csv("x,y,k", rows, "y", "data.time=k")))


def test_a_table_of_nothing_to_learn_from_is_refused(write_csv) -> None:
    rows = [f"{i},same,{i % 2}" for i in range(400)]
    with pytest.raises(
        UserError, match=r"no column is left to learn from\. id: .*; c: always same"
    ):
        features.build(load_config(write_csv("id,c,y", rows, "y")))


def test_a_wrong_path_names_what_is_near(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("x,y\n1,2\n")
    overrides = ["data=table", f"data.path={tmp_path}/tabel.csv", "data.target=y"]
    with pytest.raises(UserError, match=r"no such file.*table\.csv"):
        features.build(load_config(overrides))


def test_a_date_to_predict_becomes_days_since_1970(write_csv) -> None:
    days = pd.date_range("2024-02-01", periods=400).strftime("%d.%m.%Y")
    rows = [f"{x},{day}" for x, day in zip(NOISE, days, strict=True)]
    examples = features.build(load_config(write_csv("x,y", rows, "y")))
    assert examples.schema.task == "regression"
    first = (pd.Timestamp("2024-02-01") - pd.Timestamp(0)).days
    assert examples.frame["y"].tolist() == [float(first + day) for day in range(400)]
    assert "y: dates, predicted as days since 1970-01-01" in examples.notes


def test_columns_arrive_typed(write_csv) -> None:
    words, flags = ["b", "c", "a", ""], ["no", "yes", ""]
    rows = [
        f"{x},{i % 7},{words[i % 4]},{flags[i % 3]},2024-01-{i % 28 + 1},{RANDOM.choice('pq')}"
        for i, x in enumerate(NOISE)
    ]
    config = load_config(write_csv("x,n,c,b,d,y", rows, "y")).data
    frame = table.read_table(config).frame  # type: ignore[arg-type]
    assert [str(frame[name].dtype) for name in "xn"] == ["float64", "float64"]
    assert list(frame["c"].cat.categories) == ["a", "b", "c"]
    assert frame["c"].tolist()[:3] == ["b", "c", "a"]
    assert list(frame["b"].cat.categories) == ["no", "yes"]
    assert [frame[name].isna().sum() for name in "cb"] == [100, 133]
    assert frame["d"].dtype.kind == "M"
    examples = features.build(load_config(write_csv("x,n,c,b,d,y", rows, "y")))
    assert examples.frame["b"].tolist()[:2] == [0.0, 1.0]
    assert examples.frame["b"].isna().sum() == 133


def test_columns_that_say_the_same_or_hardly_anything_are_set_aside_and_said(write_csv) -> None:
    rows = [
        f"{x},{'ab'[i % 2]},{'AB'[i % 2]},{i if i < 9 else ''},{i % 3}" for i, x in enumerate(NOISE)
    ]
    overrides = write_csv("x,c,same,few,y", rows, "y")
    examples = features.build(load_config(overrides))
    assert list(examples.schema.features) == ["x", "c"]
    assert "same: set aside, says the same as c" in examples.notes
    assert "few: set aside, almost empty: 97.8% missing" in examples.notes
    without = features.build(load_config([*overrides, "data.exclude=[c]"]))
    assert list(without.schema.features) == ["x", "same"]


def test_a_column_named_as_an_id_is_not_learnt_from(write_csv) -> None:
    rows = [f"{x},{i % 2},{i % 90}" for i, x in enumerate(NOISE)]
    examples = features.build(load_config(write_csv("x,y,k", rows, "y", "data.id=[k]")))
    assert list(examples.schema.features) == ["x"]
    assert "k: set aside, as data.id says" in examples.notes


def test_numbers_of_any_size_do_not_break_it(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    duckdb.sql(
        f"COPY (SELECT i::DECIMAL(38, 0) * 10::DECIMAL(38, 0) ** 3 AS d, "
        f"i::DECIMAL(18, 4) / 7 AS e, (i * 7919) % 401 AS x, i % 2 AS y "
        f"FROM range(400) r(i)) TO '{path}'"
    )
    examples = features.build(load_config(["data=table", f"data.path={path}", "data.target=y"]))
    assert "x" in examples.schema.features


def test_the_same_table_gives_the_same_frame_and_is_profiled_once(
    write_csv, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{x},{'abc'[i % 3]},{i % 2}" for i, x in enumerate(NOISE)]
    config = load_config(write_csv("x,c,y", rows, "y")).data
    first = table.read_table(config)  # type: ignore[arg-type]
    monkeypatch.setattr(table, "profile", None)  # would fail if it were called again
    again = table.read_table(config)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert (first.columns, first.notes) == (again.columns, again.notes)


def test_a_first_look_knows_words_and_booleans(write_csv) -> None:
    rows = [
        f"{x},{'abc'[i % 3]},{['no', 'yes'][i % 5 < 2]},{'pq'[x > 0.3]}"
        for i, x in enumerate(NOISE)
    ]
    overview = explore.look(load_config(write_csv("x,c,b,y", rows, "y", "data.keep=[x]")))
    assert overview.measure == "share of y = q"
    assert list(explore.describe(overview)["type"]) == ["number", "category", "category"]
    assert set(explore.average_by(overview, "c").index) == {"a", "b", "c"}
    assert explore.strength(overview)["x"] > 0.5
