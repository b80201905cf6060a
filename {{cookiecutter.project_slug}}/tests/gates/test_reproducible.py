"""NB2 in detail: what is reported, and what looks like it and is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gates.core.files import Notebook
from gates.core.gate import Context
from gates.core.settings import Settings
from gates.reproducible import GATE

NUMPY = "import numpy as np"
PANDAS = "import pandas as pd"


def found(*cells: str, tags: tuple[str, ...] = ()) -> list[str]:
    """Rules found in a notebook with these code cells, of which the first has the tags."""
    raw: dict[str, Any] = {
        "cells": [
            {
                "cell_type": "code",
                "source": source,
                "metadata": {"tags": list(tags)} if number == 0 else {},
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    assert GATE.on_file
    context = Context(Path(), Settings(layout="project"))
    findings = GATE.on_file(Notebook(Path("a.ipynb"), json.dumps(raw)), context)
    return [finding.rule.id for finding in findings]


OUT_OF_ORDER = [
    ("print(x)", "x = 1"),
    ("print(x)\nx = 1",),
    ("total += 1", "total = 0"),
    ("x = x + 1",),
    ("f()", "def f(): ..."),
    ("A()", "class A: ..."),
    ("@f\ndef g(): ...", "def f(g): ..."),
    ("def g(x=x): ...", "x = 1"),
    ("class B(A): ...", "class A: ..."),
    ("class B:\n    y = x", "x = 1"),
    ("[y for y in ys]", "ys = [1]"),
    ("[x for y in [1]]", "x = 1"),
    ("with open(name) as f: ...", "name = 'a'"),
    ("math.pi", "import math"),
    ("print(f'{x}')", "x = 1"),
    ("if True:\n    print(x)", "x = 1"),
    ("match x:\n    case 1: ...", "x = 1"),
    ("lambda y=x: y", "x = 1"),
    ("print(x)", "for x in [1]: ..."),
    ("print(x)", "if (x := 1): ..."),
    ("print(x)", "with open('data/a') as x: ..."),
    ("x = 1", "del x", "print(x)"),
    ("x = 1\ndel x", "print(x)", "x = 2"),
]
IN_ORDER = [
    ("x = 1", "print(x)"),
    ("print(never_made)",),
    ("def f(): return x", "x = 1", "f()"),
    ("f = lambda: x", "x = 1"),
    ("class A:\n    def f(self): return x", "x = 1"),
    ("class A:\n    x = 1\n    y = x", "x = 2"),
    ("[x for x in [1]]", "x = 1"),
    ("[x for y in [[1]] for x in y]", "x = y = 1"),
    ("[y := 1 for _ in [1]]\nprint(y)", "y = 2"),
    ("from math import *\nprint(e)", "e = 2"),
    ("if len('a'):\n    x = 1\nelse:\n    x = 2\nprint(x)",),
    ("try:\n    x\nexcept NameError:\n    x = 1",),
    ("if 'x' not in globals():\n    x = 1\nprint(x)", "x = 2"),
    ("for i in range(3):\n    if i:\n        print(last)\n    last = i",),
    ("while True:\n    if 0: print(n)\n    n = 1",),
    ("if False:\n    print(x)", "x = 1"),
    ("with open('data/a') as f, open('data/b') as g:\n    print(f, g)",),
    ("import os.path as p\nprint(p)\nimport os\nos.sep",),
    ("def f():\n    global x\n    x = 1", "f()\nprint(x)", "x = 2"),
    (
        "match 1:\n    case [a, *b]: print(a, b)\n    case {'k': c, **d}: print(c, d)",
        "a = b = c = d = 1",
    ),
    ("try: ...\nexcept OSError as error:\n    print(error)", "error = 1"),
    ("x: 'int' = 1\nprint(x)",),
    ("def f(a: Later) -> Later: ...", "class Later: ..."),
    ("x = 1\nfor i in [1]:\n    del x", "print(x)"),
    ("print(sum([1]))", "sum = 1"),
    ("%run other.ipynb", "print(x)", "x = 1"),
    ("%%bash --out x\nls", "print(x)", "x = 1"),
    ("%%cython\ndef f(): ...", "f()", "def f(): ..."),
    ("files = !ls", "print(files)", "files = []"),
    ("display(1)", "display = print"),
    ("exec('x = 1')", "print(x)", "x = 2"),
    ("x = (", "print(x)", "x = 2"),
    ("import pytest\nwith pytest.raises(NameError):\n    print(x)", "x = 1"),
]


@pytest.mark.parametrize("cells", OUT_OF_ORDER)
def test_a_name_used_too_early_is_found(cells: tuple[str, ...]) -> None:
    assert found(*cells) == ["NB201"]


@pytest.mark.parametrize("cells", IN_ORDER)
def test_names_in_order_are_not(cells: tuple[str, ...]) -> None:
    assert "NB201" not in found(*cells)


def test_a_cell_that_is_meant_to_fail_is_left_alone() -> None:
    assert found("print(x)", "x = 1", tags=("raises-exception",)) == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("NB202", f"{NUMPY}\nnp.random.shuffle([1])"),
        ("NB202", "from numpy.random import randn\nrandn(3)"),
        ("NB202", f"{NUMPY}\nnp.random.rand(1)\nnp.random.rand(2)"),
        ("NB202", f"{NUMPY}\nnp.random.seed()\nnp.random.rand(1)"),
        ("NB202", f"{NUMPY}\nnp.random.RandomState()"),
        ("NB202", f"{NUMPY}\nnp.random.seed(1)\nnp.random.default_rng()"),
        ("NB202", "import random\nrandom.Random()"),
        ("NB202", "from random import shuffle\nshuffle([1])"),
        ("NB202", "import torch\ntorch.randn(3)"),
        ("NB202", "import tensorflow as tf\ntf.random.normal([3])"),
        ("NB203", "from sklearn.model_selection import RandomizedSearchCV as S\nS(1, 2)"),
        ("NB203", "from sklearn import tree\ntree.DecisionTreeClassifier(random_state=None)"),
        ("NB203", "from sklearn.datasets import make_moons\nmake_moons(100)"),
        ("NB203", "from sklearn.decomposition import PCA\nPCA(2, svd_solver='randomized')"),
        ("NB203", "from sklearn.linear_model import LogisticRegression as L\nL(solver='saga')"),
        ("NB203", "import random\nfrom sklearn.manifold import TSNE\nTSNE()\nrandom.seed(1)"),
        ("NB204", f"{PANDAS}\nrows = pd.read_csv('data/a.csv')\nrows.sample(5)"),
        ("NB204", f"{PANDAS}\nrows = pd.read_csv('data/a.csv')\nrows[['a']].dropna().sample(5)"),
        ("NB204", "def few(df):\n    return df.sample(n=3, replace=True)"),
        ("NB204", "def few(frame):\n    return frame.sample(fraction=0.1)"),
        ("NB204", "def few(train_df):\n    return train_df.sample(3)"),
        ("NB205", "path = '/Users/ada/clicks'"),
        ("NB205", "def path(name): return f'/home/ada/{name}'"),
        ("NB205", "def path(name): return '/mnt/share/' + name"),
        ("NB205", "path = r'C:\\data\\clicks.csv'"),
        ("NB205", "path = 'd:/data/clicks.csv'"),
        ("NB205", "path = '/kaggle/input/clicks'"),
        ("NB205", "import sys\nsys.path.append('/content/drive/MyDrive')"),
        ("NB205", "print(open('/home/ada/notes'))"),
        ("NB205", "%cd /content/drive/MyDrive/clicks"),
        ("NB206", "!pip3 install -q pandas"),
        ("NB206", "! python -m pip install pandas"),
        ("NB206", "!{sys.executable} -m pip -q install pandas"),
        ("NB206", "%pip install -r requirements.txt"),
        ("NB206", "%conda install -y pandas"),
        ("NB206", "!apt-get -qq install graphviz"),
        ("NB206", "!sudo apt install graphviz"),
        ("NB206", "%%bash\nset -e\npip install pandas"),
        ("NB206", "pip install pandas"),
        ("NB206", "import os\nos.system('pip install pandas')"),
        ("NB206", "import subprocess\nsubprocess.run(['pip', 'install', 'pandas'])"),
        (
            "NB206",
            "from subprocess import check_call as c\nc([executable, '-m', 'pip', 'install', 'a'])",
        ),
        ("NB206", "get_ipython().system('pip install pandas')"),
        ("NB207", f"{PANDAS}\nurl = 'https://example.org'\npd.read_csv(url + '/a.csv')"),
        ("NB207", PANDAS + "\nfor year in [1]:\n    pd.read_csv(f'https://example.org/{year}')"),
        ("NB207", "import requests\nrequests.get('https://example.org')"),
        ("NB207", "import requests\ndef get(url): return requests.get(url)"),
        ("NB207", "from urllib.request import urlretrieve\nurlretrieve('ftp://example.org', 'a')"),
        ("NB207", "!curl -O https://example.org/a.csv"),
        ("NB207", "!wget $url"),
        ("NB207", "%%bash\ncd data\nwget https://example.org/a.csv"),
        ("NB208", "open('notes.txt')"),
        ("NB208", f"{PANDAS}\npd.read_parquet('../../other/data/a.parquet')"),
        ("NB208", f"{PANDAS}\npd.read_csv('../a.csv')"),
        ("NB208", f"{NUMPY}\nnp.load('results/a.npy')"),
        ("NB209", "import datetime as dt\nlast = dt.date.today()"),
        ("NB209", f"{PANDAS}\nend = pd.Timestamp.now()"),
        ("NB209", f"{PANDAS}\nend = pd.to_datetime('today')"),
        ("NB209", "from datetime import datetime\nnow = datetime.now()\nage = now.year - 1990"),
        ("NB209", "from datetime import datetime\ndef old(born): return datetime.now() - born"),
        ("NB209", "import os\nrows = os.getenv('ROWS', '5')"),
        ("NB209", "import os\nrows = os.environ.get('ROWS')"),
        ("NB209", "import uuid\nkey = uuid.uuid4()"),
        ("NB209", "import socket\nhost = socket.gethostname()"),
        ("NB209", "import random, time\nrandom.seed(time.time())"),
        ("NB211", "from getpass import getpass\ntoken = getpass()"),
        ("NB211", "breakpoint()"),
        ("NB211", "import pdb\npdb.set_trace()"),
        ("NB211", "%pdb on"),
        ("NB211", "%load solution.py"),
        ("NB211", "%matplotlib widget"),
        ("NB211", "%matplotlib notebook"),
        ("NB211", "import matplotlib\nmatplotlib.use('Qt5Agg')"),
        ("NB211", "quit()"),
    ],
)
def test_what_is_wrong_is_found(rule: str, code: str) -> None:
    assert found(code) == [rule]


@pytest.mark.parametrize(
    "code",
    [
        # NB202
        f"{NUMPY}\nrng = np.random.default_rng(1)\nrng.random()",
        f"{NUMPY}\nnp.random.seed(1)\nnp.random.rand(1)",
        f"{NUMPY}\ndef draw(): return np.random.rand(1)\nnp.random.seed(1)\ndraw()",
        "import random\nrandom.seed(1)\nrandom.random()",
        "import torch\ntorch.manual_seed(1)\ntorch.rand(1)",
        "import torch\nfrom lightning import seed_everything\nseed_everything(1)\ntorch.rand(1)",
        "import torch\ndef f(g): return torch.rand(1, generator=g)",
        "import tensorflow as tf\ntf.random.set_seed(1)\ntf.random.normal([1])",
        "import random, string\nrandom.choices(string.ascii_lowercase, k=8)",
        "def f(random): return random.random()",
        # NB203
        "from sklearn.cluster import KMeans\ndef f(**options): return KMeans(**options)",
        f"{NUMPY}\nfrom sklearn.cluster import KMeans\nnp.random.seed(1)\nKMeans(3)",
        "from sklearn.decomposition import PCA\nPCA(2)",
        "from sklearn.linear_model import LogisticRegression as L\nL(solver='liblinear')",
        "from sklearn.model_selection import train_test_split\ntrain_test_split([1])",
        "from mine import RandomForestClassifier\nRandomForestClassifier()",
        # NB204
        "import random\nrandom.seed(1)\nrandom.sample([1], 1)",
        "def act(env): return env.action_space.sample()",
        "def draw(normal): return normal.sample((5,))",
        "def draw(mixture): return mixture.sample(5)",
        "import pymc as pm\npm.sample(1000)",
        "def few(df): return df.sample(5, random_state=1)",
        "def few(df): return df.sample(fraction=0.1, seed=1)",
        f"{NUMPY}\nnp.random.seed(1)\ndef few(df): return df.sample(5)",
        # NB205
        "import os\npath = '/home/ada/a.csv'\nif not os.path.isfile(path):\n    path = 'a.csv'",
        "route = '/api/v1/users'",
        "url = 'https://example.org/home/ada/x'",
        "def f():\n    '''/home/ada/clicks'''",
        "print('/home/ada/clicks')",
        "null = open('/dev/null')",
        "scratch = '/tmp/clicks'",
        "config = '~/.kaggle/kaggle.json'",
        "formula = 'y ~ x'",
        "pattern = r'a:\\d+'",
        "time = 'h:/m'",
        "import sys\nif 'google.colab' in sys.modules:\n    root = '/content/drive/MyDrive'",
        "import os\nif os.path.exists('/kaggle/input'):\n    print(1)",
        # NB206
        "!pip list",
        "!pip uninstall -y pandas",
        "print('pip install pandas')",
        "# !pip install pandas",
        "import sys\nif 'google.colab' in sys.modules:\n    !pip install pandas",
        "def run(sandbox): return sandbox.commands.run('pip install pandas')",
        # NB207
        "url = 'https://example.org/a.csv'",
        "import requests\nrequests.get('http://localhost:8000/health')",
        "!curl http://localhost:8000/health",
        "!curl -X POST https://example.org/predict",
        "from pathlib import Path\nif not Path('data/a').exists():\n    !wget https://example.org/a",
        "!wget --version",
        # NB208
        "open('out.txt', 'w')",
        "def f(path): return open(path)",
        f"{PANDAS}\npd.read_csv('../data/a.csv')",
        f"{PANDAS}\npd.read_csv('./data/raw/a.csv')",
        f"{PANDAS}\npd.read_json('[1]')",
        f"{PANDAS}\npd.read_sql('select 1', 'x')",
        f"{NUMPY}\nnp.load('runs/latest/scores.npy')",
        # NB209
        "from datetime import datetime\nprint(datetime.now())",
        "from datetime import datetime\nname = f'run-{datetime.now():%Y}'",
        "from datetime import datetime\nname = 'run' + datetime.now().strftime('%Y')",
        "from datetime import datetime\nt = datetime.now()\nprint(datetime.now() - t)",
        "from datetime import datetime as d\na = d.now()\nb = d.now()\nprint((b - a).seconds)",
        "import time\nstart = time.time()\nprint(time.time() - start)",
        "import os\ntoken = os.environ['SHOP_TOKEN']",
        "import os\nos.environ['ROWS'] = '5'",
        "import os\nos.environ['LD'] = 'a:' + os.environ['LD']",
        "import os\nif os.getenv('ROWS'):\n    print(1)",
        "import uuid\nbucket = f'clicks-{uuid.uuid4()}'",
        # NB211
        "def f(input): return input(1)",
        "%matplotlib inline",
        "%load_ext autoreload",
        "%pdb off",
        "import matplotlib\nmatplotlib.use('Agg')",
        "def stop(): exit()",
    ],
)
def test_what_looks_like_it_is_not(code: str) -> None:
    assert found(code) == []


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("print(users)", True),
        ("def f(): return users", True),
        ("print(f'{users}')", True),
        ("!ls data/{users}", True),
        ("%time load($users)", True),
        ("df = 1\nprint(df.query('n > @users'))", True),
        ("print(locals())", True),
        ("%%sql\nselect * from clicks limit :users", True),
        ("%run other.py", True),
        ("print('users')", False),
        ("users = 5\n", False),
        ("print(dict(users=1))", False),
    ],
)
def test_a_parameter_is_read_or_not(code: str, read: bool) -> None:
    rules = found("users: int = 3", code, tags=("parameters",))
    assert ("NB210" in rules) is not read


def test_only_one_cell_of_parameters_is_judged() -> None:
    assert found("users: int = 3\n", "print(1)", tags=("other",)) == []


@pytest.mark.parametrize(
    "source", ["", "x = (", "%%R\nx <- 1", "\x00", "!", "%", "é = 1", "a\r\nb"]
)
def test_any_text_is_read(source: str) -> None:
    found(source, source)
