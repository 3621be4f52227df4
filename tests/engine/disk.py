"""What the tests of modules on disk share: intact's finder answers for PathFinder there, and is to be told apart only by speed."""

import importlib.machinery

PathFinder = importlib.machinery.PathFinder
MARKER = "a_module_that_is_there.py"


def fields(spec, root):
    """Every field of a spec that does not depend on who loads it, with the root's path taken out."""
    if spec is None:
        return None

    def relative(path):
        return path.replace(str(root), "ROOT") if isinstance(path, str) else path

    locations = spec.submodule_search_locations
    return {
        "name": spec.name,
        "origin": relative(spec.origin),
        "has_location": spec.has_location,
        "locations": None if locations is None else [relative(entry) for entry in locations],
        "cached": relative(spec.cached),
        "parent": spec.parent,
        "loader_state": spec.loader_state,
        "loads": spec.loader is not None,
        "loader_path": relative(getattr(spec.loader, "path", None)),
        "loader_name": getattr(spec.loader, "name", None),
        "repr": relative(repr(spec)).partition("loader=")[0],
    }


def listed(directory):
    """Has PathFinder read the directory, as it does when something is first looked for there."""
    PathFinder.find_spec("no_such_module", [directory])
    return directory


def same(found, expected):
    """Whether two specs are the same in all that they say."""
    assert fields(found, "/no/root") == fields(expected, "/no/root")
    if found is not None:
        assert type(found.loader) is type(expected.loader)
        assert found.submodule_search_locations == expected.submodule_search_locations
