"""ML406, ML407: splits that cannot be made again, or that tear together what belongs together."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..core.rules import Rule
from .flow import (
    Flow,
    Scope,
    Step,
    argument,
    has_unknown,
    is_constant,
    keyword,
    method,
    names,
    path,
)
from .rows import Rows
from .wording import listed, words

ML406 = Rule(
    "ML406",
    "a split without a seed",
    "every run trains and tests on other rows: no score can be had again, and no two can be "
    "compared",
    "Pass random_state (sklearn) or a seeded generator (torch), best from a parameter",
    bad="X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2)",
    good="X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=7)",
)
ML407 = Rule(
    "ML407",
    "a random split although a time or group column is declared",
    "rows of the same day, customer or patient come to stand on both sides: the model is tested "
    "on what it has seen, or learns from the future (Kaufman et al. 2012; Roberts et al. 2017, "
    "Cross-validation strategies for data with temporal, spatial or hierarchical structure)",
    "Split by time, so that the test rows are the last ones, or with GroupShuffleSplit, GroupKFold",
    bad="""\
group_column: str = "customer"
train, test = train_test_split(rows, test_size=0.2, random_state=7)""",
    good="""\
group_column: str = "customer"
splitter = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=7)
train, test = next(splitter.split(rows, groups=rows[group_column]))""",
)
RULES = (ML406, ML407)

Found = Iterator[tuple[Rule, ast.AST, str]]

LIBRARIES = ("cuml", "dask_ml", "imblearn", "sklearn", "surprise")
ALWAYS_RANDOM = listed(
    """
    BootstrapOutOfBag GroupShuffleSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit
    StratifiedShuffleSplit
    """
)
IF_SHUFFLED = {"KFold", "StratifiedGroupKFold", "StratifiedKFold"}
BY_GROUP = {"GroupShuffleSplit", "StratifiedGroupKFold"}


def without_seed(flow: Flow, rows: Rows) -> Found:
    """ML406."""
    seeded: int | None = None
    unseeded: list[tuple[Step, ast.Call, str]] = []
    for step, call in flow.calls():
        name = path(call.func).rpartition(".")[2]
        if "seed" in name.lower():
            seeded = step.number if seeded is None else seeded
            if step.scope is flow.top:  # functions run after all of the top level, or may do so
                unseeded = [each for each in unseeded if each[0].scope is flow.top]
        elif seeded is None and (lacking := _lacking(flow, call)):
            unseeded.append((step, call, lacking))
    for _, call, lacking in unseeded:
        name = path(call.func).rpartition(".")[2]
        yield ML406, call, f"{name} without {lacking}"


def _lacking(flow: Flow, call: ast.Call) -> str:
    """The argument that would seed a random split, where it is not given."""
    if has_unknown(call):
        return ""
    if method(call) == "randomSplit":
        return "" if argument(call, 1, "seed") else "seed"
    if flow.called(call, ("torch",)) == "random_split" and (flow.full(call) or len(call.args) == 2):
        return "" if argument(call, 2, "generator") else "generator"
    if _is_random(flow, call) and is_constant(keyword(call, "random_state") or NONE, None):
        return "random_state"
    return ""


NONE = ast.Constant(None)


def _is_random(flow: Flow, call: ast.Call) -> bool:
    """Whether a call splits at random, or makes what does."""
    name = flow.called(call, LIBRARIES)
    if name == "train_test_split":
        shuffle = keyword(call, "shuffle")
        return len(call.args) > 0 and (shuffle is None or is_constant(shuffle, True))
    if name in IF_SHUFFLED:
        return len(call.args) < 2 and is_constant(keyword(call, "shuffle"), True)
    return name in ALWAYS_RANDOM and len(call.args) < 4


DECLARED = listed(
    """
    date_col date_column datetime_col datetime_column group_col group_column group_key
    groupby_col time_col time_column timestamp_col timestamp_column
    """
)
TYPED = {"group", "time"}  # where they are parameters, written with their type
SURVIVAL = ("lifelines", "pysurvival", "sksurv", "scikit_survival")
GROUPS = {"groups", "group_ids"}
# Elsewhere, groups=... may mean groups of features.
GROUPED = {"split", "cross_validate", "cross_val_score", "cross_val_predict"}


def against_the_declared(flow: Flow, rows: Rows) -> Found:
    """ML407."""
    declared = _declared(flow)
    grouped = _grouped(flow)
    if not (declared or grouped):
        return
    for step, call in flow.calls():
        name = flow.called(call, LIBRARIES)
        if not _is_random(flow, call) or name in BY_GROUP:
            continue
        data = next(iter(call.args), None)
        made = _made(data, step)
        said = declared.get(step.scope) or declared.get(flow.top)
        said = said or next((groups for other, groups in grouped if other == made), None)
        if said and not (data and _is_unique(data, step)):  # the groups may be split
            yield ML407, call, f"{name} splits at random, but {said}"


def _declared(flow: Flow) -> dict[Scope, str]:
    """The column of time or groups that is named, by the scope in which it is."""
    if any(full.startswith(SURVIVAL) for full in flow.program.imported.values()):
        return {}  # there, time is what is predicted
    found: dict[Scope, str] = {}
    for scope in flow.scopes:
        plain = DECLARED | (TYPED if scope is flow.top else set())
        for name, value in _given(scope):
            if name.lower() in plain and _is_column(value):
                found[scope] = f"{name} = {ast.unparse(value)}"
    return found


def _grouped(flow: Flow) -> list[tuple[ast.expr | str, str]]:
    """The rows that are split by groups elsewhere: what made them, and the groups."""
    found = []
    for step, call in flow.calls():
        called = _last(call)
        groups = keyword(call, "groups") if called in GROUPED else None
        if groups is None and called == "split" and len(call.args) == 3:
            groups = call.args[2]
        data = call.args[0 if called == "split" else 1 :][:1]
        made = _made(data[0], step) if data else None
        if made and groups is not None and path(groups).lower() in GROUPS:
            found.append((made, f"the rows have groups ({path(groups)})"))
    return found


def _made(data: ast.expr | None, step: Step) -> ast.expr | str | None:
    """What made the rows that a name holds: after another assignment they are others."""
    if not isinstance(data, ast.Name):
        return None
    bound = step.scope.binding(data.id, step)
    return bound.value if bound else data.id


def _last(call: ast.Call) -> str:
    return method(call) or path(call.func)


def _given(scope: Scope) -> Iterator[tuple[str, ast.expr]]:
    """The names that a scope binds, and its arguments that have a default."""
    for step in scope.steps:
        for name, value in step.bound:
            if name not in TYPED or isinstance(step.node, ast.AnnAssign):
                yield name, value
    if scope.node:
        given = scope.node.args
        several = [*given.posonlyargs, *given.args]
        for each, default in zip(reversed(several), reversed(given.defaults), strict=False):
            yield each.arg, default
        for each, optional in zip(given.kwonlyargs, given.kw_defaults, strict=True):
            if optional:
                yield each.arg, optional


def _is_column(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and bool(value.value)


def _is_unique(node: ast.expr, step: Step) -> bool:
    """Whether what is split are distinct values, such as the names of the groups."""
    if isinstance(node, ast.Name) and (bound := step.scope.binding(node.id, step)):
        node = bound.value
    called = {path(each.func).rpartition(".")[2] or method(each) for each in _calls(node)}
    spoken = {word for name in names(node) for word in words(name)}
    return bool(called & {"drop_duplicates", "keys", "set", "unique"} or spoken & {"ids", "groups"})


def _calls(node: ast.expr) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))
