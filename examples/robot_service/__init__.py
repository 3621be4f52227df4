"""A web service that lets submitted robots find their way through a maze, imported from memory."""

# How the process of a submission ends, and what the client is told: its answer, a broken archive, code that fails.
SOLVED, BROKEN, FAILED = 0, 3, 4
STATUS = {SOLVED: 200, BROKEN: 400, FAILED: 422}
