"""Greets with each of the words that stand in a file."""


def greet(name: str) -> str:
    from .words import words  # by relative import: of this version

    return ", ".join([*words(), name])
