"""``python -m gates``: check, explain a rule, or adopt a repository that has findings already.

python -m gates [FILES] [--fix]    check files or folders; the project without any
python -m gates explain RULE       what a rule means, with an example
python -m gates adopt              take today's findings as known: only new ones fail
python -m gates pairs --from py FILES     which half is right where both were edited; or ipynb
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import pairs
from .core import settings
from .core.allowed import Baseline, write_baseline
from .core.engine import GATES, RULES, examine
from .core.files import find
from .core.formats import FORMATS, mend, summary
from .core.gate import Context, Gate, command
from .core.rules import FAMILIES, Finding, Rule, matches
from .core.spelling import near


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["explain"]:
            return explain(arguments[1:])
        if arguments[:1] == ["adopt"]:
            return adopt(arguments[1:])
        if arguments[:1] == ["pairs"]:
            return pairs.main(arguments[1:])
        return check(arguments, GATES)
    except BrokenPipeError:  # whoever read the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def check(argv: Sequence[str] | None, gates: Sequence[Gate]) -> int:
    """Run ``gates``; 0 when nothing is found, 1 when something is, 2 for a wrong call."""
    parser = _parser(__doc__)
    parser.add_argument("--fix", action="store_true", help="mend what can be mended")
    parser.add_argument(
        "--exit-non-zero-on-fix", action="store_true", help="1 also when all could be mended"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="text without it")
    parser.add_argument("--no-baseline", action="store_true", help="known findings fail as well")
    options = parser.parse_args(argv)
    context = _context(parser, options)
    mended: list[Finding] = []
    found = examine(
        _paths(parser, options, context),
        context,
        gates,
        whole=not options.files,
        fix=options.fix,
        mended=mended.append,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name or a source may hold what it cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    baseline = Baseline(context.root / context.settings.baseline)
    findings = list(found if options.no_baseline else baseline.without_known(found))
    context.close()
    if options.format == "text":
        for line in summary(mended, "mended "):
            print(line)
    sys.stdout.write(FORMATS[options.format](findings))
    return 1 if findings or (mended and options.exit_non_zero_on_fix) else 0


def explain(argv: Sequence[str]) -> int:
    """Print what rules mean: one, a family such as NB2, or all."""
    parser = argparse.ArgumentParser(prog=f"{command()} explain", description=explain.__doc__)
    parser.add_argument("rules", nargs="*", metavar="RULE", help="all without any")
    options = parser.parse_args(argv)
    _known(parser, options.rules)
    if options.rules:
        wanted = (rule for rule in RULES if matches(rule, tuple(options.rules)))
        print("\n\n".join(map(_explained, wanted)))
    else:
        for family, about in FAMILIES.items():
            print(f"\n{about}")
            print("\n".join(f"{rule.id}  {rule.what}" for rule in RULES if rule.id[:3] == family))
    return 0


def _explained(rule: Rule) -> str:
    def indented(text: str) -> str:
        return "\n".join(f"    {line}".rstrip() for line in text.rstrip().split("\n"))

    notes = ["opt-in: runs where `select` names it"] if rule.opt_in else []
    notes += ['only with layout = "project"'] if rule.story else []
    return "\n".join(
        [
            f"{rule.id}: {rule.what}" + (f"  ({'; '.join(notes)})" if notes else ""),
            "",
            f"Why it matters: {rule.why}.",
            f"How to mend it: {mend(rule)}.",
            "",
            "Wrong:",
            indented(rule.bad),
            "",
            "Right:",
            indented(rule.good),
            "",
            "Meant in one place? Say so there, with the reason:",
            f"    # gates: allow {rule.id} - why it is right here",
        ]
    )


def adopt(argv: Sequence[str]) -> int:
    """Write today's findings to a file as known: from then on only new ones fail.

    Always of the whole repository and of all rules: of a part, the others would be forgotten.
    """
    parser = argparse.ArgumentParser(prog=f"{command()} adopt", description=adopt.__doc__)
    parser.add_argument("--layout", choices=("project", "any"), help="any: no fixed order of cells")
    options = parser.parse_args(argv, argparse.Namespace(files=[], select=None, ignore=None))
    context = _context(parser, options)
    found = examine(_paths(parser, options, context), context, GATES)
    path = context.root / context.settings.baseline
    count = write_baseline(path, found)
    context.close()
    print(
        f"{path.name}: {count} findings are known now; commit it, and adopt again as you mend them"
    )
    return 0


def _parser(about: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command(),
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", help="files or folders; without any: the project")
    parser.add_argument("--select", type=_list, metavar="RULES", help="only these: NB2,ML403")
    parser.add_argument("--ignore", type=_list, metavar="RULES", help="all but these")
    parser.add_argument("--layout", choices=("project", "any"), help="any: no fixed order of cells")
    return parser


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _context(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Context:
    root = Path.cwd()
    try:
        chosen = settings.load(
            root, select=options.select, ignore=options.ignore, layout=options.layout
        )
    except settings.BadSettings as error:
        parser.error(str(error))
    listed = (chosen.select, chosen.ignore, *chosen.per_path.values())
    _known(parser, [prefix for prefixes in listed for prefix in prefixes])
    return Context(root, chosen)


def _known(parser: argparse.ArgumentParser, prefixes: Sequence[str]) -> None:
    ids = [rule.id for rule in RULES]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in ids):
            hint = near(prefix, ids) or f"; `{command()} explain` lists all"
            parser.error(f"no rule or family is called '{prefix}'{hint}")


def _paths(
    parser: argparse.ArgumentParser, options: argparse.Namespace, context: Context
) -> list[Path]:
    for name in options.files:
        path = Path(name)
        if not path.exists() and not path.with_suffix(".py").exists():
            parser.error(f"there is no file or folder '{name}'")
    return find(options.files or [name for name in context.settings.paths if Path(name).exists()])


if __name__ == "__main__":
    sys.exit(main())
