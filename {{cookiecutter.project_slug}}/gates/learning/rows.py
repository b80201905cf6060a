"""Which rows a name or an expression holds: those to train, to validate or to test on."""

from __future__ import annotations

import ast
import re
from functools import cached_property, lru_cache

from .flow import DEEP, Flow, Step, argument, axes, method, receiver
from .wording import listed, words

TRAIN, VALID, TEST = "training", "validation", "test"
KINDS = {
    TRAIN: "train|training|trn|tr",
    VALID: "valid|validate|validation|val|dev",
    TEST: "test|testing|tst|holdout|heldout",
}
PARTS = {
    part: re.compile(rf"([xyd]?)(?:{kind})(sets?|data|df|ds|x|y|loader|gen)?")
    for part, kind in KINDS.items()
}
# `test_scaler` and `y_test_pred` are not rows.
NOT_ROWS = listed(
    """
    acc accuracy auc classifier clf count dir encoder error errors estimator f1 file frac
    fraction group groups hat len length logit logits loss losses mae metric metrics mode model
    mse n name names net num path pred predicted prediction predictions preds prob proba probas
    probs ratio resid residual residuals rmse samples scaler score scores size split statistic
    step steps time url
    """
)
PICKS = {"id", "ids", "idx", "idxs", "index", "indexes", "indices", "ind", "inds", "mask", "rows"}
# Calls whose result holds the rows of their first argument.
SAME_ROWS = listed(
    """
    DMatrix DataFrame DataLoader Dataset Pool Series Tensor TensorDataset array asarray
    ascontiguousarray csr_matrix expand_dims fit_transform float32 from_numpy from_pandas
    from_tensor_slices list ravel reshape squeeze tensor to_categorical transform tuple
    """
)
TOGETHER = {"append", "concat", "concatenate", "hstack", "vstack", "r_"}


@lru_cache(maxsize=4096)
def named(name: str) -> tuple[str, str] | None:
    """The part that a name tells, and the rest of the name, which is equal in its siblings."""
    parts: set[str] = set()
    rest: list[str] = []
    for word in words(name):
        found = next(
            ((part, m) for part, like in PARTS.items() if (m := like.fullmatch(word))), None
        )
        parts |= {found[0]} if found else set()
        rest.append(f"{found[1][1]}*{found[1][2] or ''}" if found else word)
    return (parts.pop(), " ".join(rest)) if len(parts) == 1 else None


class Rows:
    """Tells the part of expressions, by their names and by the splits they come from.

    A name such as ``test`` means test rows only in a file that has training rows too.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._known: dict[ast.expr, str | None] = {}

    @cached_property
    def _trained(self) -> set[str]:
        found: set[str] = set()
        for node in self.flow.program.walk():
            name = getattr(node, "id", None) or getattr(node, "attr", None)
            name = name or getattr(node, "arg", None)
            if isinstance(name, str) and (known := named(name)) and known[0] == TRAIN:
                found.add(known[1])
        return found

    def of_name(self, name: str) -> str | None:
        known = named(name)
        if known is None or NOT_ROWS.intersection(words(name)):
            return None
        part, rest = known
        if part == VALID and rest not in self._trained:
            return None  # a value, a development machine, rows that are not missing
        return part if self._trained else None

    def of(self, node: ast.expr | None, step: Step, depth: int = 0) -> str | None:
        """The part that all rows of an expression belong to, None where that is not sure."""
        if node is None or depth > DEEP:
            return None
        if node not in self._known:
            self._known[node] = None  # of a name that is made of itself nothing is known
            self._known[node] = self._of(node, step, depth)
        return self._known[node]

    def _of(self, node: ast.expr, step: Step, depth: int) -> str | None:
        if isinstance(node, ast.Name):
            return self.of_name(node.id) or self._of_bound(node.id, step, depth + 1)
        if isinstance(node, ast.Attribute):
            return self.of_name(node.attr) or self.of(node.value, step, depth + 1)
        if isinstance(node, ast.Subscript):
            return self._of_subscript(node, step, depth + 1)
        if isinstance(node, ast.Call):
            name = method(node) or getattr(node.func, "id", "")
            if name in TOGETHER:
                return self._same(self.joined(node, step, depth + 1))
            if name in SAME_ROWS:
                first = argument(node, 0, "data", "X")
                return self.of(first, step, depth + 1) if first else None
            if isinstance(node.func, ast.Attribute):
                return self.of(node.func.value, step, depth + 1)
        if isinstance(node, ast.BinOp):
            both = [self.of(each, step, depth + 1) for each in (node.left, node.right)]
            return self._same([part for part in both if part])
        if isinstance(node, (ast.Tuple, ast.List)):
            return self._same([self.of(each, step, depth + 1) for each in node.elts])
        return None

    def joined(self, node: ast.expr, step: Step, depth: int = 0) -> list[str | None]:
        """The parts of what is put together, as by ``pd.concat([X_train, X_test])``."""
        while isinstance(node, (ast.Subscript, ast.Attribute)):
            node = node.value
        if depth > DEEP:
            return []
        if isinstance(node, ast.Name):
            bound = step.scope.binding(node.id, step)
            if bound is None or bound.index is not None or bound.looped or self.of_name(node.id):
                return []
            return self.joined(bound.value, bound.step, depth + 1)
        if not (isinstance(node, ast.Call) and node.args):
            return []
        if (method(node) or getattr(node.func, "id", "")) not in TOGETHER:
            inner = receiver(node) if isinstance(node.func, ast.Attribute) else node
            return self.joined(inner, step, depth + 1) if inner is not node else []
        first = node.args[0]
        several = first.elts if isinstance(first, (ast.Tuple, ast.List)) else node.args[:1]
        if method(node) == "append" and not self.flow.full(node):
            several = [receiver(node), *several]
        return [self.of(each, step, depth + 1) for each in several]

    def _of_bound(self, name: str, step: Step, depth: int) -> str | None:
        bound = step.scope.binding(name, step)
        if bound is None or bound.looped:
            return None
        if bound.index is None:
            return self.of(bound.value, bound.step, depth)
        if not (isinstance(bound.value, ast.Call) and self._splits(bound.value)):
            return None
        if any(  # what is split once more is not yet a test set
            isinstance(each, ast.Name) and each.id == name
            for other in bound.step.scope.steps
            for call in other.calls
            if self._splits(call)
            for each in call.args
        ):
            return None
        return (TRAIN, TEST)[bound.index % 2]

    def _splits(self, call: ast.Call) -> bool:
        return self.flow.called(call) == "train_test_split"

    def _of_subscript(self, node: ast.Subscript, step: Step, depth: int) -> str | None:
        if part := self.of(node.value, step, depth):
            moving = isinstance(node.slice, ast.Slice) and not all(
                edge is None or isinstance(edge, (ast.Constant, ast.UnaryOp))
                for edge in (node.slice.lower, node.slice.upper)
            )
            return None if moving else part  # in a loop, rows of the past may be learnt from
        picked = next(iter(axes(node)), None)
        if isinstance(picked, ast.Name) and PICKS.intersection(words(picked.id)):
            return self.of_name(picked.id)
        return None

    @staticmethod
    def _same(parts: list[str | None]) -> str | None:
        return parts[0] if len(set(parts)) == 1 else None
