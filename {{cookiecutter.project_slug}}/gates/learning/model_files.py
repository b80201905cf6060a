"""ML409: models that are exchanged as pickles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..core.rules import Rule
from .flow import Flow, Step, argument, method, path, receiver
from .rows import Rows
from .wording import listed, words

ML409 = Rule(
    "ML409",
    "a model is exchanged as a pickle",
    "loading one runs whatever code is in the file, and it opens only with the versions that "
    "wrote it (the documentation of pickle and of scikit-learn warns of both)",
    "Save in the library's own format: save_model of XGBoost and LightGBM, state_dict with "
    "safetensors for torch, .keras, and ONNX or skops for scikit-learn",
    bad='joblib.dump(model, "model.joblib")',
    good='model.save_model("model.ubj")',
)
RULES = (ML409,)

Found = Iterator[tuple[Rule, ast.AST, str]]

PICKLERS = ("cloudpickle", "cPickle", "dill", "joblib", "pickle", "sklearn.externals.joblib")
MODEL = listed(
    """
    booster classifier clf encoder estimator forest gbm imputer kmeans knn lgbm model models pca
    pipe pipeline predictor preprocessor reg regressor rf scaler svc svm tfidf tokenizer
    transformer vectorizer xgb
    """
)
MODULE = {"classifier", "cnn", "decoder", "discriminator", "encoder", "generator", "model", "net"}
NOT_MODEL = listed(
    """
    accuracy checkpoint ckpt cols columns config data dataset df dict embedding embeddings
    encoded features file folder frame history id importance importances info input inputs list
    loss losses metrics name names output outputs param parameters params path pred prediction
    predictions preds report result results scaled score scores state stats summary transformed
    values weights
    """
)


def pickled(flow: Flow, rows: Rows) -> Found:
    """ML409."""
    for step, call in flow.calls():
        library, _, name = (flow.full(call) or path(call.func)).rpartition(".")
        if library in PICKLERS and name == "dump":
            what = argument(call, 0, "obj", "value")
            if what and (_is_model(flow, what, step) or _names_model(call, 1, step)):
                yield ML409, call, f"a model is written with {library}.dump"
        elif library in PICKLERS and name == "load":
            if _names_model(call, 0, step) or any(
                _is_called_model(each) for each, _ in _targets(step, call)
            ):
                yield ML409, call, f"a model is read with {library}.load"
        elif (library, name) == ("torch", "save") and call.args:
            what = call.args[0]
            if isinstance(what, (ast.Name, ast.Attribute)) and _is_module(flow, what, step):
                yield ML409, call, "torch.save of a whole model is a pickle; save its state_dict()"


def _targets(step: Step, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    for name, value in step.bound:
        if value is call:
            yield name, value
    if isinstance(step.node, ast.Assign) and step.node.value is call:
        for target in step.node.targets:
            if isinstance(target, ast.Attribute):
                yield target.attr, call


def _is_called_model(name: str) -> bool:
    spoken = set(words(name))
    return bool(spoken & MODEL) and not spoken & NOT_MODEL


def _is_model(flow: Flow, node: ast.expr, step: Step) -> bool:
    if isinstance(node, (ast.Tuple, ast.List)):
        return any(_is_model(flow, each, step) for each in node.elts)
    if isinstance(node, ast.Dict):
        return any(_is_model(flow, each, step) for each in node.values)
    if isinstance(node, ast.Attribute):
        return node.attr == "best_estimator_" or _is_called_model(node.attr)
    if not isinstance(node, ast.Name):
        return False
    if _is_called_model(node.id):
        return True
    made = flow.maker(node, step)
    module, _, name = (flow.full(made) if made else "").rpartition(".")
    learner = module.startswith("sklearn.") and module != "sklearn.utils" and name[:1].isupper()
    return learner or name.endswith(("Classifier", "Regressor"))


def _is_module(flow: Flow, node: ast.expr, step: Step) -> bool:
    last = path(node).rpartition(".")[2]
    spoken = set(words(last))
    if not spoken & MODULE or spoken & NOT_MODEL:
        return False
    made = flow.maker(node, step)
    return not (made and method(made) in ("state_dict", "copy", "deepcopy", "detach", "cpu"))


def _names_model(call: ast.Call, place: int, step: Step) -> bool:
    """Whether the file that is written or read is named like a model."""
    file = argument(call, place, "file", "filename", "fp")
    for _ in range(3):
        if isinstance(file, ast.Name) and (bound := step.scope.binding(file.id, step)):
            file = bound.value
        elif isinstance(file, ast.Call):
            file = file.args[0] if file.args else receiver(file)
    text = " ".join(
        each.value
        for each in (ast.walk(file) if file else ())
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    )
    last = re.split(r"[/\\]", text.strip())[-1]
    stem, dot, _ = last.partition(".")
    return bool(dot) and _is_called_model(stem)
