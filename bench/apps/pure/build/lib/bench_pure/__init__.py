"""A small command line program of pure Python packages: what bench/start.py starts."""
