"""What a program binds, calls and loops over: scope by scope, in the order of its lines."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..core.programs import Program

Loop = ast.For | ast.AsyncFor | ast.While
Function = ast.FunctionDef | ast.AsyncFunctionDef
LOOPS = (ast.For, ast.AsyncFor, ast.While)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEEP = 30  # names and expressions are followed no further


@dataclass(eq=False)
class Step:
    """A statement, without the statements inside of it."""

    node: ast.stmt
    scope: Scope
    loops: tuple[Loop, ...]  # outermost first
    number: int = 0
    calls: list[ast.Call] = field(default_factory=list)
    bound: list[tuple[str, ast.expr]] = field(default_factory=list)  # names and their values


@dataclass(frozen=True, eq=False)
class Binding:
    """Where a name gets its value.

    Attributes:
        value: What it is bound to; in a loop, what is iterated over.
        index: Its place among the names that ``value`` is unpacked into.
    """

    step: Step
    value: ast.expr
    index: int | None = None

    @property
    def looped(self) -> bool:
        return isinstance(self.step.node, LOOPS)


@dataclass(eq=False)
class Scope:
    """The top level, or the body of one function."""

    node: Function | None
    parent: Scope | None
    steps: list[Step] = field(default_factory=list)
    bindings: dict[str, list[Binding]] = field(default_factory=lambda: defaultdict(list))

    @property
    def arguments(self) -> list[str]:
        if self.node is None:
            return []
        given = self.node.args
        return [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]

    def binding(self, name: str, at: Step) -> Binding | None:
        """The last binding of ``name`` above a step; of outer scopes, their last one."""
        if bindings := self.bindings.get(name):
            above = bisect_left(bindings, at.number, key=lambda bound: bound.step.number)
            return bindings[max(above - 1, 0)]
        if name in self.arguments or self.parent is None:
            return None
        outer = self.parent.bindings.get(name)
        return outer[-1] if outer else self.parent.binding(name, at)


class Flow:
    """The scopes of a program, and what its calls mean."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.top = Scope(None, None)
        self.scopes = [self.top]
        self.steps: list[Step] = []
        self._own: set[str] = set()  # defined in this file, or imported from beside it
        self._full: dict[ast.Call, str | None] = {}
        self._find_steps()
        self._find_calls()

    def _find_steps(self) -> None:
        rest: list[tuple[ast.stmt, Scope, tuple[Loop, ...]]]
        rest = [(node, self.top, ()) for node in self.program.tree.body]
        while rest:
            node, scope, loops = rest.pop()
            step = Step(node, scope, loops)
            self.steps.append(step)
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                self._own.add(node.name)
            elif isinstance(node, ast.ImportFrom) and node.level:
                self._own.update(alias.asname or alias.name for alias in node.names)
            if isinstance(node, FUNCTIONS):
                scope, loops = Scope(node, scope), ()
                self.scopes.append(scope)
            elif isinstance(node, LOOPS):
                loops = (*loops, node)
            for body in _bodies(node):
                rest += [(inner, scope, loops) for inner in body]
        self.steps.sort(key=lambda step: (step.node.lineno, step.node.col_offset))
        for number, step in enumerate(self.steps):
            step.number = number
            step.scope.steps.append(step)
            for name, value, index in _bound(step.node):
                step.bound.append((name, value))
                step.scope.bindings[name].append(Binding(step, value, index))

    def _find_calls(self) -> None:
        starts = [(step.node.lineno, step.node.col_offset) for step in self.steps]
        for call, full in self.program.calls():
            self._full[call] = full
            number = bisect_right(starts, (call.lineno, call.col_offset)) - 1
            self.steps[max(number, 0)].calls.append(call)

    def calls(self) -> Iterator[tuple[Step, ast.Call]]:
        for step in self.steps:
            for call in step.calls:
                yield step, call

    def full(self, call: ast.Call) -> str:
        """The full name of what is called, where it is imported, else nothing."""
        return self._full.get(call) or ""

    def called(self, call: ast.Call, libraries: tuple[str, ...] = ()) -> str:
        """The last name of a function or class that is called, such as ``KFold``.

        Nothing for a method, for what this file defines, and for other libraries' things.
        """
        if full := self.full(call):
            top, _, _ = full.partition(".")
            return full.rpartition(".")[2] if top in libraries or not libraries else ""
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        return "" if name in self._own or name in self.top.bindings else name

    def maker(self, node: ast.expr, step: Step, depth: int = 0) -> ast.Call | None:
        """The call that made an object: ``PCA(2)`` for ``pca`` after ``pca = PCA(2).fit(x)``."""
        if depth > DEEP:
            return None
        if isinstance(node, ast.Name):
            bound = step.scope.binding(node.id, step)
            if bound is None or bound.index is not None or bound.looped:
                return None
            return self.maker(bound.value, bound.step, depth + 1)
        if isinstance(node, ast.Call):
            if method(node) in ("fit", "set_params", "set_output"):
                return self.maker(receiver(node), step, depth + 1)
            return node
        return None


def _bodies(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(node, name, [])
    for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield handler.body


def _bound(node: ast.stmt) -> Iterator[tuple[str, ast.expr, int | None]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _unpacked(target, node.value)
    elif isinstance(node, ast.AnnAssign) and node.value:
        yield from _unpacked(node.target, node.value)
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        yield from _unpacked(node.target, node.iter)
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        for item in node.items:
            if item.optional_vars:
                yield from _unpacked(item.optional_vars, item.context_expr)


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr, int | None]]:
    if isinstance(target, ast.Name):
        yield target.id, value, None
    elif isinstance(target, (ast.Tuple, ast.List)):
        several = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
        for index, part in enumerate(target.elts):
            if len(several) == len(target.elts):
                yield from _unpacked(part, several[index])
            elif isinstance(part, ast.Name):
                yield part.id, value, index


def method(call: ast.Call) -> str:
    """The name of the method that is called, or of a function in a module."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def receiver(call: ast.Call) -> ast.expr:
    """What a method is called on."""
    return call.func.value if isinstance(call.func, ast.Attribute) else call.func


def argument(call: ast.Call, place: int, *names: str) -> ast.expr | None:
    """The argument at a place, or with one of these names."""
    if place < len(call.args):
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg in names), None)


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def has_unknown(call: ast.Call) -> bool:
    """Whether arguments are passed on with ``*`` or ``**``, so that nobody sees them here."""
    return any(each.arg is None for each in call.keywords) or any(
        isinstance(each, ast.Starred) for each in call.args
    )


def is_constant(node: ast.expr | None, *values: object) -> bool:
    return isinstance(node, ast.Constant) and any(node.value is value for value in values)


def path(node: ast.AST) -> str:
    """A chain of names as it is written, such as ``self.best[name]``; nothing for others."""
    parts: list[str] = []
    for _ in range(DEEP):
        if isinstance(node, ast.Name):
            return "".join([node.id, *reversed(parts)])
        if isinstance(node, ast.Attribute):
            parts.append(f".{node.attr}")
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            parts.append(f"[{node.slice.value!r}]")
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
            parts.append(f"[{node.slice.id}]")
        else:
            return ""
        node = node.value
    return ""


def axes(node: ast.Subscript) -> list[ast.expr]:
    """What stands in the brackets, by axis."""
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def names(node: ast.AST) -> Iterator[str]:
    """The names that an expression reads."""
    return (each.id for each in ast.walk(node) if isinstance(each, ast.Name))


MODULES = {"da", "np", "numpy", "pd", "pandas", "pl", "torch"}


def base(node: ast.AST) -> str:
    """The name whose rows an expression holds: ``df`` for ``df.loc[:, names].to_numpy()``."""
    while True:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call):
            inner = node.func.value if isinstance(node.func, ast.Attribute) else None
            first = argument(node, 0, "data", "X")
            module = isinstance(inner, ast.Name) and inner.id in MODULES
            by_first = inner is None or module or method(node) == "transform"
            node = first if by_first and first else inner or ast.Pass()
        else:
            return ""
