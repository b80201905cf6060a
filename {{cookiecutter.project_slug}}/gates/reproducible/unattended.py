"""NB210, NB211: what a job cannot pass, and what needs a person."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..core.rules import Rule
from .code import ANYTHING, FILLING, Code, Found, called, short, shown

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
            yield NB211, magic.place, f"`{short(magic.text)}` needs a person or a screen"
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


RULES = (NB210, NB211)
LOOKS = (_unread, _attended)
