"""PR601-PR605: the repository as a whole."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .core.files import Unreadable, read_text
from .core.gate import Context, Gate
from .core.rules import Finding, Rule

PR601 = Rule(
    "PR601",
    "an import against the direction of the data",
    "a step that imports a later one cannot be tested, replaced or removed without it",
    "Move what both need into the earlier step, or pass it as an argument",
    bad="# src/shop/data/clicks.py\nfrom ..training.splits import Split",
    good="# src/shop/training/fit.py\nfrom ..data.clicks import read_clicks",
)
PR602 = Rule(
    "PR602",
    "uv.lock does not say what pyproject.toml asks for",
    "others install, and CI tests, versions that pyproject.toml no longer means",
    "Run `uv lock`, then commit uv.lock together with pyproject.toml",
    bad='# pyproject.toml\ndependencies = ["polars>=1.9"]\n# uv.lock has no polars',
    good='# pyproject.toml\ndependencies = ["polars>=1.9"]\n# uv.lock, after `uv lock`\n'
    'requires-dist = [{ name = "polars", specifier = ">=1.9" }]',
)
PR603 = Rule(
    "PR603",
    "a command of the documentation that does not exist",
    "the first thing that a newcomer tries fails",
    "Correct the command, or remove it",
    bad="```\npython -m shop.trian model=linear\n```",
    good="```\npython -m shop.train model=linear\n```",
)
PR604 = Rule(
    "PR604",
    "a placeholder is left over",
    "readers and tools take it at its word",
    "Write what is meant, or remove the line",
    bad='authors = [{ name = "Your Name", email = "you@example.com" }]',
    good='authors = [{ name = "Ada Lovelace" }]',
)
PR605 = Rule(
    "PR605",
    "a data file in git",
    "every clone carries it for good, and each new version of it once more",
    "Take it out with `git rm --cached FILE`, ignore it in .gitignore, and say in the README where "
    "it comes from; a larger limit is `data-kb` in [tool.gates]",
    bad="git add docs/clicks.csv  # 48 MB",
    good="echo '/data/' >> .gitignore  # the README says how to make or fetch it",
)
RULES = (PR601, PR602, PR603, PR604, PR605)


def check(context: Context) -> Iterator[Finding]:
    looks: tuple[tuple[Rule, Callable[[Context], Iterator[Finding]]], ...] = (
        (PR601, check_imports),
        (PR602, check_lock),
        (PR603, check_commands),
        (PR604, check_placeholders),
        (PR605, check_data),
    )
    for rule, look in looks:
        if context.settings.wants(rule):
            yield from look(context)


# --- PR601


def check_imports(context: Context) -> Iterator[Finding]:
    """What import-linter says of the contracts in pyproject.toml."""
    contracts = _pyproject(context.root).get("tool", {}).get("importlinter")
    linter = Path(sys.executable).with_name("lint-imports")
    if not (contracts and linter.is_file()):
        return
    folders = [str(context.root / "src"), str(context.root)]
    done = subprocess.run(
        [linter, "--no-cache", "--no-logo", "--config", "pyproject.toml"],
        cwd=context.root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "COLUMNS": "10000"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    chains = list(_chains(done.stdout, context.root))
    yield from chains
    if not chains:
        lines = [line.strip() for line in (done.stdout + done.stderr).split("\n") if line.strip()]
        what = f"import-linter could not check the imports: {lines[-1] if lines else 'no reason'}"
        yield Finding(PR601, Path("pyproject.toml"), what)


def _chains(report: str, root: Path) -> Iterator[Finding]:
    """A finding for each chain of imports: where it begins."""
    broken = ""
    for line in report.split("\n"):
        if "is not allowed to import" in line:
            broken = line.strip().rstrip(":")
        elif found := re.match(r"- ([\w.]+)(?: -> ([\w.]+))? \(l\.(\d+)", line):
            what = f"{broken} ({found[1]} imports {found[2] or 'what does'})"
            yield Finding(PR601, _module_file(root, found[1]), what, line=int(found[3]))


def _module_file(root: Path, name: str) -> Path:
    parts = Path(*name.split("."))
    for folder in (Path("src"), Path()):
        for path in (folder / parts.with_suffix(".py"), folder / parts / "__init__.py"):
            if (root / path).is_file():
                return path
    return Path("pyproject.toml")


# --- PR602


def check_lock(context: Context) -> Iterator[Finding]:
    """Compare what uv.lock notes of the project with pyproject.toml: no network, no uv."""
    project = _pyproject(context.root)
    try:
        text = _lock(context.root)
        lock = tomllib.loads(text)
    except Unreadable:
        return
    except tomllib.TOMLDecodeError as error:
        yield Finding(PR602, Path("uv.lock"), f"uv.lock cannot be read: {error}")
        return
    own = [
        package.get("metadata", {})
        for package in lock.get("package", [])
        if "." in package.get("source", {}).values()
    ]
    if not (own and "project" in project):
        return
    line = text[: text.find("[package.metadata")].count("\n") + 1
    for what in _differences(project, own[0], lock):
        yield Finding(PR602, Path("uv.lock"), what, line=line)


def _lock(root: Path) -> str:
    """The lock that would be committed: the one in the folder is renewed by each `uv sync`."""
    staged = subprocess.run(["git", "-C", str(root), "show", ":uv.lock"], capture_output=True)
    return staged.stdout.decode() if staged.returncode == 0 else read_text(root / "uv.lock")


def _differences(
    project: dict[str, Any], noted: dict[str, Any], lock: dict[str, Any]
) -> Iterator[str]:
    from packaging.specifiers import SpecifierSet

    asked, made = project["project"].get("requires-python"), lock.get("requires-python", "")
    # uv writes >=3.13,<3.14 as ==3.13.*, so what they let in is compared.
    if asked and any(
        SpecifierSet(asked).contains(python) != SpecifierSet(made).contains(python)
        for python in (f"3.{minor}.{micro}" for minor in range(8, 30) for micro in (0, 1, 99))
    ):
        yield f"uv.lock is for Python {made}, pyproject.toml for {asked}"
    day = project.get("tool", {}).get("uv", {}).get("exclude-newer", "")
    locked = lock.get("options", {}).get("exclude-newer", "")
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", day) and day != locked:
        yield f"uv.lock was made with exclude-newer = {locked or 'nothing'}, not {day}"
    sources = set(map(_canonical, project.get("tool", {}).get("uv", {}).get("sources", {})))
    asked = _asked(project, sources)
    held = _held(noted, sources)
    for group, name in sorted(asked.keys() | held.keys()):
        wanted, got = asked.get((group, name)), held.get((group, name))
        if wanted != got:
            where = f" in group '{group}'" if group else ""
            if got is None:
                yield f"uv.lock does not know the dependency {name}{where}"
            elif wanted is None:
                yield f"uv.lock still has the dependency {name}{where}"
            else:
                yield f"uv.lock has {name} with other versions or extras{where}"


Requirements = dict[tuple[str, str], set[tuple[frozenset[str], str]]]


def _asked(project: dict[str, Any], sources: set[str]) -> Requirements:
    """The requirements that pyproject.toml lists, by group and name."""
    from packaging.requirements import InvalidRequirement, Requirement

    table = project["project"]
    groups = {"": table.get("dependencies", [])}
    for extra in table.get("optional-dependencies", {}).values():
        groups[""] = groups[""] + extra
    by_name = project.get("dependency-groups", {})
    groups |= {name: list(_expanded(name, by_name, set())) for name in by_name}
    found: Requirements = {}
    for group, texts in groups.items():
        for text in texts:
            try:
                one = Requirement(text)
            except InvalidRequirement:
                continue
            name = _canonical(one.name)
            versions = "" if one.url or name in sources else _sorted(str(one.specifier))
            found.setdefault((group, name), set()).add((frozenset(one.extras), versions))
    return found


def _expanded(name: str, groups: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """The requirements of a dependency group and of those that it includes."""
    for item in groups.get(name, []) if name not in seen else []:
        if isinstance(item, str):
            yield item
        else:
            yield from _expanded(item.get("include-group", ""), groups, seen | {name})


def _held(noted: dict[str, Any], sources: set[str]) -> Requirements:
    """The requirements that uv.lock noted when it was made, by group and name."""
    found: Requirements = {}
    for group, items in {
        "": noted.get("requires-dist", []),
        **noted.get("requires-dev", {}),
    }.items():
        for item in items:
            name = _canonical(item["name"])
            versions = "" if name in sources else _sorted(item.get("specifier", ""))
            extras = frozenset(item.get("extras", []))
            found.setdefault((group, name), set()).add((extras, versions))
    return found


def _sorted(specifiers: str) -> str:
    parts = (part.replace(" ", "") for part in specifiers.split(","))
    return ",".join(sorted(part for part in parts if part))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- PR603

FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\S*)")
SHELLS = {"", "bash", "console", "sh", "shell", "shell-session", "terminal", "zsh"}
TARGET = re.compile(r"[A-Za-z][\w.-]*")
PROSE = {"a", "an", "it", "sense", "sure", "that", "the", "this", "use", "your"}  # make sure ...


def check_commands(context: Context) -> Iterator[Finding]:
    root = context.root
    targets = _make_targets(root)
    for path in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        try:
            text = read_text(path)
        except Unreadable:
            continue
        for number, command in _commands(text):
            try:
                words = shlex.split(command)
            except ValueError:
                continue  # a quote left open: more follows on the next line
            for what in (*_unknown_targets(words, targets), *_unknown_files(words, root)):
                yield Finding(PR603, path.relative_to(root), what, line=number)


def _commands(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each command: lines of fenced shell blocks, and `make ...` in the text."""
    fence, shell, elsewhere = "", False, False
    for number, line in enumerate(text.split("\n"), start=1):
        if found := FENCE.match(line):
            if not fence:
                fence, shell, elsewhere = found[1], found[2].lower() in SHELLS, False
            elif found[1].startswith(fence):
                fence = ""
        elif fence:
            command = re.sub(r"^\s*[$%>] |\s+#.*$", "", line).strip()
            elsewhere = elsewhere or re.match(r"(cd|pushd|docker|ssh)\b", command) is not None
            if shell and not elsewhere:
                for part in re.split(r"&&|\|\||[;|]", command):
                    yield number, part
        else:
            for found in re.finditer(r"`(make [^`]*)`", line):
                yield number, found[1]


def _make_targets(root: Path) -> set[str] | None:
    """The targets of the Makefile; None where they cannot be known for certain."""
    try:
        text = read_text(root / "Makefile")
    except Unreadable:
        return None
    targets: set[str] = set()
    for line in text.split("\n"):
        if re.match(r"-?include\b|\S*[%$(][^=]*:(?!=)", line):
            return None
        if found := re.match(r"([^\s#:=][^:=#]*):(?!=)", line):
            targets.update(found[1].split())
    return targets


def _unknown_targets(words: list[str], targets: set[str] | None) -> Iterator[str]:
    if targets is None or words[:1] != ["make"] or PROSE & set(words):
        return
    if any(word.startswith(("-C", "-f", "--")) for word in words):
        return  # another Makefile
    for word in words[1:]:
        if TARGET.fullmatch(word) and word not in targets:
            yield f"the Makefile has no target '{word}'"


def _unknown_files(words: list[str], root: Path) -> Iterator[str]:
    """Modules after ``python -m`` and files for python and pytest that are not there."""
    for program, *rest in (words[n:] for n in range(len(words))):
        name = Path(program).name
        if re.fullmatch(r"python[\d.]*", name) and rest[:1] == ["-m"]:
            module = rest[1] if len(rest) > 1 else ""
            if re.fullmatch(r"\w+(\.\w+)*", module) and not _runs(module, root):
                yield f"there is no module '{module}' to run"
            return
        if name in ("python", "python3", "pytest"):
            for word in rest:
                file = word.split("::")[0]
                path = Path(file)
                inside = len(path.parts) > 1 and (root / path.parts[0]).is_dir()
                if inside and path.suffix == ".py" and not _exists(root, file):
                    yield f"there is no file '{file}'"
                if name != "pytest":
                    return
            return


def _exists(root: Path, name: str) -> bool:
    return any(sign in name for sign in "*?[<$") or (root / name).exists()


def _runs(module: str, root: Path) -> bool:
    """Whether ``python -m module`` can run, or is nothing of this repository."""
    parts = module.split(".")
    for folder in (root / "src", root):
        if (folder / parts[0] / "__init__.py").is_file():
            path = folder.joinpath(*parts)
            return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
    return True


# --- PR604

PLACEHOLDERS = (
    (re.compile(re.escape("{" * 2) + r"[\s-]*cookiecutter\b"), "a mark of the template"),
    (re.compile(r"\b(?:TODO|FIXME):? *(?:replace|fill|change|describe)\b", re.I), "a TODO"),
    (re.compile(r"\bCHANGE[_-]?ME\b|\bREPLACE[_-]ME\b"), "a placeholder"),
    (re.compile(r"\blorem ipsum\b", re.I), "filler text"),
    (re.compile(r"<your[ _-][^<>\n]{1,40}>", re.I), "a placeholder"),
    (
        re.compile(r"\b(?:you|author|your[._-]?(?:name|e?mail))@[\w.-]+\.\w+", re.I),
        "an invented address",
    ),
    (re.compile(r"""name *= *["'](?:Your|Author)(?: Full)? Name["']""", re.I), "an invented name"),
)


def check_placeholders(context: Context) -> Iterator[Finding]:
    root = context.root
    conf = sorted((root / "conf").rglob("*.y*ml"))
    for path in (root / "README.md", root / "pyproject.toml", *conf):
        try:
            text = read_text(path)
        except Unreadable:
            continue
        if path.suffix == ".md":
            text = _without_code(text)
        for number, line in enumerate(text.split("\n"), start=1):
            for pattern, kind in PLACEHOLDERS:
                if found := pattern.search(line):
                    what = f"{kind} is left over: {found[0]}"
                    yield Finding(PR604, path.relative_to(root), what, line=number)
                    break


def _without_code(text: str) -> str:
    """Markdown with its code blanked out: there ``<your token>`` shows what to type."""

    def blank(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    return re.sub(r"^\s*(```+|~~~+).*?^\s*\1|`[^`\n]*`", blank, text, flags=re.M | re.S)


# --- PR605

DATA = re.compile(
    r"(?<!-lock)\.(?:arrow|avro|bin|bz2|csv|db|duckdb|feather|geojson|gz|h5|hdf5|joblib|jsonl?"
    r"|keras|mat|model|ndjson|np[yz]|onnx|orc|parquet|pickle|pkl|pth?|rds|safetensors|sav"
    r"|sqlite3?|tar|tsv|txt|ubj|xlsx?|xz|zip|zst)$",
    re.I,
)


def check_data(context: Context) -> Iterator[Finding]:
    """Data files that git tracks, or is about to, beyond the limit; not those of git LFS."""
    limit = context.settings.data_kb * 1000
    large: list[tuple[str, int]] = []
    for name in _git(context.root, "ls-files", "-z").split("\0"):
        path = context.root / name
        if DATA.search(name) and path.is_file():
            size = path.stat().st_size
            if size > limit:
                large.append((name, size))
    for name, size in large:
        if "filter: lfs" not in _git(context.root, "check-attr", "filter", "--", name):
            yield Finding(PR605, Path(name), f"a data file of {size / 1e6:,.1f} MB in git")


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, check=False
        )
    except OSError:
        return ""
    return os.fsdecode(done.stdout) if done.returncode == 0 else ""


def _pyproject(root: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(root / "pyproject.toml"))
    except (Unreadable, tomllib.TOMLDecodeError):
        return {}


GATE = Gate(RULES, on_project=check)
main = GATE.main

if __name__ == "__main__":
    sys.exit(main())
