"""NB2: the examples that the rules themselves show are faults and twins, and some more."""

from __future__ import annotations

import re

from gates.reproducible import RULES

from ..planting import Change, Fault, both, cell, script

FIRST_IMPORT = r"(?<=^# ## Imports and configuration\n\n# %%\n)"
PARAMETER = r'(?<=# %% tags=\["parameters"\]\n)'


def example(code: str) -> Change:
    """A code cell, as ``cell`` makes it, whose imports stand in the imports section."""
    code = re.sub(r"^([!%])", r"# \1", code.removeprefix("# %%\n"), flags=re.M)  # as in a .py
    imports = re.findall(r"^(?:import|from) .*\n", code, re.M)
    rest = cell("".join(line for line in code.splitlines(True) if line not in imports))
    return both(script(FIRST_IMPORT, "".join(imports)), rest) if imports else rest


def fault(rule: str, what: str, bad: str, good: str) -> Fault:
    return Fault(rule, what, example(bad), example(good))


FAULTS = (
    *(
        fault(rule.id, rule.what, rule.bad, rule.good)
        for rule in RULES
        if rule.id != "NB210"  # its example has a parameters cell of its own
    ),
    fault(
        "NB201",
        "a name used after del",
        "prices = [3.0, 4.5]\ndel prices\nprint(prices)",
        "prices = [3.0, 4.5]\nprint(prices)\ndel prices",
    ),
    fault(
        "NB201",
        "a function called before it is defined",
        "show_sum()\n\n# %%\ndef show_sum():\n    print(1 + 1)",
        "def show_sum():\n    print(1 + 1)\n\n\n# %%\nshow_sum()",
    ),
    fault(
        "NB202",
        "random of the standard library",
        "import random\nprint(random.choice([1, 2, 3]))",
        "import random\nrandom.seed(7)\nprint(random.choice([1, 2, 3]))",
    ),
    fault(
        "NB202",
        "a generator made without a seed",
        "import numpy as np\nrng = np.random.default_rng()",
        "import numpy as np\nrng = np.random.default_rng(7)",
    ),
    fault(
        "NB202",
        "the seed comes too late",
        "import numpy as np\nprint(np.random.rand(3))\nnp.random.seed(7)",
        "import numpy as np\nnp.random.seed(7)\nprint(np.random.rand(3))",
    ),
    fault(
        "NB203",
        "clusters from random starts",
        "from sklearn.cluster import KMeans\nclusters = KMeans(n_clusters=3)",
        "from sklearn.cluster import KMeans\nclusters = KMeans(n_clusters=3, random_state=7)",
    ),
    fault(
        "NB205",
        "a path below the home folder",
        'from pathlib import Path\nfolder = Path("~/clicks").expanduser()',
        'from pathlib import Path\nfolder = Path("data/clicks")',
    ),
    fault(
        "NB205",
        "a Windows path",
        'folder = "C:\\\\Users\\\\ada\\\\clicks"',
        'folder = "data/clicks"',
    ),
    fault("NB206", "conda in a cell", "%conda install pandas\nprint(1)", "print(1)"),
    fault(
        "NB207",
        "a file fetched by the shell",
        "!wget https://example.org/clicks.csv\nprint(1)",
        "!ls data\nprint(1)",
    ),
    fault(
        "NB209",
        "an environment variable",
        'import os\nrows = int(os.environ["ROWS"])',
        'import os\ntoken = os.environ["SHOP_TOKEN"]',
    ),
    fault(
        "NB209",
        "the clock as a seed",
        "import time\n\nimport numpy as np\nnp.random.seed(int(time.time()))",
        "import time\n\nimport numpy as np\nnp.random.seed(7)\nprint(time.time())",
    ),
    Fault(
        "NB210",
        "a parameter that nothing reads",
        both(script(PARAMETER, "days: int = 7\n"), cell("print(7 * 24)")),
        both(script(PARAMETER, "days: int = 7\n"), cell("print(days * 24)")),
    ),
    fault("NB211", "a debugger", "%debug\nprint(1)", "%timeit 1 + 1\nprint(1)"),
    fault(
        "NB211",
        "figures in a window",
        'import matplotlib\nmatplotlib.use("TkAgg")',
        'import matplotlib\nmatplotlib.use("Agg")',
    ),
    fault("NB211", "a cell that ends the kernel", "exit()", "exit"),
)
