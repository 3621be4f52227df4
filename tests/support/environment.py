"""The environment that a process which is to have none starts with."""

import os

# A sanitizer's runtime goes with every process that loads the engine.
EMPTY = {name: os.environ[name] for name in os.environ if name == "LD_PRELOAD" or name.endswith("SAN_OPTIONS")}
