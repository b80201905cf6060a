"""Known truths: what was planted in a table is found, and what is honest is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from {{cookiecutter.package_name}}.config import TableConfig
from {{cookiecutter.package_name}}.data.findings import Finding, findings
from {{cookiecutter.package_name}}.data.ingest import ingest
from {{cookiecutter.package_name}}.data.table import VIEW, connected, profiled, table_of

N = 800


@pytest.fixture
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=N)
    return pd.DataFrame(
        {
            "x": x.round(9),
            "city": random.choice(list("abcdefgh"), N),
            "y": np.where(x + random.normal(size=N) > 0, "yes", "no"),
        }
    )


@pytest.fixture
def found(tmp_path: Path):
    def find(frame: pd.DataFrame, target: str = "y", **config: object) -> dict[str, list[Finding]]:
        path = tmp_path / "table.csv"
        frame.to_csv(path, index=False)
        settings = TableConfig(path=str(path), target=target, **config)  # type: ignore[arg-type]
        ingested = ingest(settings)
        with connected(ingested) as con:
            known = profiled(con, ingested)
            table = table_of(con, known, ingested, settings)
            kinds: dict[str, list[Finding]] = {}
            for each in findings(con, VIEW, known, table, settings):
                kinds.setdefault(each.kind, []).append(each)
            return kinds

    return find


def names(found: list[Finding]) -> list[str]:
    return [name for each in found for name in each.columns]


def test_an_honest_table_has_nothing_odd(found, frame: pd.DataFrame) -> None:
    assert found(frame) == {}


@pytest.mark.parametrize("share", [0.0, 0.01])
def test_a_planted_leak_is_found_and_a_good_column_is_not(
    found, frame: pd.DataFrame, share: float
) -> None:
    random = np.random.default_rng(1)
    wrong = random.random(N) < share
    answer = (frame.y == "yes") ^ wrong
    frame["leak"] = np.where(answer, 5.0, 2.0) + random.normal(size=N) / 10
    frame["good"] = (frame.y == "yes") * 3 + random.normal(size=N)
    assert names(found(frame)["leak"]) == ["leak"]
    assert "leak" not in found(frame, keep=["leak"])


def test_a_leak_about_a_rare_class_is_found_by_its_ranking(found) -> None:
    random = np.random.default_rng(2)
    fraud = random.random(30_000) < 0.004
    frame = pd.DataFrame({"x": random.normal(size=30_000), "y": np.where(fraud, "fraud", "fine")})
    frame["score"] = fraud * 6 + random.normal(size=30_000)  # few are wrong, at any threshold
    frame["hint"] = fraud * 2 + random.normal(size=30_000)
    assert names(found(frame)["leak"]) == ["score"]


def test_a_date_after_the_time_of_the_row_is_found_and_one_before_is_not(
    found, frame: pd.DataFrame
) -> None:
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(N), unit="h")
    minutes = np.random.default_rng(3).integers(1, 5000, N)
    frame["start"] = start
    frame["end"] = start + pd.to_timedelta(minutes, unit="m")
    frame["born"] = start - pd.to_timedelta(minutes * 60, unit="m")
    odd = found(frame, time="start")
    assert names(odd["after"]) == ["end"]
    assert "later than start in 800 of 800 rows" in odd["after"][0].evidence
    assert "after" not in found(frame)


def test_a_column_filled_with_the_outcome_is_found_and_a_gap_at_random_is_not(
    found, frame: pd.DataFrame
) -> None:
    random = np.random.default_rng(4)
    frame["reason"] = np.where(
        (frame.y == "yes") & (random.random(N) < 0.3), random.choice(["p", "q"], N), None
    )
    frame["deck"] = np.where(random.random(N) < 0.3, random.choice(["p", "q"], N), None)
    frame["often"] = np.where(random.random(N) < 0.3 + 0.4 * (frame.y == "yes"), "p", None)
    frame.loc[:300, "often"] = "q"
    odd = found(frame)["after"]
    assert names(odd) == ["reason"]
    assert "have y = yes" in odd[0].evidence


def test_columns_of_no_use_are_found(found, frame: pd.DataFrame) -> None:
    random = np.random.default_rng(5)
    frame["id"] = range(5000, 5000 + N)
    frame["same"] = "z"
    frame["hardly"] = [1.5 * n if n < 20 else None for n in range(N)]
    frame["town"] = frame.city.str.upper() + "-town"
    frame["again"] = frame.x
    frame["note"] = [f"said {random.integers(10**9) // 2 * 2}" for _ in range(N - 1)] + ["said 0"]
    frame.loc[0, "note"] = frame.loc[1, "note"]
    odd = found(frame)
    assert names(odd["identifier"]) == ["id"]
    assert names(odd["constant"]) == ["same"]
    assert names(odd["empty"]) == ["hardly"]
    assert names(odd["text"]) == ["note"]
    twins = {each.columns[0]: each.evidence for each in odd["duplicate"]}
    assert twins == {"town": "says the same as city", "again": "says the same as x"}


def test_columns_that_only_look_alike_are_not_duplicates(found, frame: pd.DataFrame) -> None:
    frame["unique"] = frame.x * 2  # one to one with x, as any two columns of measurements are
    frame["nearly"] = frame.city.str.upper()
    frame.loc[7, "nearly"] = "Z"
    assert "duplicate" not in found(frame)


def test_repeated_rows_are_counted(found, frame: pd.DataFrame) -> None:
    odd = found(pd.concat([frame, frame.iloc[:40]]))
    assert odd["rows"][0].evidence.startswith("40 of 840 rows")


def test_several_rows_of_one_thing_are_proposed_as_a_group(found, frame: pd.DataFrame) -> None:
    random = np.random.default_rng(6)
    patient = random.integers(0, 100, N)
    frame["patient"] = [f"P{each}" for each in patient]
    for name in ("age", "weight", "height"):
        frame[name] = random.normal(50, 10, 100).round(1)[patient] + random.normal(0, 0.1, N)
    odd = found(frame)
    assert names(odd["group"]) == ["patient"]
    assert "alike in 3 of 5 columns (age, weight, height)" in odd["group"][0].evidence
    assert "group" not in found(frame, group="patient")


def test_a_class_too_rare_to_split_is_counted(found, frame: pd.DataFrame) -> None:
    frame.loc[:6, "y"] = "maybe"
    assert "maybe: 7" in found(frame)["rare"][0].evidence
