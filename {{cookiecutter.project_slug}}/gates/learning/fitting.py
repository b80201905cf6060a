"""ML401, ML402: what learns from held-back rows, or anew from every batch."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..core.rules import Rule
from .estimators import (
    ENCODERS,
    IMPUTERS,
    RESAMPLERS,
    SCALERS,
    SELECTORS,
    STATELESS,
    TRANSFORMERS,
    VECTORIZERS,
    is_transformer,
    kind,
)
from .flow import (
    LOOPS,
    Flow,
    Step,
    argument,
    base,
    is_constant,
    keyword,
    method,
    names,
    path,
    receiver,
)
from .rows import TEST, TRAIN, VALID, Rows
from .wording import listed, words

ML401 = Rule(
    "ML401",
    "something is fitted on test or validation rows",
    "the rows that judge a model have then helped to make it, or were put on another scale than "
    "the one it learnt: the score is not that of new rows (Kaufman et al. 2012, Leakage in data "
    "mining; Kapoor and Narayanan 2023, Leakage and the reproducibility crisis)",
    "Fit on the training rows; for all others call transform or predict",
    bad="""\
scaler = StandardScaler()
train_rows = scaler.fit_transform(X_train)
test_rows = scaler.fit_transform(X_test)""",
    good="""\
scaler = StandardScaler()
train_rows = scaler.fit_transform(X_train)
test_rows = scaler.transform(X_test)""",
)
ML402 = Rule(
    "ML402",
    "a transformer is fitted anew on every batch",
    "the same value becomes another number in every batch, and what comes out depends on the "
    "batch size; a single row to predict on has no batch at all",
    "Fit once on the training rows before the batches, or learn with partial_fit in a pass of its "
    "own; in the batch call transform",
    bad="""\
def scaled(batch):
    return StandardScaler().fit_transform(batch)""",
    good="""\
def scaled(batch, scaler):
    return scaler.transform(batch)""",
)
RULES = (ML401, ML402)

Found = Iterator[tuple[Rule, ast.AST, str]]

FITS = {"fit", "fit_transform", "fit_resample", "fit_sample", "fit_on_texts", "partial_fit"}
# On held-back rows these are right: calibration, stacking, thresholds; and they describe rows
# rather than learn to predict.
MEANT_FOR_HELD_BACK = listed(
    """
    adapt anomaly blend blender calib calibrate calibrated calibration calibrator cluster
    conformal dbscan density describer detector drift explainer importance importances isotonic kde
    kmeans mapie means meta mixture nbrs neighbors nn oracle perm permutation platt reducer shap
    stack stacked stacker stacking surrogate temperature tsne umap
    """
)
NOT_LEARNING = ("lifelines.", "matplotlib.", "numpy.", "scipy.", "statsmodels.")
GUESSES = listed(
    """
    hat logit logits pred predicted prediction predictions preds prob proba
    """
)


def on_held_back(flow: Flow, rows: Rows) -> Found:
    """ML401."""
    for step, call in flow.calls():
        name = method(call)
        data = argument(call, 0, "X", "x") if name in FITS else None
        if data is None or flow.full(call).startswith(NOT_LEARNING):
            continue
        part = rows.of(data, step)
        if part not in (TEST, VALID) or (name == "partial_fit" and not _judged(rows, step, part)):
            continue
        if _is_learning(flow, rows, call, step, part):
            shown = path(call.func) or name
            yield ML401, call, f"{shown} gets {part} rows ({path(data) or base(data)})"


def _judged(rows: Rows, fit: Step, part: str) -> bool:
    """Whether rows are scored after a fit outside of loops; before it, it is learning online."""
    return not fit.loops and any(
        method(call) in ("evaluate", "predict", "predict_proba", "score")
        and rows.of(argument(call, 0, "X"), step) == part
        for step in fit.scope.steps[fit.scope.steps.index(fit) :]
        for call in step.calls
    )


def _is_learning(flow: Flow, rows: Rows, call: ast.Call, step: Step, part: str) -> bool:
    """Whether a fit on held-back rows is surely meant to learn what is used afterwards."""
    on = receiver(call)
    name = kind(flow, on, step)
    made = flow.maker(on, step)
    spoken = set(words(name)) | {word for each in names(on) for word in words(each)}
    spoken |= set(words(flow.called(made))) if made else set()
    if name in STATELESS or spoken & MEANT_FOR_HELD_BACK:
        return False
    target = argument(call, 1, "y")
    if target is not None and any(GUESSES.intersection(words(each)) for each in names(target)):
        return False
    if made and is_constant(keyword(made, "cv"), "prefit"):
        return False
    if method(call) == "fit_on_texts":
        return True
    if name in SCALERS | IMPUTERS | VECTORIZERS | ENCODERS | SELECTORS | RESAMPLERS:
        return True
    if is_transformer(flow, on, step) and name not in TRANSFORMERS:
        return True
    if target is not None and rows.of(target, step) == part:
        return True
    return _also_on_training(flow, rows, path(on))


def _also_on_training(flow: Flow, rows: Rows, on: str) -> bool:
    return bool(on) and any(
        method(call) in FITS
        and path(receiver(call)) == on
        and rows.of(argument(call, 0, "X", "x"), step) == TRAIN
        for step, call in flow.calls()
    )


BATCH = {"batch", "chunk", "minibatch", "partition"}
NOT_DATA = listed(
    """
    end id idx index len n name num number path per size start
    """
)
BY_BATCH = {"foreachBatch", "mapInPandas", "map_batches", "map_partitions"}


def per_batch(flow: Flow, rows: Rows) -> Found:
    """ML402."""
    mapped = {
        call.args[0].id
        for _, call in flow.calls()
        if method(call) in BY_BATCH and call.args and isinstance(call.args[0], ast.Name)
    }
    for scope in flow.scopes:
        batches = {name for name in scope.arguments if _is_batch(name)}
        if scope.node and scope.node.name in mapped:
            batches |= set(scope.arguments[:1])
        for step in scope.steps:
            for call in step.calls:
                if method(call) not in ("fit", "fit_transform"):
                    continue
                data = argument(call, 0, "X")
                learner = receiver(call)
                if data and base(data) in batches and is_transformer(flow, learner, step):
                    yield ML402, call, ""
            for name, value in step.bound:
                if base(value) in batches or (
                    isinstance(step.node, LOOPS) and (_is_batch(name) or _reads_chunks(step, value))
                ):
                    batches.add(name)
                elif name not in scope.arguments:
                    batches.discard(name)


def _is_batch(name: str) -> bool:
    spoken = set(words(name))
    return bool(spoken & BATCH) and not spoken & NOT_DATA


def _reads_chunks(step: Step, value: ast.expr) -> bool:
    if isinstance(value, ast.Name):
        bound = step.scope.binding(value.id, step)
        value = bound.value if bound else value
    return isinstance(value, ast.Call) and keyword(value, "chunksize") is not None
