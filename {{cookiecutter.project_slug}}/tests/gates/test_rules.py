"""Every rule is red on its seeded fault and green on its twin."""

from __future__ import annotations

import pytest

from gates.__main__ import _explained
from gates.core.engine import GATES, RULES, examine
from gates.core.files import find
from gates.core.formats import mend
from gates.core.gate import Context
from gates.core.rules import FAMILIES, Rule
from gates.core.settings import load

from .faults import FAULTS
from .planting import Fault, Repository

BY_NAME = {f"{fault.rule}-{fault.what}": fault for fault in FAULTS}


def found(repository: Repository) -> set[str]:
    context = Context(repository.root, load(repository.root))
    paths = find(context.settings.paths)
    return {finding.rule.id for finding in examine(paths, context, GATES)}


@pytest.fixture
def planted(request: pytest.FixtureRequest, repository: Repository) -> Fault:
    fault = BY_NAME[request.param]
    if fault.conf or fault.rule[:2] == "CF":
        request.getfixturevalue("with_conf")
    return fault


@pytest.mark.parametrize("planted", BY_NAME, indirect=True)
def test_the_fault_is_red(planted: Fault, repository: Repository) -> None:
    planted.red(repository)
    rules = found(repository)
    assert planted.rule in rules
    assert rules <= {planted.rule} | planted.also


@pytest.mark.parametrize("planted", BY_NAME, indirect=True)
def test_its_twin_is_green(planted: Fault, repository: Repository) -> None:
    planted.green(repository)
    assert found(repository) == set()


def test_every_rule_has_a_fault_and_a_twin() -> None:
    assert {rule.id for rule in RULES} == {fault.rule for fault in FAULTS}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_explains_itself(rule: Rule) -> None:
    text = _explained(rule)
    for part in (rule.id, rule.what, rule.why, mend(rule), *rule.bad.split("\n")):
        assert part
        assert part.strip() in text
    assert rule.bad != rule.good
    assert rule.id[:3] in FAMILIES
    assert rule.what[0].islower() or not rule.what[0].isalpha(), "goes on after a place and an id"
    assert not rule.mend.endswith(".")
