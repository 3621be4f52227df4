"""What the tests of modules on disk share: intact's finder answers for PathFinder there, and is to be told apart only by speed."""

import importlib.machinery

from test_finder import fields

PathFinder = importlib.machinery.PathFinder
MARKER = "a_module_that_is_there.py"


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
