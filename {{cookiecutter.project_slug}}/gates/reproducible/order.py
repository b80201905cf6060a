"""NB201: names in the order of the cells."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterable, Iterator

from ..core.rules import Rule
from .code import ANYTHING, FILLING, Code, Found, Function, called

NB201 = Rule(
    "NB201",
    "a name is used before the line that makes it",
    "it worked only because cells were run in another order; from top to bottom it stops here",
    "Move the cell that makes the name above the one that uses it, then restart and run all",
    bad="# %%\nmean_price = sum(prices) / len(prices)\n# %%\nprices = [3.0, 4.5]",
    good="# %%\nprices = [3.0, 4.5]\n# %%\nmean_price = sum(prices) / len(prices)",
)


# What IPython and notebook services put there themselves.
GIVEN = {*dir(builtins), "In", "Out", "_", "__", "___", "get_ipython", "display"}
GIVEN |= {"spark", "sc", "sqlContext", "dbutils", "displayHTML"}


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


RULES = (NB201,)
LOOKS = (_order,)
