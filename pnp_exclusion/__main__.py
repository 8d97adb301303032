"""``python -m pnp_exclusion``."""

import sys

from pnp_exclusion.cli.main import main

sys.exit(main())
