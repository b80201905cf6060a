"""``python -m gates [--fix] [files]``: all gates of the project, in the order of the hooks."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import configs, layout, outputs, pairs

GATES = (outputs, pairs, layout, configs)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    return max([gate.main(arguments) for gate in GATES])


if __name__ == "__main__":
    sys.exit(main())
