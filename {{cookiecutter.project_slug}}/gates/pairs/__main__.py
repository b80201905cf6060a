"""``python -m gates.pairs``: this gate alone."""

import sys

from . import main

sys.exit(main())
