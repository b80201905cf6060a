"""NB201-NB211: what makes a notebook give another result tomorrow, or none."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property

from .files import Cell, File, Notebook
from .gate import Context, Gate
from .programs import Place, Program
from .rules import Finding, Rule

NB201 = Rule(
    "NB201",
    "a name is used before the line that makes it",
    "it worked only because cells were run in another order; from top to bottom it stops here",
    "Move the cell that makes the name above the one that uses it, then restart and run all",
    bad="# %%\nmean_price = sum(prices) / len(prices)\n# %%\nprices = [3.0, 4.5]",
    good="# %%\nprices = [3.0, 4.5]\n# %%\nmean_price = sum(prices) / len(prices)",
)
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
NB205 = Rule(
    "NB205",
    "a path of one machine",
    "it is found on nobody else's machine, nor where jobs run",
    "Write the path relative to the project, such as data/clicks.csv, or make it a parameter",
    bad='import pandas as pd\nclicks = pd.read_csv("/home/ada/shop/data/clicks.csv")',
    good='import pandas as pd\nclicks = pd.read_csv("data/clicks.csv")',
)
NB206 = Rule(
    "NB206",
    "a package is installed by a cell",
    "it gets today's version, behind the back of the lock, while the notebook runs",
    "Add the package to pyproject.toml (`uv add NAME`) and remove the line",
    bad="!pip install pandas\nimport pandas as pd\nclicks = pd.DataFrame()",
    good="import pandas as pd\nclicks = pd.DataFrame()",
)
NB207 = Rule(
    "NB207",
    "data is read from a URL",
    "it may have changed or be gone tomorrow, and the notebook cannot run without the net",
    "Fetch it once into data/, by a module that checks its hash, and read the file",
    bad='import pandas as pd\nclicks = pd.read_csv("https://example.org/clicks.csv")',
    good='import pandas as pd\nclicks = pd.read_csv("data/clicks.csv")',
)
NB208 = Rule(
    "NB208",
    "a file outside the data folders is read",
    "it is in no run's list of inputs, and where the notebook is started decides if it is found",
    "Keep it below data/ and read it from there",
    bad='import pandas as pd\nclicks = pd.read_csv("clicks_final.csv")',
    good='import pandas as pd\nclicks = pd.read_csv("data/clicks_final.csv")',
    story=True,
)
NB209 = Rule(
    "NB209",
    "the clock or the machine decides a value",
    "the same notebook gives another result tomorrow, or on another machine",
    "Make it a parameter, which the job passes and its report shows",
    bad="from datetime import datetime\nage = datetime.now().year - 1990",
    good="from datetime import datetime\nage = datetime(2026, 11, 20).year - 1990",
)
NB210 = Rule(
    "NB210",
    "a parameter is never read",
    "a job that sets it changes nothing, and nobody is told",
    "Use the parameter or remove it",
    bad='# %% tags=["parameters"]\nusers: int = 1000\ndays: int = 7\n'
    "# %%\nclicks = load_clicks(users)",
    good='# %% tags=["parameters"]\nusers: int = 1000\n# %%\nclicks = load_clicks(users)',
)
NB211 = Rule(
    "NB211",
    "a cell that needs a person or a screen",
    "a job that runs the notebook waits for ever or stops here",
    "Make the answer a parameter, show figures with %matplotlib inline, remove debuggers",
    bad='user = input("Which user? ")',
    good='user = "ada"',
)
RULES = (NB201, NB202, NB203, NB204, NB205, NB206, NB207, NB208, NB209, NB210, NB211)

Found = tuple[Rule, ast.AST | Place, str]


class Code:
    """The program of a notebook, with what several rules ask of it."""

    def __init__(self, notebook: Notebook, program: Program) -> None:
        self.notebook = notebook
        self.program = program
        self.calls = list(program.calls())

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        nodes = self.program.walk()
        return {child: node for node in nodes for child in ast.iter_child_nodes(node)}

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def in_function(self, node: ast.AST) -> bool:
        return any(isinstance(each, Function) for each in self.above(node))

    def only_told(self, node: ast.AST) -> bool:
        """Whether the value is for the eyes alone: printed, logged, part of an error."""
        below = node
        for each in self.above(node):
            if isinstance(each, ast.Raise | ast.Assert):
                return True
            if isinstance(each, ast.Call) and below is not each.func:
                if called(each).lower() in TELLING:
                    return True
                if called(each) not in STAMPING:
                    return False
            if isinstance(each, ast.stmt):
                return False
            below = each
        return False

    @cached_property
    def branches(self) -> list[ast.If]:
        return [node for node in self.program.walk() if isinstance(node, ast.If)]

    @cached_property
    def loads(self) -> dict[str, list[ast.Name]]:
        """Where each name is read."""
        loads: dict[str, list[ast.Name]] = defaultdict(list)
        for node in self.program.walk():
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                loads[node.id].append(node)
        return loads

    def under(self, place: Place, test: re.Pattern[str]) -> bool:
        """Whether the line stands below an ``if`` whose condition matches."""
        for node in self.branches:
            begin = self.program.place(node)
            length = (node.end_lineno or node.lineno) - node.lineno
            if begin.cell == place.cell and 0 <= place.line - begin.line <= length:
                lines = self.program.lines[node.lineno - 1 : node.test.end_lineno]
                if test.search("\n".join(lines)):
                    return True
        return False

    @cached_property
    def not_python(self) -> list[Cell]:
        """Cells whose code is not part of the program: other languages, syntax errors."""
        broken = {place.cell for place in self.program.broken}
        other = {magic.place.cell for magic in self.program.magics if magic.text.startswith("%%")}
        return [cell for cell in self.notebook.code if cell.number in broken | other]


def check(file: File, context: Context) -> Iterator[Finding]:
    program = file.program if isinstance(file, Notebook) else None
    if program is None or not isinstance(file, Notebook):
        return
    code = Code(file, program)
    for look in LOOKS:
        with suppress(RecursionError):  # an expression of hundreds of levels, such as a long sum
            for rule, where, what in look(code):
                place = where if isinstance(where, Place) else program.place(where)
                yield Finding(rule, file.path, what, place.cell, place.line)


def called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"{text[:57]}..."


TELLING = {"print", "pprint", "display", "markdown", "html", "log", "debug", "info", "warning"}
TELLING |= {"warn", "error", "critical", "exception"}

# --- NB201: names in the order of the cells

# What IPython and notebook services put there themselves.
GIVEN = {*dir(builtins), "In", "Out", "_", "__", "___", "get_ipython", "display"}
GIVEN |= {"spark", "sc", "sqlContext", "dbutils", "displayHTML"}
# After these anything may have a value.
ANYTHING = {"exec", "globals", "locals", "vars", "run_line_magic", "run_cell", "magic"}
FILLING = re.compile(r"%+(run|pylab|load|loadpy|store|reset)\b")


def _order(code: Code) -> Iterator[Found]:
    program = code.program
    if any(called(call) in ANYTHING for call, _ in code.calls):
        return
    if any(FILLING.match(magic.text) for magic in program.magics):
        return
    known = set(GIVEN)
    for text in (*(cell.source for cell in code.not_python), *(m.text for m in program.magics)):
        known.update(re.findall(r"\w+", text))
    for node in program.walk():
        if isinstance(node, ast.Global):
            known.update(node.names)
    flow = Flow(known)
    flow.run_all(program.tree.body)
    may_fail = {cell.number for cell in code.notebook.code if "raises-exception" in cell.tags}
    for name, node in flow.early.items():
        place = program.place(node)
        if place.cell in may_fail:
            continue
        if name in flow.deleted:
            yield NB201, place, f"'{name}' is used after `del {name}`"
        elif name in flow.made:
            cell = program.place(flow.made[name]).cell
            below = "further down" if cell == place.cell else f"in cell {cell}"
            yield NB201, place, f"'{name}' is used here and made {below}"


Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Flow:
    """Follows statements in the order in which they run, and notes names used before they are.

    Bodies of functions run later and are left out. In doubt a name is taken as known: what one
    branch binds is bound, and what a loop binds is bound from its start.
    """

    def __init__(self, known: set[str]) -> None:
        self.bound = known
        self.made: dict[str, ast.AST] = {}  # first binding of each name
        self.early: dict[str, ast.AST] = {}  # first use of each name that was not bound then
        self.deleted: set[str] = set()
        self._inner: list[set[str]] = []  # names of comprehensions and class bodies around
        self._unsure = 0  # inside of something that may run never or often
        self._caught = 0  # inside of something that may catch a NameError
        self._anything = False  # after `from x import *`

    def run_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.run(node)

    def run(self, node: ast.AST) -> None:
        if step := STEPS.get(type(node)):
            step(self, node)
        elif not isinstance(node, LEAVES):
            self._generic(node)

    def _generic(self, node: ast.AST) -> None:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                self.run(value)
            elif isinstance(value, list):
                self.run_all(each for each in value if isinstance(each, ast.AST))

    def use(self, name: str, node: ast.AST) -> None:
        if name in self.bound or self._anything or self._caught:
            return
        if not any(name in names for names in self._inner):
            self.early.setdefault(name, node)

    def bind(self, name: str | None, node: ast.AST) -> None:
        if name and not any(name in names for names in self._inner):
            self.bound.add(name)
            self.made.setdefault(name, node)
            if name not in self.early:
                self.deleted.discard(name)

    def _name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.use(node.id, node)
        elif isinstance(node.ctx, ast.Store):
            self.bind(node.id, node)
        elif not self._unsure and not self._inner and node.id in self.made:
            self.bound.discard(node.id)
            if node.id not in self.early:
                self.deleted.add(node.id)

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> None:
        if node.value:
            self.run(node.value)
            self.run_all(node.targets if isinstance(node, ast.Assign) else [node.target])

    def _augmented(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.use(node.target.id, node.target)
        self.run(node.value)
        self.run(node.target)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        self.run(node.test if isinstance(node, ast.While) else node.iter)
        for name in _stored(node):
            self.bind(name, node)
        self._unsure += 1
        self.run_all([*node.body, *node.orelse])
        self._unsure -= 1

    def _branch(self, node: ast.AST) -> None:
        self._unsure += 1
        self._generic(node)
        self._unsure -= 1

    def _if(self, node: ast.If) -> None:
        never = isinstance(node.test, ast.Constant) and not node.test.value
        self._caught += never
        self._branch(node)
        self._caught -= never

    def _catching(self, node: ast.Try | ast.TryStar | ast.With | ast.AsyncWith) -> None:
        if isinstance(node, ast.With | ast.AsyncWith):
            self.run_all(node.items)
            catching = any(_catches(item.context_expr) for item in node.items)
            rest: list[ast.AST] = []
        else:
            catching = bool(node.handlers)
            rest = [*node.handlers, *node.orelse, *node.finalbody]
            self._unsure += 1
        self._caught += catching
        self.run_all(node.body)
        self._caught -= catching
        if rest:
            self.run_all(rest)
        if not isinstance(node, ast.With | ast.AsyncWith):
            self._unsure -= 1

    def _handler(self, node: ast.ExceptHandler) -> None:
        self.bind(node.name, node)
        self._generic(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self._anything |= alias.name == "*"
            self.bind(alias.asname or alias.name.split(".")[0], node)

    def _function(self, node: Function) -> None:
        if not isinstance(node, ast.Lambda):
            self.run_all(node.decorator_list)
        self.run_all(node.args.defaults)
        self.run_all(default for default in node.args.kw_defaults if default)
        if not isinstance(node, ast.Lambda):
            self.bind(node.name, node)

    def _class(self, node: ast.ClassDef) -> None:
        self.run_all([*node.decorator_list, *node.bases, *node.keywords])
        self._inner.append(_stored(node) - {node.name})
        self.run_all(node.body)
        self._inner.pop()
        self.bind(node.name, node)

    def _comprehension(self, node: Comprehension) -> None:
        self._inner.append({name for each in node.generators for name in _stored(each.target)})
        self._generic(node)
        self._inner.pop()

    def _pattern(self, node: ast.MatchAs | ast.MatchStar | ast.MatchMapping) -> None:
        self.bind(node.rest if isinstance(node, ast.MatchMapping) else node.name, node)
        self._generic(node)


def _stored(node: ast.AST) -> set[str]:
    """Names bound anywhere below a node."""
    names: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            names.add(each.id)
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(each.name)
        elif isinstance(each, ast.alias):
            names.add(each.asname or each.name.split(".")[0])
    return names


def _catches(node: ast.expr) -> bool:
    name = called(node) if isinstance(node, ast.Call) else ""
    return re.search(r"suppress|raises|expect|assert|catch", name, re.I) is not None


LEAVES = (ast.Constant, ast.expr_context, ast.operator, ast.cmpop, ast.unaryop, ast.boolop)
STEPS: dict[type, Callable[..., None]] = {
    ast.Name: Flow._name,
    ast.Assign: Flow._assign,
    ast.AnnAssign: Flow._assign,
    ast.NamedExpr: Flow._assign,
    ast.AugAssign: Flow._augmented,
    ast.For: Flow._loop,
    ast.AsyncFor: Flow._loop,
    ast.While: Flow._loop,
    ast.If: Flow._if,
    ast.Match: Flow._branch,
    ast.Try: Flow._catching,
    ast.TryStar: Flow._catching,
    ast.With: Flow._catching,
    ast.AsyncWith: Flow._catching,
    ast.ExceptHandler: Flow._handler,
    ast.Import: Flow._import,
    ast.ImportFrom: Flow._import,
    ast.FunctionDef: Flow._function,
    ast.AsyncFunctionDef: Flow._function,
    ast.Lambda: Flow._function,
    ast.ClassDef: Flow._class,
    ast.ListComp: Flow._comprehension,
    ast.SetComp: Flow._comprehension,
    ast.DictComp: Flow._comprehension,
    ast.GeneratorExp: Flow._comprehension,
    ast.MatchAs: Flow._pattern,
    ast.MatchStar: Flow._pattern,
    ast.MatchMapping: Flow._pattern,
}

# --- NB202, NB203, NB204: randomness

SEEDING = re.compile(r"seed|determinis|reproducib|set_state", re.I)
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
    seeds = [call.lineno for call, _ in code.calls if _seeds(call)]
    told: set[tuple[int | None, str]] = set()
    for call, name in code.calls:
        if name is None:
            continue
        if name in GENERATORS:
            if _without_value(call):
                yield NB202, call, f"{shown(call)} is made without a seed"
        elif name in DRAWS or _is_random_estimator(call, name):
            if _has_state(call) or _seeded(code, call, seeds) or _draws_a_name(code, call):
                continue
            if name not in DRAWS:
                yield NB203, call, f"{name.rpartition('.')[2]} has no random_state"
            elif (key := (code.program.place(call).cell, DRAWS[name])) not in told:
                told.add(key)  # one seed mends all of a module
                yield NB202, call, f"{name} draws without a seed"


def _seeds(call: ast.Call) -> bool:
    """Whether the call may fix the global generators, by its name; ``seed()`` alone does not."""
    name = called(call)
    return bool(SEEDING.search(name)) and not (name == "seed" and _without_value(call))


def _without_value(call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return all(isinstance(value, ast.Constant) and value.value is None for value in values)


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
    seeds = [call.lineno for call, _ in code.calls if _seeds(call)]
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


# --- NB205: paths of one machine

MACHINE_PATH = re.compile(
    r"/(home|Users|media|Volumes|kaggle|mnt|scratch)/[\w.-]"
    r"|/content/(g?drive|sample_data)\b|/root/\w"
    r"|[A-Za-z]:[\\/]{1,2}[^\\/:*?\"<>|\n]+[\\/.]"
    r"|~/[\w-]"
)
SERVICE = re.compile(r"colab|kaggle|exists|is_?file|is_?dir", re.I)
IN_SHELL = re.compile(
    r"(?<=[\s='\"])/(home|Users|Volumes|kaggle|mnt|content/g?drive)/[\w.-][^\s'\"]*"
)


def _paths(code: Code) -> Iterator[Found]:
    for node in code.program.walk():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            path = node.value
            if not MACHINE_PATH.match(path) or "\n" in path or not _is_used(code, node):
                continue
            place = code.program.place(node)
            if not code.under(place, SERVICE):
                yield NB205, place, f"the path '{_short(path)}' is of one machine"
    for magic in code.program.magics:
        if (found := IN_SHELL.search(magic.text)) and not code.under(magic.place, SERVICE):
            yield NB205, magic.place, f"the path '{_short(found[0])}' is of one machine"


def _is_used(code: Code, node: ast.Constant) -> bool:
    """Whether a string does something: no docstring, no message, no later part of an f-string."""
    parent = code.parents[node]
    if isinstance(parent, ast.Expr):
        return False
    if isinstance(parent, ast.JoinedStr) and parent.values[0] is not node:
        return False
    return not code.only_told(node)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- NB206: installs

INSTALL = re.compile(
    r"\b(pip3?|conda|mamba|micromamba|easy_install|apt|apt-get|yum|brew)\b[^|;&\n]*?\s(install)\b"
)
SHELLING = re.compile(r"subprocess\.\w+|os\.(system|popen)|pip\.main|pip\._internal\.\w+")


def _installs(code: Code) -> Iterator[Found]:
    for place, text in _shell_lines(code):
        if INSTALL.search(text) and not code.under(place, SERVICE):
            yield NB206, place, f"`{_short(text)}` installs a package"
    for call, name in code.calls:
        if SHELLING.match(name or "") or called(call) in ("run_line_magic", "system"):
            words = [
                each.value
                for each in ast.walk(call)
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]
            place = code.program.place(call)
            if INSTALL.search(" ".join(words)) and not code.under(place, SERVICE):
                yield NB206, place, f"{shown(call)} installs a package"


def _shell_lines(code: Code) -> Iterator[tuple[Place, str]]:
    """Lines for the shell: after ! or %, in a cell of bash, or bare, which IPython allows."""
    for magic in code.program.magics:
        yield magic.place, magic.text
    for cell in code.not_python:
        shell = re.match(r"\s*%%(bash|sh|script|!)", cell.source)
        for number, line in enumerate(cell.source.split("\n"), start=1):
            if shell or re.match(r"(pip|conda) install ", line):
                text = line.split("#")[0].strip()
                if text and not text.startswith("%"):
                    yield Place(cell.number, number), text


# --- NB207, NB208: what is read

URL = re.compile(r"(https?|ftp)://(?!localhost|127\.|0\.0\.0\.0)")
FETCHING = {"requests.get", "urllib.request.urlopen", "urllib.request.urlretrieve", "httpx.get"}
FETCHING |= {"wget.download", "gdown.download", "urllib.urlopen", "urllib.urlretrieve"}
FETCHED = re.compile(  # a request that sends something, or is piped into an installer, is not
    r"[!\s]*(wget|curl|gdown)\b(?!.*(-X *POST|--data|\s-d\s|\|\s*(sudo|apt|bash|sh)\b))"
)
REMOTE = re.compile(URL.pattern + r"|www\.|[${]|gdown")  # or the URL is in a variable
READING = re.compile(
    r"(pandas|polars|geopandas|dask\.dataframe)\.(read|scan)_(?!sql|clipboard|gbq)\w+"
    r"|numpy\.(load|loadtxt|genfromtxt|fromfile)"
)
CACHED = re.compile(r"exists|is_?file|is_?dir|download", re.I)
DATA_FOLDERS = {"data", "runs"}


def _urls(code: Code) -> Iterator[Found]:
    texts = _texts(code)
    for call, name in code.calls:
        if name and (name in FETCHING or READING.fullmatch(name)) and call.args:
            text = _text(call.args[0], texts)
            remote = URL.match(text) or (name in FETCHING and "://" not in text)
            if remote and not code.under(code.program.place(call), CACHED):
                yield NB207, call, f"{shown(call)} reads a URL"
    for place, line in _shell_lines(code):
        if FETCHED.match(line) and REMOTE.search(line) and not code.under(place, CACHED):
            yield NB207, place, f"`{_short(line)}` reads a URL"


def _files(code: Code) -> Iterator[Found]:
    for call, name in code.calls:
        if call.args and (READING.fullmatch(name) if name else _opens_to_read(call)):
            path = call.args[0]
            if isinstance(path, ast.Constant) and _is_stray(path.value):
                yield NB208, call, f"'{_short(str(path.value))}' is not below data/"


def _opens_to_read(call: ast.Call) -> bool:
    if not (isinstance(call.func, ast.Name) and call.func.id == "open"):
        return False
    modes = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "mode")]
    return not modes or (isinstance(modes[0], ast.Constant) and "r" in str(modes[0].value))


def _texts(code: Code) -> dict[str, str]:
    """Names that stand for one string each, as far as its beginning is known."""
    texts: dict[str, str] = {}
    for node in code.program.walk():
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, text = node.targets[0].id, _text(node.value, texts)
            texts[name] = text if texts.get(name, text)[:4] == text[:4] else ""
    return texts


def _text(node: ast.expr, texts: dict[str, str]) -> str:
    """How the string begins that an expression makes; empty where that is not known."""
    while True:
        if isinstance(node, ast.JoinedStr) and node.values:
            node = node.values[0]
        elif isinstance(node, ast.FormattedValue):
            node = node.value
        elif isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.Call) and called(node) == "format":
            assert isinstance(node.func, ast.Attribute | ast.Name)
            if isinstance(node.func, ast.Name):
                return ""
            node = node.func.value
        else:
            break
    if isinstance(node, ast.Name):
        return texts.get(node.id, "")
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_stray(path: object) -> bool:
    """Whether a relative path, as seen from the notebook or the root, leads past the data."""
    if not isinstance(path, str) or not re.fullmatch(r"(?!/)[\w. ()/-]*[./][\w. ()/-]*", path):
        return False
    parts = [part for part in path.split("/") if part not in ("", ".")]
    folders = parts[parts[:1] == [".."] : -1]
    return folders[:1] not in [[name] for name in DATA_FOLDERS]


# --- NB209: the clock and the machine

CLOCKS = {
    f"{owner}.{name}"
    for owner in ("datetime.datetime", "pandas.Timestamp", "datetime.date")
    for name in ("now", "today", "utcnow")
}
NAMED_DAYS = {"pandas.to_datetime", "pandas.Timestamp", "numpy.datetime64"}
MACHINES = {"uuid.uuid1", "uuid.uuid4", "socket.gethostname", "platform.node", "os.getlogin"}
MACHINES |= {"getpass.getuser"}
# What a run may rightly learn from its surroundings: secrets, and where and on what it runs.
RIGHTLY = re.compile(
    r"KEY|TOKEN|SECRET|PASS|PWD|CRED|AUTH|USER|EMAIL|LOGIN|HOME|^PATH$|PYTHONPATH|URL|URI|HOST"
    r"|PORT|ADDR|ENDPOINT|PROXY|BUCKET|ACCOUNT|REGION|PROJECT|TENANT|SUBSCRIPTION|_ID$|ARN|DSN"
    r"|DATABASE|^CI$|TEST|COLAB|KAGGLE|CLUSTER|COMPUTE|NODES?$|SKU|WORKSPACE|RESOURCE|STORE"
    r"|SERVER|SERVICE|CONTAINER|THREADS|WORKERS|CPU|GPU|CUDA|DEVICE",
    re.I,
)
STAMPING = {"strftime", "isoformat", "timestamp", "ctime", "hex", "str", "format", "repr"}


def _clock(code: Code) -> Iterator[Found]:
    for call, name in code.calls:
        if name in CLOCKS:
            if not (_measures(code, call) or _is_stamp(code, call) or code.only_told(call)):
                yield NB209, call, f"{shown(call)} is another value at every run"
        elif name in NAMED_DAYS and isinstance(first := next(iter(call.args), None), ast.Constant):
            if first.value in ("now", "today"):
                yield NB209, call, f"{shown(call)} is another value at every run"
        elif name in MACHINES:
            if not (_is_stamp(code, call) or code.only_told(call)):
                yield NB209, call, f"{shown(call)} is another value at every run or machine"
        elif name in ("os.getenv", "os.environ.get"):
            yield from _environment(code, call, call.args[0] if call.args else None)
        elif name in ("time.time", "time.time_ns"):
            above = code.above(call)
            if any(isinstance(each, ast.Call) and _seeds(each) for each in above):
                yield NB209, call, "the clock is the seed"
    for node in code.program.walk():
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            name = code.program.dotted(node.value)
            yield from _environment(code, node, node.slice) if name == "os.environ" else ()


def _environment(code: Code, node: ast.AST, key: ast.expr | None) -> Iterator[Found]:
    name = key.value if isinstance(key, ast.Constant) else None
    if not isinstance(name, str) or RIGHTLY.search(name) or code.only_told(node):
        return
    for each in code.above(node):
        if isinstance(each, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.If):
            return  # it tells where the notebook runs
        if isinstance(each, ast.Assign) and "environ" in ast.unparse(each.targets[0]):
            return  # it is changed, for other programs
        if isinstance(each, ast.stmt):
            break
    yield NB209, node, f"the environment variable {name} decides a value"


def _is_stamp(code: Code, node: ast.AST) -> bool:
    """Whether a time is only written down, as in the name of a run."""
    for each in code.above(node):
        if isinstance(each, ast.FormattedValue):
            return True
        if isinstance(each, ast.Attribute) and each.attr in STAMPING:
            return True
        if isinstance(each, ast.Call) and called(each) in STAMPING:
            return True
        if not isinstance(each, ast.Attribute | ast.Call):
            return False
    return False


def _measures(code: Code, call: ast.Call) -> bool:
    """Whether a time is only compared with another one, to see how long something took."""
    times = {
        node.targets[0].id
        for node in code.program.walk()
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and _is_time(code, node.value, set())
    }

    def harmless(node: ast.AST) -> bool:
        parent = code.parents[node]
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Sub):
            return _is_time(code, parent.left, times) and _is_time(code, parent.right, times)
        return _is_stamp(code, node) or code.only_told(node)

    if harmless(call):
        return True
    parent = code.parents[call]
    if not (isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name)):
        return False
    loads = code.loads[parent.targets[0].id]
    return all(map(harmless, loads)) if loads else bool(code.not_python)


def _is_time(code: Code, node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    return isinstance(node, ast.Call) and code.program.dotted(node.func) in CLOCKS


# --- NB210: parameters

# What may read a name without writing it as one.
BY_TEXT = ANYTHING | {"eval", "get_ipython", "dir"}


def _unread(code: Code) -> Iterator[Found]:
    cells = [cell for cell in code.notebook.code if "parameters" in cell.tags]
    if len(cells) != 1 or any(FILLING.match(magic.text) for magic in code.program.magics):
        return
    program, number = code.program, cells[0].number
    parameters: dict[str, ast.AST] = {}
    for statement in program.tree.body:
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        if isinstance(target, ast.Name) and program.place(statement).cell == number:
            parameters[target.id] = statement
    if not parameters or any(called(call) in BY_TEXT for call, _ in code.calls):
        return
    read = set(code.loads)
    for node in program.walk():
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            read.add(node.target.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            read.update(re.findall(r"[@{$]\s*(\w+)", node.value))
    for text in (*(cell.source for cell in code.not_python), *(m.text for m in program.magics)):
        read.update(re.findall(r"\w+", text))
    for name, where in parameters.items():
        if name not in read:
            yield NB210, where, f"the parameter '{name}' is never read"


# --- NB211: what needs a person

PERSON = {"getpass.getpass", "pdb.set_trace", "ipdb.set_trace", "IPython.embed"}
PERSON |= {"IPython.core.debugger.set_trace", "pdb.post_mortem", "pdb.pm"}
SCREENS = r"notebook|nbagg|widget|ipympl|qt\w*|tk\w*|gtk\w*|wx\w*|osx|macosx|auto"
SCREEN = re.compile(rf"({SCREENS})$", re.I)
PERSON_MAGIC = re.compile(
    rf"%+(debug|edit|load|loadpy|pdb(?!\s+(off|0)))(\s|$)|%(matplotlib|pylab|gui)\s+({SCREENS})\s*$",
    re.I,
)


def _attended(code: Code) -> Iterator[Found]:
    bound = {
        node.id if isinstance(node, ast.Name) else node.arg
        for node in code.program.walk()
        if (isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load))
        or isinstance(node, ast.arg)
    }
    bound |= set(code.program.imported)
    steps = {each.value for each in code.program.tree.body if isinstance(each, ast.Expr)}
    for magic in code.program.magics:
        if PERSON_MAGIC.match(magic.text):
            yield NB211, magic.place, f"`{_short(magic.text)}` needs a person or a screen"
    for call, name in code.calls:
        plain = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in PERSON or (plain in ("input", "breakpoint") and plain not in bound):
            yield NB211, call, f"{shown(call)} waits for a person"
        elif plain in ("exit", "quit") and plain not in bound and call in steps:
            yield NB211, call, f"{shown(call)} ends the kernel, and with it the job"
        elif name in ("matplotlib.use", "matplotlib.pyplot.switch_backend") and call.args:
            backend = call.args[0]
            if isinstance(backend, ast.Constant) and SCREEN.match(str(backend.value)):
                yield NB211, call, f"{shown(call)} needs a screen"


LOOKS = (
    *(_order, _random, _samples, _paths, _installs, _urls),
    *(_files, _clock, _unread, _attended),
)

GATE = Gate(RULES, on_file=check)
main = GATE.main

if __name__ == "__main__":
    sys.exit(main())
