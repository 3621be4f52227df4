"""What a member is by its name."""


def is_shared_object(path: str) -> bool:
    """Whether it is called like one: "libz.so", "libz.so.1"."""
    base = path.rpartition("/")[2]
    return base.endswith(".so") or ".so." in base
