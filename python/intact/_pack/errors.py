"""What can be wrong with what is to be packed."""

import intact


class PackError(intact.Error):
    """An input that cannot be packed; ``archive`` is its path and ``reason`` says why."""

    def __init__(self, archive: str, reason: str) -> None:
        super().__init__(f"{archive}: {reason}")
        self.archive, self.reason = archive, reason
