"""NB206, NB209: installs, the clock and the machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..core.rules import Rule
from .code import SERVICE, STAMPING, Code, Found, called, sets_a_seed, shell_lines, short, shown

NB206 = Rule(
    "NB206",
    "a package is installed by a cell",
    "it gets today's version, behind the back of the lock, while the notebook runs",
    "Add the package to pyproject.toml (`uv add NAME`) and remove the line",
    bad="!pip install pandas\nimport pandas as pd\nclicks = pd.DataFrame()",
    good="import pandas as pd\nclicks = pd.DataFrame()",
)
NB209 = Rule(
    "NB209",
    "the clock or the machine decides a value",
    "the same notebook gives another result tomorrow, or on another machine",
    "Make it a parameter, which the job passes and its report shows",
    bad="from datetime import datetime\nage = datetime.now().year - 1990",
    good="from datetime import datetime\nage = datetime(2026, 11, 20).year - 1990",
)


INSTALL = re.compile(
    r"\b(pip3?|conda|mamba|micromamba|easy_install|apt|apt-get|yum|brew)\b[^|;&\n]*?\s(install)\b"
)
SHELLING = re.compile(r"subprocess\.\w+|os\.(system|popen)|pip\.main|pip\._internal\.\w+")


def _installs(code: Code) -> Iterator[Found]:
    for place, text in shell_lines(code):
        if INSTALL.search(text) and not code.under(place, SERVICE):
            yield NB206, place, f"`{short(text)}` installs a package"
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
    r"KEY|TOKEN|SECRET|PASS|PWD|CRED|AUTH|USER|EMAIL|LOGIN|HOME|PATH|DIR|FOLDER|URL|URI|HOST"
    r"|PORT|ADDR|ENDPOINT|PROXY|BUCKET|ACCOUNT|REGION|PROJECT|TENANT|SUBSCRIPTION|_ID$|ARN|DSN"
    r"|DATABASE|^CI$|TEST|COLAB|KAGGLE|CLUSTER|COMPUTE|NODES?$|SKU|WORKSPACE|RESOURCE|STORE"
    r"|SERVER|SERVICE|CONTAINER|THREADS|WORKERS|CPU|GPU|CUDA|DEVICE",
    re.I,
)


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
            if any(isinstance(each, ast.Call) and sets_a_seed(each) for each in above):
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


RULES = (NB206, NB209)
LOOKS = (_installs, _clock)
