"""ML404, ML405: what is chosen by its score on the test rows, or by luck."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..core.rules import Rule
from .flow import (
    DEEP,
    Flow,
    Scope,
    Step,
    argument,
    is_constant,
    keyword,
    method,
    names,
    path,
    receiver,
)
from .rows import TEST, TRAIN, Rows
from .scores import Scores, in_folds, seed_like, targets

ML404 = Rule(
    "ML404",
    "something is chosen by its score on the test rows",
    "the best of many scores on the same rows is partly luck, and so no estimate for new rows; "
    "of all leaks, selection is among those that flatter most (arXiv 2604.04199; Cawley and "
    "Talbot 2010, On over-fitting in model selection)",
    "Choose and stop early by validation rows or cross-validation; use the test rows once, for "
    "what was chosen",
    bad="""\
best = 0.0
for depth in (2, 4, 8):
    model = DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(X_train, y_train)
    score = accuracy_score(y_test, model.predict(X_test))
    if score > best:
        best, chosen = score, model""",
    good="""\
best = 0.0
for depth in (2, 4, 8):
    model = DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(X_train, y_train)
    score = accuracy_score(y_valid, model.predict(X_valid))
    if score > best:
        best, chosen = score, model""",
)
ML405 = Rule(
    "ML405",
    "the seed is chosen by the score",
    "the best of several seeds is luck that will not come back; besides selection, nothing "
    "flatters a score as much (arXiv 2604.04199; Picard 2021, arXiv 2109.08203)",
    "Fix one seed before looking, or report mean and spread over all seeds",
    bad="""\
scores = [score_of(fit(rows, seed=seed)) for seed in range(20)]
best_seed = scores.index(max(scores))""",
    good="""\
scores = [score_of(fit(rows, seed=seed)) for seed in range(20)]
average = sum(scores) / len(scores)""",
)
RULES = (ML404, ML405)

Found = Iterator[tuple[Rule, ast.AST, str]]

STOPS = {"early_stopping", "early_stopping_rounds", "EarlyStopping"}


def stopped_on_test(flow: Flow, rows: Rows) -> Found:
    """ML404: early stopping and checkpoints."""
    for step, call in flow.calls():
        if method(call) not in ("fit", "train", "fit_generator") or in_folds(step):
            continue
        for name in ("eval_set", "evals", "valid_sets", "validation_data"):
            watched = keyword(call, name)
            if watched is None or not _is_test(rows, watched, step):
                continue
            if name == "validation_data":
                stops = _stops_by_validation(flow, keyword(call, "callbacks"), step)
            else:
                stops = _stops_early(flow, call, step)
            if stops:
                yield ML404, call, f"{stops} by the test rows ({name})"


def _is_test(rows: Rows, watched: ast.expr, step: Step, depth: int = 0) -> bool:
    """Whether the rows that are watched are test rows, and none of them are for validation."""
    if isinstance(watched, ast.Name) and not rows.of(watched, step) and depth < DEEP:
        bound = step.scope.binding(watched.id, step)
        return bound is not None and _is_test(rows, bound.value, bound.step, depth + 1)
    several = watched.elts if isinstance(watched, ast.List) else [watched]
    parts = [_part(rows, each, step) for each in several]
    return TEST in parts and set(parts) <= {TEST, TRAIN}


def _part(rows: Rows, node: ast.expr, step: Step) -> str | None:
    """Of a pair such as ``(X_test, y_test)`` or ``(dtest, "eval")`` the part of the rows."""
    if isinstance(node, ast.Tuple):
        parts = {rows.of(each, step) for each in node.elts if not isinstance(each, ast.Constant)}
        return parts.pop() if len(parts) == 1 else None
    return rows.of(node, step)


def _stops_early(flow: Flow, call: ast.Call, step: Step) -> str:
    made = flow.maker(receiver(call), step)
    for each in (call, made):
        if each and (stop := _mentions(flow, each, step)):
            return stop
    name = flow.called(made) if made else ""
    if name.startswith("CatBoost"):
        best = keyword(call, "use_best_model") or (
            keyword(made, "use_best_model") if made else None
        )
        return "" if is_constant(best, False) else "CatBoost keeps the best round"
    return ""


def _mentions(flow: Flow, call: ast.Call, step: Step) -> str:
    for each in call.keywords:
        if each.arg in STOPS and not is_constant(each.value, None, False):
            return "training stops early"
        if each.arg == "callbacks" and _called(flow, each.value, step) & STOPS:
            return "training stops early"
    return ""


def _stops_by_validation(flow: Flow, callbacks: ast.expr | None, step: Step) -> str:
    for call in _calls(callbacks, step):
        name = (path(call.func) or "").rpartition(".")[2]
        monitor = argument(call, 0 if name == "EarlyStopping" else 1, "monitor")
        watches = monitor is None or (
            isinstance(monitor, ast.Constant) and str(monitor.value).startswith("val_")
        )
        if name == "EarlyStopping" and watches:
            return "training stops early"
        if (
            name == "ModelCheckpoint"
            and watches
            and is_constant(keyword(call, "save_best_only"), True)
        ):
            return "a checkpoint is kept"
    return ""


def _called(flow: Flow, node: ast.expr, step: Step) -> set[str]:
    return {(path(call.func) or "").rpartition(".")[2] for call in _calls(node, step)}


def _calls(node: ast.expr | None, step: Step, depth: int = 0) -> Iterator[ast.Call]:
    """The calls in an expression such as a list of callbacks, and behind the names in it."""
    if node is None or depth > 3:
        return
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            yield each
        elif isinstance(each, ast.Name) and (bound := step.scope.binding(each.id, step)):
            yield from _calls(bound.value, bound.step, depth + 1)


def chosen(flow: Flow, rows: Rows) -> Found:
    """ML404 and ML405: the best of several, where what is best is the test score or luck."""
    scores = Scores(flow, rows)
    for step in flow.steps:
        for node, best, score in _kept(step):
            if seed := scores.seed(step, best):
                if scores.is_score(score, step):
                    yield ML405, node, f"the best score of all values of '{seed}' is kept"
            elif scores.part(score, step) == TEST and not in_folds(step):
                yield ML404, node, f"the best '{path(score)}', a score on test rows, is kept"
        for call in step.calls:
            yield from _best(scores, call, step)
        scores.collect(step)
    for scope in flow.scopes:
        if any(_suggests(call) for step in scope.steps for call in step.calls):
            yield from _trials(scope, scores)


def _trials(scope: Scope, scores: Scores) -> Found:
    """An objective that is given rows to test on, and does not split off its own."""
    if any(scores.rows.of_name(name) == TEST for name in scope.bindings):
        return
    for step in scope.steps:
        value = step.node.value if isinstance(step.node, ast.Return) else None
        if value and scope.node and scores.part(value, step) == TEST:
            what = f"the trials of '{scope.node.name}' are judged by a score on test rows"
            yield ML404, step.node, what


def _kept(step: Step) -> Iterator[tuple[ast.AST, str, ast.expr]]:
    """The best so far of a loop, and the score that it is compared with and replaced by."""
    if not step.loops:
        return
    node = step.node
    if isinstance(node, ast.If):
        tests = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
        pairs = {(path(t), path(v)) for each in node.body for t, v in _pairs(each)}
        for test in tests:
            if isinstance(test, ast.Compare) and isinstance(
                test.ops[0], (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
            ):
                left, right = test.left, test.comparators[0]
                for held, score in ((left, right), (right, left)):
                    if path(held) and (path(held), path(score)) in pairs:
                        yield node, path(held), score
                        return
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        call, best = node.value, path(node.targets[0])
        if path(call.func) in ("max", "min") and best and len(call.args) == 2:
            others = [each for each in call.args if path(each) != best]
            if len(others) == 1:
                yield node, best, others[0]


def _pairs(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    if not isinstance(node, ast.Assign):
        return
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def _best(scores: Scores, call: ast.Call, step: Step) -> Found:
    """Calls such as ``np.argmax(scores)`` or ``max(models, key=lambda m: m.score(...))``."""
    name = path(call.func).rpartition(".")[2]
    data: ast.expr | None
    if name in ("argmax", "argmin", "nanargmax", "nanargmin"):
        data = call.args[0] if call.args else receiver(call)
    elif name == "index" and call.args and _is_best(call.args[0]):
        data = receiver(call)
    elif name in ("max", "min") and call.args:
        key = keyword(call, "key")
        if isinstance(key, ast.Lambda) and scores.part(key.body, step) == TEST:
            yield ML404, call, f"{name} chooses by a score on test rows"
            return
        if isinstance(call.args[0], (ast.GeneratorExp, ast.ListComp)) and len(call.args) == 1:
            loop = next((seed for seed in map(seed_like, targets(call.args[0])) if seed), "")
            if loop and scores.is_score(call.args[0].elt, step):
                yield ML405, call, f"the best score of all values of '{loop}' is taken"
            return
        data = call.args[0] if key else None
    else:
        return
    for each in sorted(set(names(data))) if data else []:
        if seed := scores.seeds.get((step.scope, each)):
            yield ML405, call, f"the best of all values of '{seed}' is taken"
            return
        if (step.scope, each) in scores.tested:
            yield ML404, call, f"the best of '{each}', scores on test rows, is taken"
            return


def _is_best(node: ast.expr) -> bool:
    called = path(node.func) if isinstance(node, ast.Call) else ""
    return called.rpartition(".")[2] in ("max", "min")


def _suggests(call: ast.Call) -> bool:
    return method(call).startswith("suggest_")


def seed_is_tuned(flow: Flow, rows: Rows) -> Found:
    """ML405: the seed among the values of a search."""
    for step, call in flow.calls():
        if flow.called(call).endswith("SearchCV"):
            for grid in (*call.args, *(each.value for each in call.keywords)):
                for name in _seed_keys(grid, step):
                    yield ML405, call, f"'{name}' is among the values to search"
        elif _suggests(call) or flow.full(call).startswith(("hyperopt.", "skopt.space")):
            named_as = argument(call, 0, "name")
            if flow.full(call).startswith("skopt"):
                named_as = keyword(call, "name")
            key = named_as.value if isinstance(named_as, ast.Constant) else None
            if isinstance(key, str) and _is_seed_key(key):
                yield ML405, call, f"'{key}' is among the values to search"


def _seed_keys(grid: ast.expr, step: Step) -> Iterator[str]:
    if isinstance(grid, ast.Name):
        bound = step.scope.binding(grid.id, step)
        grid = bound.value if bound and bound.index is None else grid
    for each in grid.elts if isinstance(grid, ast.List) else [grid]:
        if isinstance(each, ast.Dict):
            for key, value in zip(each.keys, each.values, strict=True):
                if isinstance(key, ast.Constant) and _is_seed_key(key.value) and _several(value):
                    yield str(key.value)


def _is_seed_key(key: object) -> bool:
    return str(key).rpartition("__")[2].lower() in ("seed", "random_state", "random_seed")


def _several(value: ast.expr) -> bool:
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return len(value.elts) > 1
    return isinstance(value, ast.Call)
