"""``python -m gates.reproducible``: this gate alone."""

import sys

from . import main

sys.exit(main())
