"""The well-known classes that learn something from rows, by what they do."""

from __future__ import annotations

import ast

from .flow import Flow, Step, names
from .wording import listed, words

LIBRARIES = ("sklearn", "imblearn", "cuml", "dask_ml", "category_encoders", "feature_engine")
SCALERS = listed(
    """
    KBinsDiscretizer MaxAbsScaler MinMaxScaler PowerTransformer QuantileTransformer RobustScaler
    SplineTransformer StandardScaler
    """
)
IMPUTERS = {"Imputer", "IterativeImputer", "KNNImputer", "SimpleImputer"}
VECTORIZERS = {"CountVectorizer", "TfidfTransformer", "TfidfVectorizer"}
DECOMPOSERS = listed(
    """
    FactorAnalysis FastICA IncrementalPCA KernelPCA NMF PCA TruncatedSVD
    """
)
SELECTORS = listed(
    """
    BorutaPy GenericUnivariateSelect RFE RFECV SelectFdr SelectFpr SelectFromModel SelectFwe
    SelectKBest SelectPercentile SequentialFeatureSelector
    """
)
RESAMPLERS = listed(
    """
    ADASYN AllKNN BorderlineSMOTE ClusterCentroids EditedNearestNeighbours KMeansSMOTE NearMiss
    RandomOverSampler RandomUnderSampler SMOTE SMOTEENN SMOTEN SMOTENC SMOTETomek SVMSMOTE
    TomekLinks
    """
)
ENCODERS = listed(
    """
    DictVectorizer LabelBinarizer LabelEncoder MultiLabelBinarizer OneHotEncoder OrdinalEncoder
    """
)
# What they learn from test rows is in the score; codes of categories are not.
LEAKING = (
    SCALERS | IMPUTERS | VECTORIZERS | DECOMPOSERS | SELECTORS | RESAMPLERS | {"TargetEncoder"}
)
TRANSFORMERS = LEAKING | ENCODERS
STATELESS = listed(
    """
    Binarizer FunctionTransformer HashingVectorizer Normalizer PolynomialFeatures
    """
)
COMPOSED = {"ColumnTransformer", "Pipeline", "make_column_transformer", "make_pipeline"}
TRANSFORMER_WORDS = listed(
    """
    enc encoder imp imputer le mms ohe preprocessor sc scalar scaler ss tfidf tokenizer vect
    vectorizer
    """
)


def kind(flow: Flow, node: ast.expr, step: Step) -> str:
    """The class of an object, or nothing; of a pipeline the class inside that leaks most."""
    made = flow.maker(node, step)
    name = flow.called(made, LIBRARIES) if made else ""
    if made and name in COMPOSED:
        inside = _inside(flow, made, step)
        worst = (sorted(inside & group) for group in (SELECTORS, LEAKING))
        return next((found[0] for found in worst if found), name)
    return name


def _inside(flow: Flow, made: ast.Call, step: Step, depth: int = 0) -> set[str]:
    found = {flow.called(each, LIBRARIES) for each in ast.walk(made) if isinstance(each, ast.Call)}
    for name in names(made):
        bound = step.scope.binding(name, step) if depth < 3 else None
        if bound and isinstance(bound.value, ast.Call) and bound.step.number < step.number:
            found |= _inside(flow, bound.value, bound.step, depth + 1)
    return found


def is_transformer(flow: Flow, node: ast.expr, step: Step) -> bool:
    """Whether an object is a known transformer, or of unknown class and named like one."""
    name = kind(flow, node, step)
    if name or not isinstance(node, (ast.Name, ast.Attribute)):
        return name in TRANSFORMERS
    called = node.id if isinstance(node, ast.Name) else node.attr
    return not flow.maker(node, step) and bool(TRANSFORMER_WORDS.intersection(words(called)))
