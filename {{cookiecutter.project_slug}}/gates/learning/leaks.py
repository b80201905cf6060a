"""ML403: what was fitted on all rows before they were split."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..core.rules import Rule
from .estimators import LEAKING, RESAMPLERS, SELECTORS, kind
from .flow import Flow, Scope, Step, argument, axes, base, method, path, receiver
from .rows import TEST, TRAIN, VALID, Rows

ML403 = Rule(
    "ML403",
    "a transformer is fitted before the split",
    "it has seen the test rows. How much that flatters the score differs: for a scaler hardly ever "
    "(at most 0.005 of AUC where it was measured, arXiv 2604.04199); choosing columns by the "
    "target, or resampling, can make noise look like skill (Ambroise and McLachlan 2002, Selection "
    "bias in gene extraction; Kapoor and Narayanan 2023)",
    "Split first and fit on the training rows, best in a Pipeline, which cross-validation fits "
    "anew in every fold",
    bad="""\
X_best = SelectKBest(k=20).fit_transform(X, y)
X_train, X_test, y_train, y_test = train_test_split(X_best, y, random_state=seed)
model = Ridge().fit(X_train, y_train)""",
    good="""\
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
model = make_pipeline(SelectKBest(k=20), Ridge()).fit(X_train, y_train)""",
)
RULES = (ML403,)

Found = Iterator[tuple[Rule, ast.AST, str]]

FITS = {"fit", "fit_resample", "fit_sample", "fit_transform"}
OPAQUE = {"fit_predict", "kneighbors", "predict", "predict_proba", "score"}
FACTS = {"columns", "dtype", "dtypes", "index", "ndim", "shape", "size"}
CROSS_VALIDATION = {"cross_val_predict", "cross_val_score", "cross_validate"}
Fits = dict[ast.Call, frozenset[str] | None]


def before_split(flow: Flow, rows: Rows) -> Found:
    """ML403."""
    for scope in flow.scopes:
        yield from _Leaks(flow, rows, scope).found()


class _Leaks:
    """Follows what is fitted on all rows of a scope, until a split cuts it in parts.

    With each name goes what was fitted to make it, and the columns it is in where these are known.
    """

    def __init__(self, flow: Flow, rows: Rows, scope: Scope) -> None:
        self.flow, self.rows, self.scope = flow, rows, scope
        self.leaks: dict[ast.Call, str] = {}  # calls that learn from all rows, and their class
        self.fitted: dict[str, tuple[ast.Call, str]] = {}  # transformers, and the rows they saw
        self.split: set[str] = set()  # names whose rows were split already
        self.carried: dict[str, Fits] = {}
        self.reported: set[ast.Call] = set()
        self.sliced = self._sliced()

    def found(self) -> Found:
        if not any(method(call) in FITS for step in self.scope.steps for call in step.calls):
            return
        for step in self.scope.steps:
            for call in step.calls:
                yield from self._learn(call, step)
            for what in self._splits(step):
                self.split.add(base(what))
                yield from self._report(self._fits(what), step)
            for call in step.calls:
                seen = self._seen(receiver(call)) if method(call) == "transform" else None
                part = self.rows.of(argument(call, 0, "X"), step) if seen else None
                if seen and seen[1] in self.split and part in (TRAIN, TEST):
                    yield from self._report({seen[0]: None}, step)
            self._assign(step)

    def _report(self, fits: Fits, step: Step) -> Found:
        for fit in fits:
            if fit not in self.reported:
                self.reported.add(fit)
                yield ML403, fit, self._said(fit, step)

    def _learn(self, call: ast.Call, step: Step) -> Found:
        if method(call) not in FITS:
            return
        self.fitted.pop(path(receiver(call)), None)
        data = argument(call, 0, "X")
        name = kind(self.flow, receiver(call), step) if data else ""
        if data is None or name not in LEAKING:
            return
        part = self.rows.of(data, step)
        parts = self.rows.joined(data, step) if part is None else []
        if TRAIN in parts and TEST in parts:
            self.reported.add(call)
            yield ML403, call, f"{name} is fitted on training and test rows together"
        elif part is None or (part == TRAIN and name in SELECTORS | RESAMPLERS):
            self.leaks[call] = name
            if method(call) == "fit":
                on = step.node.targets[0] if isinstance(step.node, ast.Assign) else receiver(call)
                for each in {path(on), path(receiver(call))} - {""}:
                    self.fitted[each] = call, base(data)

    def _said(self, fit: ast.Call, step: Step) -> str:
        name = self.leaks[fit]
        place = self.flow.program.place(step.node)
        where = f"cell {place.cell}, line {place.line}" if place.cell else f"line {place.line}"
        text = f"{name} is fitted on all rows, those to test on included (split: {where})"
        if name in SELECTORS:
            text += "; it looks at the target, so even noise would score well"
        elif name in RESAMPLERS:
            text += "; the rows to test on are resampled as well"
        return text

    def _splits(self, step: Step) -> Iterator[ast.expr]:
        """What is split by a statement."""
        for call in step.calls:
            name = self.flow.called(call)
            if name == "train_test_split":
                yield from call.args
            elif name in CROSS_VALIDATION:
                if data := argument(call, 1, "X"):
                    yield data
            elif method(call) == "split" and call.args:
                made = self.flow.maker(receiver(call), step)
                if made and (self.flow.called(made) or "").endswith(("Fold", "Split")):
                    yield call.args[0]
        for name, value in step.bound:
            sliced = self._slice(value)
            if sliced and self.rows.of_name(name) and self._is_cut(sliced):
                yield value

    def _is_cut(self, name: str) -> bool:
        parts = self.sliced[name]
        return TRAIN in parts and bool(parts & {TEST, VALID})

    def _sliced(self) -> dict[str, set[str | None]]:
        """The parts that are cut off names by slices: ``train = scaled[:count]``."""
        found: dict[str, set[str | None]] = {}
        for name, bindings in self.scope.bindings.items():
            for bound in bindings:
                if sliced := self._slice(bound.value):
                    found.setdefault(sliced, set()).add(self.rows.of_name(name))
        return found

    @staticmethod
    def _slice(value: ast.expr) -> str:
        if not isinstance(value, ast.Subscript):
            return ""
        first = next(iter(axes(value)), None)
        cut = isinstance(first, ast.Slice) and (first.lower or first.upper)
        return base(value) if cut else ""

    def _fits(self, expression: ast.expr) -> Fits:
        """What was fitted to make an expression."""
        found: Fits = {}
        rest: list[ast.AST] = [expression]
        while rest:
            node = rest.pop()
            if isinstance(node, ast.Call):
                if node in self.leaks and method(node) != "fit":
                    found[node] = None
                if method(node) in OPAQUE:
                    continue
                if method(node) == "transform" and (seen := self._seen(receiver(node))):
                    fit, data = seen
                    if node.args and base(node.args[0]) == data:
                        found[fit] = None
                if method(node) == "drop" and isinstance(receiver(node), ast.Name):
                    dropped = self._constants(argument(node, 0, "columns", "labels"))
                    for fit, columns in self._of_name(path(receiver(node))).items():
                        if columns is None or not dropped or columns - dropped:
                            found[fit] = columns
                    continue
            if isinstance(node, ast.Attribute):
                if node.attr in FACTS:
                    continue
                seen = self._seen(node.value)
                if seen and self.leaks[seen[0]] in SELECTORS and node.attr != "transform":
                    found[seen[0]] = None
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                read = self._constants(node.slice)
                for fit, columns in self._of_name(node.value.id).items():
                    if columns is None or (read and columns & read):
                        found[fit] = None
                rest.append(node.slice)
                continue
            if isinstance(node, ast.Name):
                found |= self._of_name(node.id)
            rest += ast.iter_child_nodes(node)
        return found

    def _of_name(self, name: str) -> Fits:
        return self.carried.get(name, {})

    def _seen(self, node: ast.expr) -> tuple[ast.Call, str] | None:
        return self.fitted.get(path(node))

    def _constants(self, node: ast.expr | None) -> frozenset[str]:
        """The column names that an expression lists, as far as they can be read off."""
        if isinstance(node, ast.Name):
            bound = self.scope.bindings.get(node.id)
            node = bound[-1].value if bound else node
        each = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]
        return frozenset(
            item.value
            for item in each
            if isinstance(item, ast.Constant) and isinstance(item.value, str)
        )

    def _assign(self, step: Step) -> None:
        node = step.node
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            return
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        fits = self._fits(node.value)
        for target in targets:
            for part in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                if isinstance(part, ast.Name):
                    self.carried[part.id] = fits
                    if base(node.value) != part.id:
                        self._forget(part.id, step)
                elif isinstance(part, (ast.Subscript, ast.Attribute)) and (name := base(part)):
                    into = self._columns(part)
                    self.carried[name] = {**dict.fromkeys(fits, into), **self._of_name(name)}

    def _forget(self, name: str, step: Step) -> None:
        """The name stands for something else from here on."""
        self.split.discard(name)
        self.fitted = {
            on: (fit, data)
            for on, (fit, data) in self.fitted.items()
            if data != name and (on != name or fit in step.calls)
        }

    def _columns(self, target: ast.Subscript | ast.Attribute) -> frozenset[str] | None:
        if isinstance(target, ast.Attribute):
            return frozenset([target.attr])
        several = axes(target)
        last = self._constants(several[-1]) if several else None
        return last or self._constants(target.slice) or None
