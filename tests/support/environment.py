"""The environments of processes that are to have none, or no sanitizer."""

import os

# A sanitizer's runtime goes with every process that loads the engine.
EMPTY = {name: os.environ[name] for name in os.environ if name == "LD_PRELOAD" or name.endswith("SAN_OPTIONS")}


def unsanitized():
    """For programs that do not load the engine and do not go with such a runtime, as a browser does not."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
