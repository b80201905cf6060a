"""There is one champion, it earned its place, and there is a way back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from {{cookiecutter.package_name}} import promote
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.registry import CHALLENGER, CHAMPION, Registry
from {{cookiecutter.package_name}}.tracking import store

from .tracked import config, finished, judged

FIRST, SECOND = "a" * 12, "b" * 12


@pytest.fixture(autouse=True)
def _(embedded: Path) -> None:
    """Each test has an embedded store of its own."""


def registry() -> Registry:
    chosen = config().stage["tracking"]
    return Registry(store.connect(chosen), chosen.experiment)


def at(alias: str) -> str | None:
    version = registry().at(alias)
    return version and version.run


def champion() -> Path:
    """A first champion."""
    run = finished(config(), model=FIRST)
    judged(config(), FIRST, "popularity")
    assert promote.main(["champion", run.name]) == 0
    return run


def test_the_first_champion_has_to_be_better_than_the_baseline(
    capsys: pytest.CaptureFixture,
) -> None:
    run = finished(config(), model=FIRST)
    assert promote.main(["champion", run.name]) == 1
    assert f"evaluate evaluation.run={run.name}" in capsys.readouterr().err
    judged(config(), FIRST, "popularity", "no better")
    assert promote.main(["champion", run.name]) == 1
    assert at(CHAMPION) is None
    evaluation = judged(config(), FIRST, "popularity")
    assert promote.main(["champion", run.name]) == 0
    assert at(CHAMPION) == run.name
    version = registry().at(CHAMPION)
    assert version and version.tags["gate.evaluation"] == evaluation.name


def test_a_candidate_is_the_challenger_and_one_version_however_often() -> None:
    run = finished(config())
    for _ in range(2):
        assert promote.main(["candidate", run.name]) == 0
    assert at(CHALLENGER) == run.name and at(CHAMPION) is None
    assert [each.number for each in registry().versions()] == [1]


def test_a_challenger_is_promoted_only_by_the_verdict_against_the_champion(
    capsys: pytest.CaptureFixture,
) -> None:
    first = champion()
    second = finished(config(), model=SECOND)
    assert promote.main(["candidate", second.name]) == 0
    judged(config(), SECOND, "popularity")  # better than the baseline is not enough any more
    capsys.readouterr()
    assert promote.main(["champion"]) == 1
    told = capsys.readouterr().err
    assert f"evaluation.run={second.name} evaluation.against={first.name}" in told
    judged(config(), SECOND, first.name, "no better")
    assert promote.main(["champion"]) == 1 and at(CHAMPION) == first.name
    lenient = ["--set", "tracking=mlflow", "--set", "tracking.gate='no worse'"]
    assert promote.main(["champion", *lenient]) == 0
    assert at(CHAMPION) == second.name and at(CHALLENGER) is None


def test_an_edited_comparison_does_not_count() -> None:
    run = finished(config(), model=FIRST)
    path = judged(config(), FIRST, "popularity", "no better") / "comparison.json"
    path.write_text(path.read_text().replace("no better", "better"))
    assert promote.main(["champion", run.name]) == 1 and at(CHAMPION) is None


def test_the_way_back_leads_to_the_champion_before(capsys: pytest.CaptureFixture) -> None:
    first = champion()
    second = finished(config(), model=SECOND)
    judged(config(), SECOND, first.name)
    assert promote.main(["champion", second.name]) == 0
    assert promote.main(["back"]) == 0 and at(CHAMPION) == first.name
    assert promote.main(["back"]) == 1 and at(CHAMPION) == first.name
    assert "there is none before it" in capsys.readouterr().err


def test_mlflow_loads_the_champion_by_its_alias() -> None:
    import mlflow
    import pandas as pd

    champion()
    model = mlflow.pyfunc.load_model(f"models:/{registry().name}@{CHAMPION}")
    assert model.predict(pd.DataFrame({"price": [1.0], "device": ["phone"]})).tolist() == [0.25]


def test_who_was_judged_against_a_former_champion_is_refused() -> None:
    first = champion()
    second = finished(config(), model=SECOND)
    assert promote.main(["candidate", second.name]) == 0
    version = registry().at(CHALLENGER)
    assert version is not None
    with pytest.raises(UserError, match="meanwhile"):
        registry().crown(version, None, {})  # as found before `first` became champion elsewhere
    assert at(CHAMPION) == first.name


def test_two_promotions_at_once_leave_the_one_that_was_judged_last_out() -> None:
    runs = [finished(config(), model=each) for each in (FIRST, SECOND)]
    for each in (FIRST, SECOND):
        judged(config(), each, "popularity")
    command = [sys.executable, "-m", promote.__name__, "champion"]
    at_once = [subprocess.Popen([*command, run.name], env=os.environ.copy()) for run in runs]
    ended = sorted(each.wait(300) for each in at_once)
    # One is champion. The other met its lock, or the gate, as there was a champion by then.
    assert ended in ([0, 1], [0, 75])
    winner = at(CHAMPION)
    assert winner in {run.name for run in runs}
    crowned = [each for each in registry().versions() if "gate.reason" in each.tags]
    assert [each.run for each in crowned] == [winner]
