"""Take a table in for good: what it holds, what is odd about it, and the files that say so."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from ..config import CONF, PROJECT_ROOT, TableConfig
from ..errors import UserError
from ..runs.files import write_atomic
from .contracts import write_contract
from .contracts.sql import literal, quoted
from .findings import Finding, findings
from .ingest import ingest, profile_source
from .profile import READ_AS, ColumnProfile, Profile, infer_contract
from .roles import LEARNABLE, Column, task
from .table import VIEW, Table, check_names, connected, profiled, table_of

_SAMPLE = 100_000  # rows looked at for leaks, and those of rare classes
_OWN = ("shop", "table")  # options that the project comes with
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"}


@dataclass(frozen=True)
class Adoption:
    """What adopting a table has found and written."""

    name: str
    config: TableConfig  # as written: what gives the target away is excluded
    written: Profile  # of the source: how its text is written
    profile: Profile  # of the typed rows
    table: Table  # a sample of them
    findings: list[Finding]
    files: list[Path]

    def rows(self) -> Iterator[tuple[ColumnProfile, Column, str]]:
        """Each column with its role, and why it has its type and its role."""
        for column in self.table.columns:
            source = self.written[column.name]
            said = column.role in LEARNABLE and source.why in READ_AS.values()
            parts = ["" if said else source.why, column.why if column.why not in source.why else ""]
            yield self.profile[column.name], column, "; ".join(filter(None, parts))


def adopt(config: TableConfig, name: str, conf: Path = CONF, force: bool = False) -> Adoption:
    """Profile the table of ``config``, and write ``conf/data/<name>.yaml`` and its contract.

    Raises:
        UserError: the table cannot be read or learnt from, a column is misspelt, or a file is there
            already and ``force`` is not given. Nothing has been written then.
    """
    option, contract = conf / "data" / f"{name}.yaml", conf / "contracts" / f"{name}.yaml"
    _refuse(name, [option, contract], force)
    _refuse_unwritable(config)
    written = profile_source(config)
    check_names(written, config)
    config = replace(config, path=_relative(config.path), contract=_relative(str(contract)))
    with _restored(contract):
        write_contract(infer_contract(written, name), contract)
        ingested = ingest(config)
        with connected(ingested) as con:
            found = profiled(con, ingested)
            config = replace(config, task=task(found[config.target], config))
            table = table_of(con, found, ingested, config, _sample(found, config))
            odd: list[Finding] = []
            for _ in range(5):  # without one leak, another may show
                more = findings(con, VIEW, found, table, config)
                odd = [each for each in odd if each.exclude] + more
                exclude = [name for each in more if each.exclude for name in each.columns]
                if not exclude:
                    break
                config = replace(config, exclude=[*config.exclude, *exclude])
                table = _without(table, odd)
        result = Adoption(name, config, written, found, table, odd, [option, contract])
        write_atomic(option, as_yaml(result))
    return result


def name_of(path: str, table: str | None = None) -> str:
    """A name for the table at ``path`` that may stand in a file's name and on a command line."""
    stem = table or Path(path.split("://")[0]).name.split(".")[0]
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "mine"
    if name in _OWN:
        name = f"my_{name}"
    return name if name[0].isalpha() else f"t_{name}"


def as_yaml(adoption: Adoption) -> str:
    """``conf/data/<name>.yaml``: the settings, with the evidence as comments."""
    config, table = adoption.config, adoption.table
    about = {name: each for each in adoption.findings if each.exclude for name in each.columns}
    read = config.read
    lines = [
        f"# {config.path}: {adoption.profile.rows:,} rows, {len(table.columns)} columns.",
        "# Column, type, role, and why:",
    ]
    lines += [
        f"#   {column.name}: {profile.type}, {column.role}. {why}"
        for profile, column, why in adoption.rows()
    ]
    others = [each for each in adoption.findings if not each.exclude]
    if others:
        lines.append("# Of note:")
        lines += [f"#   {describe(each)}" for each in others]
    lines = [_comment(line).rstrip() for line in lines]
    settings: list[tuple[str, object]] = [
        ("kind", "table"), ("path", config.path), ("table", config.table), ("read", None),
        ("  delimiter", read.delimiter), ("  encoding", read.encoding), ("  decimal", read.decimal),
        ("  header", read.header), ("  columns", read.columns), ("  missing", read.missing),
        ("contract", config.contract), ("target", config.target), ("task", config.task),
        ("id", config.id), ("group", config.group), ("recurring", config.recurring),
        ("time", config.time),
    ]  # fmt: skip
    for key, value in settings:
        lines.append(f"{key}:" if key == "read" else f"{key}: {_value(value)}")
    if config.exclude:
        lines.append("exclude:")
        for name in config.exclude:
            why = f"{about[name].kind}: {about[name].evidence}" if name in about else ""
            lines.append(f"  - {_value(name)}" + (f"  {_comment('# ' + why)}" if why else ""))
    else:
        lines.append("exclude: []")
    lines.append(f"keep: {_value(config.keep)}")
    return "\n".join(lines) + "\n"


def describe(finding: Finding) -> str:
    """One line: what, about which columns, the evidence, and what is done."""
    about = f" {', '.join(finding.columns)}" if finding.columns else ""
    return f"{finding.kind}{about}: {finding.evidence} ({finding.action})"


def _value(value: object) -> str:
    """``value`` in YAML, on one line; text in quotes unless it is a plain word."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # OmegaConf would look ${name} up; a backslash keeps it, and each before it needs another.
    text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**31).strip()


def _comment(line: str) -> str:
    """``line`` on one line, without what YAML does not allow even in comments."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in line)


def _refuse(name: str, files: Sequence[Path], force: bool) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise UserError(
            f"--name {name}: give a name of letters, digits and _, such as {name_of(name)}."
        )
    if name in _OWN:
        raise UserError(
            f"--name {name}: that is an option of the project itself. Give another name."
        )
    there = [path for path in files if path.exists()]
    if there and not force:
        listed = " and ".join(_relative(str(path)) for path in there)
        raise UserError(
            f"{listed}: there already. Give --name for another table, or --force to write anew."
        )


def _refuse_unwritable(config: TableConfig) -> None:
    for name in (
        config.target,
        config.group,
        config.time,
        *config.id,
        *config.exclude,
        *config.keep,
    ):
        if name == "???":
            raise UserError("a column called ??? cannot be named in conf/. Give it another name.")


def _sample(found: Profile, config: TableConfig) -> str:
    """SQL for which rows to look at: all, or some by their content and all of rare classes."""
    if found.rows <= _SAMPLE:
        return "true"
    every = ", ".join(quoted(name) for name in found.names)
    target = found[config.target]
    some = f"hash({every}) % {found.rows // _SAMPLE} = 0"
    if task(target, config) == "regression":
        return some
    rare = [value for value, count in target.frequent if count * _SAMPLE < 2_000 * found.rows]
    rare = [value for value in rare if dict(target.frequent)[value] <= _SAMPLE // 10]
    if not rare:
        return some
    words = ", ".join(literal(value) for value in rare)
    return f"({some} OR CAST({quoted(config.target)} AS VARCHAR) IN ({words}))"


def _without(table: Table, odd: Sequence[Finding]) -> Table:
    """The table with the columns of those findings excluded, where it says so."""
    why = {name: each.kind for each in odd if each.exclude for name in each.columns}
    words = {"leak": "it gives the target away", "after": "it comes after the fact"}
    columns = [
        Column(column.name, "excluded", words[why[column.name]]) if column.name in why else column
        for column in table.columns
    ]
    return replace(table, columns=columns)


def _relative(path: str) -> str:
    """``path`` as the configuration names it: from the project, where it is inside."""
    if path.startswith("postgresql:"):
        return path
    given = Path(path).expanduser()
    found = given if given.exists() or given.is_absolute() else PROJECT_ROOT / given
    whole = Path(os.path.abspath(found))  # noqa: PTH100 - a link stays what it is
    if whole.is_relative_to(PROJECT_ROOT):
        return whole.relative_to(PROJECT_ROOT).as_posix()
    return whole.as_posix()


@contextmanager
def _restored(path: Path) -> Iterator[None]:
    """Leave ``path`` as it was when the block fails."""
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if before is None:
                path.unlink(missing_ok=True)
            else:
                write_atomic(path, before)
        raise
