"""``python -m <package>.runs``: look at the runs there are, replay them, clean up."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import UserError, nearest
from .run import settle

WHAT = "Look at the runs there are, compare and replay them, clean up."
# Each a module with `arguments(parser)` and `main(args) -> exit status`, loaded when it is called.
COMMANDS = {
    "list": ("listing", "the newest runs, in a table"),
    "show": ("show", "what is known about one run"),
    "diff": ("diff", "what differs between two runs"),
    "compare": ("compare", "metrics of several runs, as a table and a picture"),
    "replay": ("replay", "run it again from its commit and compare every output"),
    "clean": ("clean", "remove old runs and what nobody needs any more"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: that of the command, 1 with one message when the user can mend it, 130 on
    Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=WHAT)
    parser.epilog = "RUN is an id, the beginning or end of one, 'latest', or a run's folder."
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = given[0] if given else ""
    for name, (module, words) in COMMANDS.items():
        below = commands.add_parser(name, help=words, description=words)
        if name == chosen:
            import_module(f".{module}", __package__).arguments(below)
    try:
        if chosen and not chosen.startswith("-") and chosen not in COMMANDS:
            known = ", ".join(COMMANDS)
            raise UserError(f"'{chosen}' is no command. Valid: {known}.{nearest(chosen, COMMANDS)}")
        if not given:
            parser.print_help()
            return 2
        args = parser.parse_args(given)
        settle()
        status = int(import_module(f".{COMMANDS[chosen][0]}", __package__).main(args))
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
