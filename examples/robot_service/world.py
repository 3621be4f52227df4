"""The maze, and what a robot sees and does in it.

A robot is a module with a function `step(sensors)`. It is told what is ahead, to the left and to the right ("free", "wall" or
"goal") and answers "forward", "left" or "right"; the last two turn it where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MAZE = """
#########
#S..#...#
##.##.#.#
#...#.#.#
#.#...#G#
#########
""".split()
MOST_STEPS = 200
EAST, SOUTH, WEST, NORTH = HEADINGS = (1, 0), (0, 1), (-1, 0), (0, -1)
SEEN = {"#": "wall", "G": "goal"}


def run(step: Callable[[dict[str, str]], object]) -> dict[str, Any]:
    """Let a robot walk; whether it came to the goal, in how many steps, and which places it has been to."""
    y, row = next((y, row) for y, row in enumerate(MAZE) if "S" in row)
    x, heading = row.index("S"), 0
    path = [(x, y)]
    for taken in range(MOST_STEPS):
        if MAZE[y][x] == "G":
            return {"reached": True, "steps": taken, "path": path}
        action = step({side: _seen(x, y, heading + turn) for side, turn in (("ahead", 0), ("left", -1), ("right", 1))})
        if action == "left":
            heading -= 1
        elif action == "right":
            heading += 1
        elif action != "forward":
            raise ValueError(f"step() answered {action!r}, which is not 'forward', 'left' or 'right'")
        elif _seen(x, y, heading) != "wall":
            dx, dy = HEADINGS[heading % 4]
            x, y = x + dx, y + dy
            path.append((x, y))
    return {"reached": False, "steps": MOST_STEPS, "path": path}


def _seen(x: int, y: int, heading: int) -> str:
    dx, dy = HEADINGS[heading % 4]
    return SEEN.get(MAZE[y + dy][x + dx], "free")
