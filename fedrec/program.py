"""What this program was started as: hints are commands that work where they are read."""

import os

PROGRAM = os.environ.get("FEDREC_PROGRAM", "fedrec")
"""In a checkout `./run`, which says so in the environment."""
