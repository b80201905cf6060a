"""NB205, NB207, NB208: what is read from elsewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..core.rules import Rule
from .code import SERVICE, Code, Found, called, shell_lines, short, shown

NB205 = Rule(
    "NB205",
    "a path of one machine",
    "it is found on nobody else's machine, nor where jobs run",
    "Write the path relative to the project, such as data/clicks.csv, or make it a parameter",
    bad='import pandas as pd\nclicks = pd.read_csv("/home/ada/shop/data/clicks.csv")',
    good='import pandas as pd\nclicks = pd.read_csv("data/clicks.csv")',
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


MACHINE_PATH = re.compile(
    r"/(home|Users|media|Volumes|kaggle|mnt|scratch)/[\w.-]"
    r"|/content/(g?drive|sample_data)\b|/root/\w"
    r"|[A-Za-z]:[\\/]{1,2}[^\\/:*?\"<>|\n]+[\\/.]"
    r"|~/[\w-]"
)
IN_SHELL = re.compile(
    r"(?<=[\s='\"])/(home|Users|Volumes|kaggle|mnt|content/g?drive)/[\w.-][^\s'\"]*"
)


def _paths(code: Code) -> Iterator[Found]:
    tried = {
        each.id
        for call, _ in code.calls
        if SERVICE.fullmatch(called(call))
        for each in ast.walk(call)
        if isinstance(each, ast.Name)
    }
    for node in code.program.walk():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            path = node.value
            if not MACHINE_PATH.match(path) or "\n" in path or not _is_used(code, node):
                continue
            owner = next(code.above(node), None)
            if isinstance(owner, ast.Assign) and getattr(owner.targets[0], "id", "") in tried:
                continue  # where it is not there, something else is done
            place = code.program.place(node)
            if not code.under(place, SERVICE):
                yield NB205, place, f"the path '{short(path)}' is of one machine"
    for magic in code.program.magics:
        if (found := IN_SHELL.search(magic.text)) and not code.under(magic.place, SERVICE):
            yield NB205, magic.place, f"the path '{short(found[0])}' is of one machine"


def _is_used(code: Code, node: ast.Constant) -> bool:
    """Whether a string does something: no docstring, no message, no later part of an f-string."""
    parent = code.parents[node]
    if isinstance(parent, ast.Expr):
        return False
    if isinstance(parent, ast.JoinedStr) and parent.values[0] is not node:
        return False
    return not code.only_told(node)


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
    for place, line in shell_lines(code):
        if FETCHED.match(line) and REMOTE.search(line) and not code.under(place, CACHED):
            yield NB207, place, f"`{short(line)}` reads a URL"


def _files(code: Code) -> Iterator[Found]:
    for call, name in code.calls:
        if call.args and (READING.fullmatch(name) if name else _opens_to_read(call)):
            path = call.args[0]
            if isinstance(path, ast.Constant) and _is_stray(path.value):
                yield NB208, call, f"'{short(str(path.value))}' is not below data/"


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


RULES = (NB205, NB207, NB208)
LOOKS = (_paths, _urls, _files)
