"""A small program of packages with native code: what bench/start.py starts."""
