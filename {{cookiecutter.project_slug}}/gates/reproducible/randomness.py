"""NB202-NB204: random numbers without a seed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..core.programs import Program
from ..core.rules import Rule
from .code import Code, Found, sets_a_seed, shown, without_value

NB202 = Rule(
    "NB202",
    "random numbers without a seed",
    "every run draws other numbers, so that nobody can get this result again",
    "Draw from a generator that is made with a seed: rng = np.random.default_rng(7); "
    "for torch: torch.manual_seed(7)",
    bad="import numpy as np\nnoise = np.random.normal(size=100)",
    good="import numpy as np\nrng = np.random.default_rng(7)\nnoise = rng.normal(size=100)",
)
NB203 = Rule(
    "NB203",
    "a random estimator without random_state",
    "every run fits another model, and the difference is easily taken for progress",
    "Pass random_state=, from one seed for the whole notebook",
    bad="from sklearn.ensemble import RandomForestClassifier\n"
    "forest = RandomForestClassifier(n_estimators=50)",
    good="from sklearn.ensemble import RandomForestClassifier\n"
    "forest = RandomForestClassifier(n_estimators=50, random_state=7)",
)
NB204 = Rule(
    "NB204",
    "rows are sampled without a seed",
    "every run looks at other rows, and each number computed from them changes",
    "Pass random_state= (polars and Spark: seed=)",
    bad="import pandas as pd\nclicks = pd.DataFrame(dict(user=range(9)))\n"
    "few = clicks.sample(frac=0.5)",
    good="import pandas as pd\nclicks = pd.DataFrame(dict(user=range(9)))\n"
    "few = clicks.sample(frac=0.5, random_state=7)",
)


GENERATORS = {"numpy.random.default_rng", "numpy.random.RandomState", "random.Random"}
DRAWING = {  # of the module: what draws numbers by its global generator
    "random": "betavariate choice choices expovariate gammavariate gauss getrandbits "
    "lognormvariate normalvariate paretovariate randbytes randint random randrange sample "
    "shuffle triangular uniform vonmisesvariate weibullvariate",
    "numpy.random": "beta binomial bytes chisquare choice dirichlet exponential f gamma "
    "geometric gumbel hypergeometric laplace logistic lognormal logseries multinomial "
    "multivariate_normal negative_binomial noncentral_chisquare noncentral_f normal pareto "
    "permutation poisson power rand randint randn random random_integers random_sample ranf "
    "rayleigh sample shuffle standard_cauchy standard_exponential standard_gamma "
    "standard_normal standard_t triangular uniform vonmises wald weibull zipf",
    "torch": "bernoulli multinomial normal poisson rand rand_like randint randint_like randn "
    "randn_like randperm",
    "tensorflow.random": "categorical gamma normal poisson shuffle truncated_normal uniform",
}
DRAWS = {f"{module}.{name}": module for module, names in DRAWING.items() for name in names.split()}
ESTIMATORS = """
    RandomForestClassifier RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor
    RandomTreesEmbedding BaggingClassifier BaggingRegressor GradientBoostingClassifier
    GradientBoostingRegressor IsolationForest DecisionTreeClassifier DecisionTreeRegressor
    ExtraTreeClassifier ExtraTreeRegressor MLPClassifier MLPRegressor BernoulliRBM SGDClassifier
    SGDRegressor SGDOneClassSVM Perceptron PassiveAggressiveClassifier PassiveAggressiveRegressor
    RANSACRegressor KMeans MiniBatchKMeans BisectingKMeans SpectralClustering TSNE MDS FastICA
    LatentDirichletAllocation TruncatedSVD DictionaryLearning MiniBatchDictionaryLearning
    GaussianMixture BayesianGaussianMixture RandomizedSearchCV HalvingRandomSearchCV
    ParameterSampler GaussianRandomProjection SparseRandomProjection RBFSampler Nystroem
    permutation_importance shuffle resample make_blobs make_classification make_regression
    make_moons make_circles make_swiss_roll make_s_curve make_gaussian_quantiles make_friedman1
    make_friedman2 make_friedman3 make_low_rank_matrix make_multilabel_classification
    make_biclusters make_checkerboard make_hastie_10_2 make_spd_matrix make_sparse_spd_matrix
    make_sparse_coded_signal make_sparse_uncorrelated
"""
RANDOM = set(ESTIMATORS.split())
RANDOM_WITH: dict[str, list[set[tuple[str, object]]]] = {  # random only with these arguments
    "PCA": [{("svd_solver", "randomized")}],
    "LogisticRegression": [
        {("solver", "sag")},
        {("solver", "saga")},
        {("solver", "liblinear"), ("penalty", "l1")},
        {("solver", "liblinear"), ("dual", True)},
    ],
    "Ridge": [{("solver", "sag")}, {("solver", "saga")}],
    "Lasso": [{("selection", "random")}],
    "ElasticNet": [{("selection", "random")}],
    "SVC": [{("probability", True)}],
}
STATES = {"random_state", "seed", "generator", "rng", "random_seed"}


def _random(code: Code) -> Iterator[Found]:
    seeds = [call.lineno for call, _ in code.calls if sets_a_seed(call)]
    told: set[tuple[int | None, str]] = set()
    for call, name in code.calls:
        if name is None:
            continue
        if name in GENERATORS:
            if without_value(call):
                yield NB202, call, f"{shown(call)} is made without a seed"
        elif name in DRAWS or _is_random_estimator(call, name):
            if _has_state(call) or _seeded(code, call, seeds) or _draws_a_name(code, call):
                continue
            if name not in DRAWS:
                yield NB203, call, f"{name.rpartition('.')[2]} has no random_state"
            elif (key := (code.program.place(call).cell, DRAWS[name])) not in told:
                told.add(key)  # one seed mends all of a module
                yield NB202, call, f"{name} draws without a seed"


def _has_state(call: ast.Call) -> bool:
    """Whether a seed is passed, or may be: by ``**options``, or among many by position."""
    for keyword in call.keywords:
        if keyword.arg is None:
            return True
        if keyword.arg in STATES:
            return not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
    return any(isinstance(value, ast.Starred) for value in call.args)


def _seeded(code: Code, call: ast.Call, seeds: list[int]) -> bool:
    """Whether something seeded the global generators before; of a function this is not known."""
    return bool(seeds) and (min(seeds) <= call.lineno or code.in_function(call))


def _draws_a_name(code: Code, call: ast.Call) -> bool:
    """Whether letters are drawn, as for the name of a bucket: no result depends on them."""
    parts = [part for value in call.args for part in ast.walk(value)]
    return any((code.program.dotted(part) or "").startswith("string.") for part in parts)


def _is_random_estimator(call: ast.Call, name: str) -> bool:
    if not name.startswith("sklearn."):
        return False
    last = name.rpartition(".")[2]
    if last not in RANDOM_WITH:
        return last in RANDOM
    given = {
        (keyword.arg, keyword.value.value)
        for keyword in call.keywords
        if isinstance(keyword.value, ast.Constant)
    }
    return any(needed <= given for needed in RANDOM_WITH[last])


FRAMES = ("pandas.", "polars.", "dask.dataframe.", "geopandas.")
FRAME_NAME = re.compile(r"(^|_)(df|dataframe)\d*(_|$)")


def _samples(code: Code) -> Iterator[Found]:
    calls = [
        call
        for call, name in code.calls
        if name is None and isinstance(call.func, ast.Attribute) and call.func.attr == "sample"
    ]
    if not calls:
        return
    frames = _frames(code)
    seeds = [call.lineno for call, _ in code.calls if sets_a_seed(call)]
    for call in calls:
        named = {keyword.arg for keyword in call.keywords} & {"frac", "fraction", "n"}
        number = len(call.args) == 1 and isinstance(call.args[0], ast.Constant)
        surely = named or (number and _is_frame(call.func, frames, code.program))
        if surely and not _has_state(call) and not _seeded(code, call, seeds):
            yield NB204, call, f"{shown(call)} has no random_state"


def _frames(code: Code) -> set[str]:
    """Names that are data frames, as far as assignments tell."""
    frames: set[str] = set()
    for node in code.program.walk():
        if isinstance(node, ast.Assign) and _is_frame(node.value, frames, code.program):
            frames.update(each.id for each in node.targets if isinstance(each, ast.Name))
    return frames


def _is_frame(node: ast.AST, frames: set[str], program: Program) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Call):
            name = program.dotted(node.func)
            if name:
                return name.startswith(FRAMES)
            node = node.func
        else:
            node = node.value
    return isinstance(node, ast.Name) and (
        node.id in frames or FRAME_NAME.search(node.id) is not None
    )


RULES = (NB202, NB203, NB204)
LOOKS = (_random, _samples)
