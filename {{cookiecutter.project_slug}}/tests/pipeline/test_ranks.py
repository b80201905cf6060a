"""A run whose model is learnt by several processes together."""

from __future__ import annotations

import pytest

from {{cookiecutter.package_name}} import workflow
from {{cookiecutter.package_name}}.config import load_config

from ..conftest import SMALL


@pytest.mark.slow
def test_ranks_learn_about_the_same_and_the_same_twice() -> None:
    ranks = [*SMALL, "training.ranks=2", "training.threads=1"]
    one = workflow.train(load_config(SMALL))
    two, again = workflow.train(load_config(ranks)), workflow.train(load_config(ranks))
    assert two.fingerprint == again.fingerprint != one.fingerprint
    scores = [each.evaluation.scores["valid"]["boosting"]["roc_auc"] for each in (one, two)]
    assert abs(scores[0] - scores[1]) < 0.03
    assert two.model.history().keys() == one.model.history().keys()


def test_ranks_learn_from_more_than_the_sample() -> None:
    result = workflow.train(load_config([*SMALL, "training.ranks=2", "training.sample=4000"]))
    assert "boosting learnt from" in result.report("valid")
