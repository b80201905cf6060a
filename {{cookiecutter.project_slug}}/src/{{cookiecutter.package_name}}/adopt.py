"""Adopt a table: ``python -m {{ cookiecutter.package_name }}.adopt mine.csv --target y``.

Looks at all of it, says what it inferred and why, and writes ``conf/data/<name>.yaml`` and a
contract. From then on ``data=<name>`` works everywhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .config import CONF, PROJECT_ROOT, ReadConfig, TableConfig
from .errors import UserError

if TYPE_CHECKING:
    from .data.adoption import Adoption

_PACKAGE = __package__ or __name__.rpartition(".")[0]
_SHOWN = 60  # columns listed on the terminal; the file lists all


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 with one message when the user can mend it, 130 on Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {_PACKAGE}.adopt", description="Adopt a table."
    )
    add = parser.add_argument
    add(
        "path",
        metavar="PATH",
        help="CSV, Parquet, a folder of them, DuckDB, SQLite, postgresql:VARIABLE",
    )
    add("--target", help="the column to predict; without it, the columns there are")
    add("--task", default="auto", choices=["auto", "binary", "multiclass", "regression"])
    add("--time", help="the column to split by time")
    add("--group", help="the column whose rows stay together: a customer, a patient")
    add(
        "--id",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="columns that identify rows",
    )
    add(
        "--exclude",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="not to be learnt from",
    )
    add(
        "--keep",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="known in time, though odd",
    )
    add("--name", help="what the table is called from now on; by default as its file")
    add("--table", help="its name within a database")
    add("--delimiter", help="what separates cells; found out by default")
    add("--encoding", help="such as latin-1; found out by default")
    add("--decimal", choices=[".", ","], help="the decimal sign; found out by default")
    add("--columns", metavar="A,B,C", help="the names of the columns, where no line names them")
    add("--no-header", action="store_true", help="the first line is a row")
    add(
        "--missing",
        nargs="+",
        action="extend",
        default=[],
        metavar="WORD",
        help="more words for missing",
    )
    add("--force", action="store_true", help="write over what an earlier adoption wrote")
    return parser


def _run(given: argparse.Namespace) -> int:
    from .data.adoption import adopt, name_of

    config = TableConfig(
        path=given.path,
        table=given.table,
        read=ReadConfig(
            delimiter={"\\t": "\t"}.get(given.delimiter, given.delimiter),
            encoding=given.encoding,
            decimal=given.decimal,
            header=False if given.no_header or given.columns else None,
            columns=[name.strip() for name in given.columns.split(",")] if given.columns else [],
            missing=given.missing,
        ),
        target=given.target or "",
        task=given.task,
        id=given.id,
        group=given.group,
        time=given.time,
        exclude=given.exclude,
        keep=given.keep,
    )
    if not given.target:
        raise UserError(_candidates(config))
    name = given.name or name_of(given.path, given.table)
    _show(adopt(config, name, CONF, given.force))
    return 0


def _candidates(config: TableConfig) -> str:
    """What might be predicted: the columns that say something and do not only name their row."""
    from .data.ingest import profile_source

    found = []
    for column in profile_source(config).columns:
        few = column.type != "text" or column.distinct <= 50
        if column.distinct > 1 and few and not (column.names_rows and column.type == "integer"):
            found.append(f"  --target {column.name:<24} {column.type}, {column.distinct:,} values")
    listed = "\n".join(found) or "  none: every column is constant, free text or an identifier"
    return f"--target is needed: which column is to be predicted? Those that could be:\n{listed}"


def _show(adoption: Adoption) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("column", "type", "used as", "missing", "distinct", "why"):
        shown.add_column(heading, overflow="fold", justify="left")
    rows = list(adoption.rows())
    for profile, column, why in rows[:_SHOWN]:
        about = "" if profile.exact else "~"
        cells = [
            column.name,
            profile.type,
            column.role,
            f"{profile.missing / max(profile.rows, 1):.1%}",
        ]
        shown.add_row(*(Text(cell) for cell in (*cells, f"{about}{profile.distinct:,}", why)))
    target, task = adoption.config.target, adoption.table.task
    console.print(Text(f"{adoption.profile.rows:,} rows; {task} of {target}\n"))
    console.print(shown)
    if len(rows) > _SHOWN:
        console.print(Text(f"… and {len(rows) - _SHOWN} more columns"))
    if adoption.findings:
        console.print()
        for each in adoption.findings:
            names = ", ".join(each.columns)
            console.print(
                Text(f"{each.kind:<10} {names}: {each.evidence}; {each.action}".replace(" :", ":"))
            )
    console.print("\nwritten:")
    for path in adoption.files:
        inside = path.is_relative_to(PROJECT_ROOT)
        console.print(
            Text(f"  {path.relative_to(PROJECT_ROOT) if inside else path}"), soft_wrap=True
        )
    console.print("next:")
    for command in ("train", "evaluate", "jobs"):
        console.print(
            Text(f"  .venv/bin/python -m {_PACKAGE}.{command} data={adoption.name}"), soft_wrap=True
        )


if __name__ == "__main__":
    sys.exit(main())
