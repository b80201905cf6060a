"""ML408: a score that is called what it is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..core.rules import Rule
from .flow import LOOPS, Flow, method, path, receiver
from .rows import TEST, TRAIN, VALID, Rows, named
from .scores import SCORE_WORDS, Scores
from .wording import words

ML408 = Rule(
    "ML408",
    "a score on training rows is called a test score",
    "a model can know its training rows by heart; the reader takes that for skill on new rows "
    "(Kapoor and Narayanan 2023: no test set is the first kind of leakage)",
    "Score the test rows, or call it a training score",
    bad="test_score = model.score(X_train, y_train)",
    good="test_score = model.score(X_test, y_test)",
)
RULES = (ML408,)

Found = Iterator[tuple[Rule, ast.AST, str]]

SCORE_LABEL = re.compile(
    r"\b(test|testing|validation|val|hold-?out)[ _-]*(set|data)?[ _-]*"
    r"(acc|accuracy|auc|error|f1|loss|mae|mse|precision|r2|r\^2|recall|rmse|roc|score)"
    r"|(acc|accuracy|auc|error|f1|loss|mae|mse|precision|r2|r\^2|recall|rmse|score)[ \w]{0,12} "
    r"(on|of|for|in)( the)? (test|validation|hold-?out)",
    re.IGNORECASE,
)


def misnamed(flow: Flow, rows: Rows) -> Found:
    """ML408."""
    scores = Scores(flow, rows)
    for step in flow.steps:
        for name, value in step.bound:
            known = named(name)
            if (
                known
                and known[0] in (TEST, VALID)
                and set(words(name)) & SCORE_WORDS
                and not isinstance(step.node, LOOPS)
                and scores.part(value, step) == TRAIN
            ):
                yield ML408, step.node, f"'{name}' is a score on training rows"
        for call in step.calls:
            if path(call.func) == "print":
                for label, value in _labelled(call):
                    misled = SCORE_LABEL.search(label) and not re.search("train", label, re.I)
                    if misled and scores.part(value, step) == TRAIN:
                        said = " ".join(label.split())[-40:]
                        yield ML408, call, f"'{said}' is followed by a score on training rows"


def _labelled(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """Each value that is printed, with the text before it."""
    label = ""
    parts: list[ast.expr] = []
    for each in call.args:
        if isinstance(each, ast.JoinedStr):
            parts += each.values
        elif (
            isinstance(each, ast.Call)
            and method(each) == "format"
            and isinstance(receiver(each), ast.Constant)
        ):
            parts += [receiver(each), *each.args[:1]]
        elif isinstance(each, ast.BinOp) and isinstance(each.left, ast.Constant):
            parts += [each.left, each.right]
        else:
            parts.append(each)
    for part in parts:
        if isinstance(part, ast.Constant):
            label += str(part.value)
        else:
            yield label, part.value if isinstance(part, ast.FormattedValue) else part
            label = ""
