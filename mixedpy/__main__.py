"""``python -m mixedpy`` is the command ``mixedpy``."""

import sys

from mixedpy.cli import main

sys.exit(main())
