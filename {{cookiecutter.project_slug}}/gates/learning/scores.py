"""Which names and expressions are scores, and on which rows they were computed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .flow import DEEP, Flow, Loop, Scope, Step, method, names, path, receiver
from .rows import TEST, Rows, named
from .wording import listed, words

METRIC = re.compile(r"\w+_(score|error|loss|curve)|r2|rmse|mse|mae|accuracy|auc|f1|score|evaluate")
JUDGING = {"accuracy", "evaluate", "eval", "score"}
SCORE_WORDS = listed(
    """
    acc accuracy auc bleu dice err error evaluate f f1 iou kappa loss mae map mape metric mse
    perf performance precision r recall rmse roc rouge score
    """
)
# The best of several starts by the objective itself is how such a model is meant to be fitted.
OBJECTIVE = listed(
    """
    aic bic bound cost elbo energy evidence inertia likelihood ll loglik objective
    """
)
SEEDS = {"seed", "seeds", "random_state", "random_seed", "rng_seed", "rs"}


class Scores:
    """Which names and expressions are scores, and on which rows they were computed."""

    def __init__(self, flow: Flow, rows: Rows) -> None:
        self.flow, self.rows = flow, rows
        self.tested: set[tuple[Scope, str]] = set()  # collections of scores on test rows
        self.seeds: dict[tuple[Scope, str], str] = {}  # collections by seed; the seed's name
        self._loops: dict[Loop, str] = {}
        self._known: dict[ast.expr, str | None] = {}

    def seed(self, step: Step, kept: str) -> str:
        """The name that a loop varies as a seed while it keeps something, a best or a list."""
        for loop in step.loops:
            if loop not in self._loops:
                self._loops[loop] = _loop_seed(loop)
            if self._loops[loop]:
                bound = step.scope.bindings.get(re.split(r"[.\[]", kept)[0], [])
                anew = [b for b in bound if loop in b.step.loops and _is_start(b.value)]
                return "" if anew else self._loops[loop]
        return ""

    def collect(self, step: Step) -> None:
        """Note the collections of scores that a step makes or adds to."""
        for name, _ in step.bound:
            self.tested.discard((step.scope, name))
            self.seeds.pop((step.scope, name), None)
        for call in step.calls:
            if method(call) == "append" and len(call.args) == 1 and step.loops:
                self._add(path(receiver(call)), call.args[0], step)
        node = step.node
        if not isinstance(node, ast.Assign):
            return
        for target in node.targets:
            if isinstance(target, ast.Subscript) and step.loops:
                self._add(path(target.value), node.value, step)
            elif isinstance(node.value, (ast.ListComp, ast.DictComp)):
                self._add_comprehension(path(target), node.value, step)
            elif isinstance(node.value, ast.Call) and isinstance(target, ast.Tuple):
                called = path(node.value.func).rpartition(".")[2]
                if called.endswith("_curve") and self.part(node.value, step) == TEST:
                    rates = target.elts[:2]  # the third are the thresholds
                    self.tested |= {(step.scope, path(each)) for each in rates}

    def _add(self, name: str, score: ast.expr, step: Step) -> None:
        seed = self.seed(step, name)
        if seed and self.is_score(score, step):
            self.seeds[step.scope, name] = seed
        elif self.part(score, step) == TEST and not in_folds(step):
            self.tested.add((step.scope, name))

    def _add_comprehension(self, name: str, made: ast.ListComp | ast.DictComp, step: Step) -> None:
        score = made.elt if isinstance(made, ast.ListComp) else made.value
        seed = next((each for each in map(seed_like, targets(made)) if each), "")
        if seed and self.is_score(score, step):
            self.seeds[step.scope, name] = seed
        elif self.part(score, step) == TEST:
            self.tested.add((step.scope, name))

    def is_score(self, node: ast.expr, step: Step) -> bool:
        """Whether an expression is a score, and not the objective that a model minimises."""
        spoken = {word for each in _spoken(node, step) for word in words(each)}
        return bool(spoken & SCORE_WORDS) and not spoken & OBJECTIVE

    def part(self, node: ast.expr, step: Step, depth: int = 0) -> str | None:
        """The part of the rows that a score was computed on, None where that is not sure."""
        if depth > DEEP:
            return None
        if node not in self._known:
            self._known[node] = None
            self._known[node] = self._part(node, step, depth)
        return self._known[node]

    def _part(self, node: ast.expr, step: Step, depth: int) -> str | None:
        if isinstance(node, ast.Name):
            known = named(node.id)
            if known and set(words(node.id)) & SCORE_WORDS:
                return known[0]
            bound = step.scope.binding(node.id, step)
            if bound is None or bound.looped or bound.step.number > step.number:
                return None
            return self.part(bound.value, bound.step, depth + 1)
        parts = {part for call in _scorings(node) for part in self._seen(call, step)}
        if not parts and isinstance(node, (ast.BinOp, ast.Call, ast.Subscript)):
            inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
            inner = [each for each in inner if not isinstance(each, (ast.Constant, ast.Attribute))]
            if not isinstance(node, ast.Call) or path(node.func) in ("float", "round", "np.mean"):
                found = {self.part(each, step, depth + 1) for each in inner} - {None}
                return found.pop() if len(found) == 1 else None
        return parts.pop() if len(parts) == 1 else None

    def _seen(self, call: ast.Call, step: Step) -> Iterator[str]:
        """The parts of the rows in the arguments of a scoring call."""
        for each in (*call.args, *(given.value for given in call.keywords)):
            for node in ast.walk(each):
                if isinstance(node, (ast.Name, ast.Attribute)):
                    name = node.id if isinstance(node, ast.Name) else node.attr
                    if part := self.rows.of_name(name):
                        yield part


def _scorings(node: ast.expr) -> Iterator[ast.Call]:
    """The calls in an expression that compute a score."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            name = path(each.func).rpartition(".")[2] or method(each)
            if name.startswith("cross_val"):
                continue
            spoken = JUDGING.intersection(words(name)) and not isinstance(each.func, ast.Attribute)
            share = name in ("mean", "sum") and _counts_hits(each)
            if METRIC.fullmatch(name) or spoken or share:
                yield each


def _counts_hits(call: ast.Call) -> bool:
    """Whether a call is like ``np.mean(predicted == y)`` or ``(predicted == y).mean()``."""
    given = call.args[0] if call.args else receiver(call)
    return isinstance(given, ast.Compare)


def _spoken(node: ast.expr, step: Step) -> Iterator[str]:
    """The names in an expression, and in what the name stands for."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
            bound = step.scope.binding(each.id, step)
            if bound and not bound.looped and bound.value is not node:
                yield from names(bound.value)
                yield from (a.attr for a in ast.walk(bound.value) if isinstance(a, ast.Attribute))
        elif isinstance(each, ast.Attribute):
            yield each.attr


def targets(node: ast.GeneratorExp | ast.ListComp | ast.DictComp) -> Iterator[str]:
    for each in node.generators:
        yield from names(each.target)


def seed_like(name: str) -> str:
    return name if name.lower() in SEEDS or name.lower().endswith("_seed") else ""


def _loop_seed(loop: Loop) -> str:
    if not isinstance(loop, (ast.For, ast.AsyncFor)):
        return ""
    targets = set(names(loop.target))
    for name in sorted(targets):
        if seed_like(name):
            return name
    for node in ast.walk(loop):
        if isinstance(node, ast.Call):
            for each in node.keywords:
                if each.arg in ("random_state", "seed") and path(each.value) in targets:
                    return path(each.value)
            seeding = "seed" in words(path(node.func).rpartition(".")[2])
            if seeding and node.args and path(node.args[0]) in targets:
                return path(node.args[0])
    return ""


def _is_start(value: ast.expr) -> bool:
    """Whether a value is what a search begins with: 0, None, -1, float("inf"), []."""
    if isinstance(value, ast.Call):
        return path(value.func) in ("dict", "float", "list")
    return isinstance(value, (ast.Constant, ast.UnaryOp, ast.List, ast.Dict)) or path(
        value
    ).endswith(".inf")


def in_folds(step: Step) -> bool:
    """Whether a step is repeated for each fold, whose test rows are there to choose by."""
    return any(
        isinstance(node, ast.Call) and method(node) == "split"
        for loop in step.loops
        if isinstance(loop, (ast.For, ast.AsyncFor))
        for node in ast.walk(loop.iter)
    )
