"""Greets with the word that stands in a file."""

from importlib.resources import files


def greet(name: str) -> str:
    return f"{files(__name__).joinpath('word.txt').read_text().strip()}, {name}"
