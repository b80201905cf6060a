"""CF5: which line is blamed, and what is left alone. The faults themselves: faults/configs.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gates.configs import jobs
from gates.configs import options as configs
from gates.configs.targets import faults
from gates.core.gate import Context
from gates.core.rules import Finding
from gates.core.settings import Settings

from .conftest import PACKAGE
from .planting import Change, Repository, both, file, nothing, replace


def compose(root: Path, package: str = PACKAGE) -> list[Finding]:
    return list(configs.check(Context(root, Settings(package=package))))


def lines(findings: list[Finding]) -> list[str]:
    return [f"{finding.path.as_posix()}:{finding.line} {finding.rule.id}" for finding in findings]


# --- configurations

LINES: list[tuple[Change, dict[str, tuple[str, str]], str]] = [  # file: the line, the rule
    (nothing, {}, ""),
    (
        replace("conf/config.yaml", "- model: boosting", "- model: bosting"),
        {"config": ("- model: bosting", "CF501")},
        "no conf/model/bosting.yaml; did you mean 'boosting'?",
    ),
    (
        replace("conf/model/boosting.yaml", "^max_depth:", "max_dept:"),
        {"model/boosting": ("max_dept:", "CF504")},
        "model.max_dept: there is no such key",
    ),
    (
        replace("conf/data/shop.yaml", "  strength:", "  strenght:"),
        {"data/shop": ("  strenght:", "CF504")},
        "data.drift.strenght",
    ),
    (
        replace("conf/training/default.yaml", r"kind: \w+", "kind: tiem"),
        {"training/default": ("kind: tiem", "CF502")},
        "training.split.kind=tiem",
    ),
    (
        both(
            replace("conf/model/linear.yaml", "l2: .*", "l2: deep"),
            replace("conf/data/table.yaml", "task: .*", "task: autp"),
            replace("conf/config.yaml", "bins: .*", "bins: 1"),
        ),
        {
            "config": ("bins: 1", "CF501"),
            "data/table": ("task: autp", "CF502"),
            "model/linear": ("l2: deep", "CF502"),
        },
        "",
    ),
    (
        replace("conf/config.yaml", "bins: .*", "bins: ???"),
        {"config": ("bins: ???", "CF505")},
        "evaluation.bins is ???",
    ),
    (
        file("conf/model/linear.yaml", "name: linear\nl2: 1.0\nl2: 2.0\n"),
        {"model/linear": ("l2: 2.0", "CF502")},
        "duplicate key l2",
    ),
    (
        file("conf/model/deep.yaml", "l2: 2.0\ndefaults: [linaer]\n"),
        {"model/deep": ("defaults:", "CF502")},
        "did you mean 'linear'?",
    ),
    (
        replace("conf/jobs/notebooks.yaml", "overrides: .*", "overrides: model=linear"),
        {"jobs/notebooks": ("explore_data:", "CF502")},
        "Give a list",
    ),
    (
        file("conf/jobs/own.yaml", "graph:\n  a:\n    needs: []\n"),
        {"jobs/own": ("a:", "CF505")},
        "jobs.graph.a.notebook has no value",
    ),
    (
        replace("conf/config.yaml", "- _self_", "- override hydra/launcher: absent\n  - _self_"),
        {"config": ("hydra/launcher: absent", "CF501")},
        "hydra/launcher=absent: there is no such option. Valid: basic",
    ),
]


@pytest.mark.parametrize(("change", "expected", "text"), LINES)
def test_the_line_to_mend_is_named(
    with_conf: Repository, change: Change, expected: dict[str, tuple[str, str]], text: str
) -> None:
    change(with_conf)
    wanted = []
    for name, (line, rule) in expected.items():
        path = f"conf/{name}.yaml"
        written = (with_conf.root / path).read_text().splitlines()
        number = next(n for n, each in enumerate(written, start=1) if line in each)
        wanted.append(f"{path}:{number} {rule}")
    found = compose(with_conf.root)
    assert sorted(lines(found)) == wanted
    assert text in "".join(finding.message for finding in found)


HARMLESS: list[Change] = [
    replace("conf/config.yaml", r"^  run: latest", "  run: ${oc.env:SURELY_NOT_SET}"),
    replace("conf/data/table.yaml", "target: .*", "target: ${data.path}"),
    replace("conf/data/table.yaml", "task: .*", "task: ???"),
    file("conf/model/deep.yaml", "defaults: [_deep]\nl2: 2.0\n"),
    file("conf/hydra/job_logging/own.yaml", "version: 1\n"),
    file("conf/model/my ridge.yaml", "name: linear\n"),
    file("conf/model/2.yaml", "name: linear\n"),
    file("conf/model/README.md", "Models.\n"),
    file("conf/logging.yml", "version: 1\n"),
    file("conf/.ipynb_checkpoints/config-checkpoint.yaml", "sede: 1\n"),
    replace("conf/config.yaml", "top_k: .*", "top_k: ${oc.decode:${oc.env:SURELY_NOT_SET,10}}"),
]


@pytest.mark.parametrize("change", HARMLESS)
def test_what_composes_is_left_alone(with_conf: Repository, change: Change) -> None:
    file("conf/model/_deep.yaml", "name: linear\n")(with_conf)
    change(with_conf)
    assert compose(with_conf.root) == []


def test_options_of_groups_within_groups_are_composed(with_conf: Repository) -> None:
    for name, text in {
        "night": "defaults: [_self_, {db: mysql}]",
        "db/mysql": "defaults: [_self_, {pool: small}]\nport: 3306",
        "db/file": "path: rows.db",
        "db/pool/small": "size: 1",
        "db/pool/large": "defaults: [absent]",
    }.items():
        file(f"conf/{name}.yaml", f"{text}\n")(with_conf)
    assert lines(compose(with_conf.root)) == ["conf/db/pool/large.yaml:1 CF502"]


def test_a_target_is_checked_as_composed(with_conf: Repository) -> None:
    file("conf/night.yaml", "defaults: [_self_, {clock: wall}]\nclock: {sigm: 2}\n")(with_conf)
    file("conf/clock/wall.yaml", "_target_: statistics.NormalDist\n")(with_conf)
    assert lines(compose(with_conf.root)) == ["conf/night.yaml:2 CF507"]


def test_without_a_configuration_or_a_package_it_is_silent(with_conf: Repository) -> None:
    assert compose(with_conf.root, package="") == []
    assert compose(with_conf.root / "notebooks") == []


def test_a_package_that_does_not_import_is_one_finding(with_conf: Repository) -> None:
    found = compose(with_conf.root, package="no_such_package")
    assert lines(found) == ["conf/config.yaml:None CF501"]
    assert "No module named 'no_such_package'" in found[0].message


def test_a_folder_without_an_entry_config_is_one_finding(with_conf: Repository) -> None:
    (with_conf.root / "conf" / "config.yaml").unlink()
    found = compose(with_conf.root)
    assert lines(found) == ["conf/config.yaml:None CF501"]
    assert found[0].message.startswith("there is no conf/config.yaml")


def test_a_comment_in_the_file_allows_a_finding(with_conf: Repository) -> None:
    change = "l3: 1.0  # gates: allow CF504 - read by a branch that is not merged"
    replace("conf/model/linear.yaml", "l2: .*", change)(with_conf)
    assert configs.main(["--select", "CF504"]) == 0


CALLS: list[tuple[dict[str, Any], str]] = [
    ({"_target_": "statistics.NormalDist", "mu": 1}, ""),
    ({"_target_": "statistics.NormalDist", "_args_": [1, 2], "_partial_": True}, ""),
    ({"_target_": "statistics.NormalDist", "_args_": [1, 2, 3]}, "at most 2 positional"),
    ({"_target_": "statistics.NormalDist", "mean": 1}, "no argument 'mean'"),
    ({"_target_": "statistics.quantiles", "method": "inclusive"}, ""),  # data is given later
    ({"_target_": "builtins.sorted", "iterable": [1]}, "no argument 'iterable'"),  # by position
    ({"_target_": "builtins.print", "end": ""}, ""),
    ({"_target_": "builtins.dict", "anything": 1}, ""),  # has no signature
    ({"_target_": "math.pi"}, "no class or function"),
    ({"_target_": "os.path.join"}, ""),
    ({"_target_": "nowhere.at.all"}, "no module 'nowhere'"),
    ({"_target_": "statistics.NormalDits"}, "did you mean 'NormalDist'?"),
    ({"_target_": "statistics.NormalDist.from_sample"}, "did you mean 'from_samples'?"),
    ({"_target_": "statistics..NormalDist"}, "no dotted name"),
    ({"_target_": "${name}"}, ""),
    ({"_target_": "???"}, ""),
]


@pytest.mark.parametrize(("call", "expected"), CALLS)
def test_a_target_takes_its_arguments(call: dict[str, Any], expected: str) -> None:
    found = [what for _, what in faults(call)]
    assert (len(found) == 1 and expected in found[0]) if expected else found == []


# --- jobs

TRAIN = {"users": "int = 3", "by": "str | None = None"}
EVALUATE = "summarise(['Good.'], run=1, rows=2)"


def notebook(parameters: dict[str, str], code: str = "") -> str:
    declared = "\n".join(f"{name}: {value}" for name, value in parameters.items())
    cells = [
        {"cell_type": "code", "metadata": {"tags": tags}, "source": source}
        for tags, source in (
            (["parameters"], declared),
            ([], f"from shop.jobs import summarise\n{code}"),
        )
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two notebooks, and one that cannot be read."""
    (tmp_path / "conf" / "jobs").mkdir(parents=True)
    (tmp_path / "train.ipynb").write_text(notebook(TRAIN, EVALUATE))
    (tmp_path / "other.ipynb").write_text(notebook({}, "summarise([], **values)"))
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "script.py").write_text("")
    return tmp_path


def plan(root: Path, text: str) -> list[Finding]:
    (root / "conf" / "jobs" / "all.yaml").write_text(text)
    return list(jobs.check(Context(root, Settings(package="shop"))))


JOBS = [
    ("graph: {a: {notebook: train}}", ""),
    ("graph: {a: {notebook: trian}}", "no notebook 'trian'; did you mean 'train'?"),
    ("graph: {a: {notebook: train.ipynb}}", "did you mean 'train'?"),
    ("graph: {a: {notebook: '${where}/train'}}", ""),
    ("graph: {a: {notebook: ???}}", ""),
    ("graph: {a: {notebook: script}}", ""),  # half a pair, which is said elsewhere
    ("graph: {a: {notebook: broken, parameters: {x: 1}}}", ""),
    ("graph: {a: {notebook: train, parameters: {users: 1, by: x}}}", ""),
    ("graph: {a: {notebook: train, parameters: {user: 1}}}", "'user'; did you mean 'users'?"),
    ("graph: {a: {notebook: other, parameters: {user: 1}}}", "no parameter 'user'"),
    ("only: [b]\ngraph: {a: {notebook: train}}", "'only' names 'b', which is no job"),
    ("only: ['${x}']\ngraph: {a: {notebook: train}}", ""),
    ("graph: {a: {notebook: train, needs: [b]}}", "job 'a' needs 'b'"),
    ("defaults: [base]\ngraph: {a: {notebook: train, needs: [b]}}", ""),
    ("graph: {a: {notebook: train, needs: ${x}}}", ""),
    ("graph: {a: {notebook: train, needs: [a]}}", "a -> a"),
    ("graph: [a, b]", ""),
    ("graph: {a: }", ""),
    ("[]", ""),
    ("graph: {", ""),
    ("graph: {a: &a {notebook: train, needs: *a}}", ""),
    ("when: 2026-99-99", ""),
    ("", ""),
]
FROM = """\
graph:
  first: {notebook: train}
  middle: {notebook: other, needs: [first]}
  last:
    notebook: train
    needs: [middle]
    parameters: {users: {from: %s}}
"""
REFERENCES = [
    ("first.rows", ""),
    ("first.row", "records no 'row'; did you mean 'rows'?"),
    ("middle.anything", ""),  # recorded by a name that is not written there
    ("frist.rows", "'frist', which is no job; did you mean 'first'?"),
    ("last.rows", "not among the job's needs"),
    ("first", "write job_name.value_name"),
    ("${a}", ""),
]


@pytest.mark.parametrize(
    ("text", "expected"), [*JOBS, *((FROM % name, expected) for name, expected in REFERENCES)]
)
def test_jobs_fit_notebooks_and_each_other(root: Path, text: str, expected: str) -> None:
    found = plan(root, text)
    assert len(found) == bool(expected)
    assert all(expected in finding.message for finding in found)


def test_every_cycle_is_shown_in_the_order_of_the_file(root: Path) -> None:
    graph = {"a": "c", "b": "a", "c": "b", "d": "e", "e": "d"}
    line = "  %s: {notebook: train, needs: [%s]}\n"
    found = plan(root, "graph:\n" + "".join(line % pair for pair in graph.items()))
    assert [finding.message.split(": ")[1] for finding in found] == [
        "a -> c -> b -> a",
        "d -> e -> d",
    ]
    assert [finding.line for finding in found] == [2, 5]
