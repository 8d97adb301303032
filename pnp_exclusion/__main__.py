"""``python -m pnp_exclusion``."""

import sys

from pnp_exclusion.cli import main

sys.exit(main())
