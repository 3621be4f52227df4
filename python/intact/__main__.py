"""``python -m intact`` and the ``intact`` console script."""

import sys


def main() -> int:
    from intact._cli import main as command_line

    return command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
