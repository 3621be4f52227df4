"""What a member is by its name, and where it stands once it is installed."""


def is_shared_object(path: str) -> bool:
    """Whether it is called like one: "libz.so", "libz.so.1"."""
    base = path.rpartition("/")[2]
    return base.endswith(".so") or ".so." in base


def laid_out(path: str, dist_info: str) -> str:
    """Where what the RECORD in `dist_info` lists stands: of .data/purelib and .data/platlib it is the root."""
    data = dist_info.removesuffix(".dist-info") + ".data"
    moved = path.startswith((f"{data}/purelib/", f"{data}/platlib/"))
    return path.split("/", 2)[2] if moved else path
