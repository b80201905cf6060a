"""``python -m gates.configs``: this gate alone."""

import sys

from . import main

sys.exit(main())
