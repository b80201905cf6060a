"""``python -m gates.learning``: this gate alone."""

import sys

from . import main

sys.exit(main())
