"""Sub-interpreters for tests: runs a program that can make some, by whatever name this CPython has for them."""

import textwrap

import building

_PRELUDE = """
    import sys
    try:
        import _interpreters as interpreters           # 3.13
    except ImportError:
        import _xxsubinterpreters as interpreters      # 3.11, 3.12
    def create(own_gil):
        if sys.version_info >= (3, 13):
            return interpreters.create('isolated' if own_gil else 'legacy')
        return interpreters.create(isolated=own_gil)
    def run(interpreter, code):
        failure = interpreters.run_string(interpreter, code)
        assert failure is None, failure
"""


def with_interpreters(program, *arguments, **options):
    """What the program prints, which has `interpreters`, `create(own_gil)` and `run(interpreter, code)`."""
    return building.output_of("-c", textwrap.dedent(_PRELUDE) + textwrap.dedent(program), *arguments, **options)
