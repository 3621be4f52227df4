"""What is loaded with a patch, and what stands for functions that start programs: all else about them is as it was."""

import copy
import os
import pickle

import building
import pytest

FIRST = """
import sys
class First:
    asked = []
    def find_spec(self, name, path, target):
        self.asked.append(name)
class OfOld:
    def find_module(self, name, path=None): ...
import importlib.machinery, intact
def put_first(*finders):
    assert not {"_posixsubprocess", "importlib.abc", "subprocess"} & set(sys.modules)
    sys.meta_path[:0] = finders
"""


def test_finders_that_programs_put_first_are_asked_as_import_asks(tmp_path):
    """One that takes three arguments was given two, one without find_spec was an AttributeError, and the first was asked twice."""
    body = f"""{FIRST}
put_first(First(), OfOld())
import subprocess, importlib.abc
print(subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, text=True).stdout, end="")
print(*[First.asked.count(name) for name in ("subprocess", "_posixsubprocess", "importlib.abc")])
print(isinstance(intact._engine.Finder(), importlib.abc.MetaPathFinder))
"""
    assert building.output_of("-W", "ignore", "-c", body, cwd=tmp_path) == "1\n1 1 1\nTrue\n"


def test_spec_of_what_is_patched_when_it_is_loaded_is_copied_and_pickled_as_files_are():
    """Its loader was one of ours."""
    body = """
import copy, importlib.util, pickle, sys
import intact
name = "importlib.metadata"
assert name not in sys.modules
spec = importlib.util.find_spec(name)
for made in (spec, copy.copy(spec), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
    print(type(made.loader).__name__, made.origin == spec.origin, made.loader.is_package(name))
import importlib.metadata as module
print(module.PathDistribution.read_text.__code__.co_filename.endswith("_patching.py"), type(module.__loader__).__name__)
print(module.__spec__.loader is module.__loader__, vars(module.__loader__).keys())
"""
    told = building.output_of("-c", body).splitlines()
    assert told[:4] == ["SourceFileLoader True True"] * 4
    assert told[4:] == ["True SourceFileLoader", "True dict_keys(['name', 'path'])"]


def test_a_copied_spec_of_what_is_patched_loads_it_patched():
    body = """
import copy, importlib.util, pickle, sys
import intact
spec = importlib.util.find_spec("importlib.metadata")
for made in (copy.deepcopy(spec), pickle.loads(pickle.dumps(spec)), spec):
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    print(module.PathDistribution.read_text.__code__.co_filename.endswith("_patching.py"))
"""
    assert building.output_of("-c", body) == "True\n" * 3


def test_a_loader_of_several_modules_goes_on_loading_the_others(tmp_path):
    """Which of them is patched was asked of the name, and another's was none that is."""
    archive = building.write_zip(tmp_path / "a.zip", {"pkg_resources.py": "find_on_path = None\ndef register_finder(*_): raise ValueError", "other.py": "n = 5"})
    body = """
import importlib.util, sys, intact
sys.path.insert(0, sys.argv[1])
spec = importlib.util.find_spec("pkg_resources")
import other
print(other.n)
try:
    import pkg_resources
except ValueError:
    print("patched")
"""
    assert building.output_of("-c", body, archive) == "5\npatched\n"


def test_a_finder_may_put_a_loader_around_that_of_what_is_patched():
    body = """
import importlib.machinery, sys, intact
class Around:
    def __init__(self, inner): self.inner = inner
    def create_module(self, spec): return self.inner.create_module(spec)
    def exec_module(self, module): self.inner.exec_module(module)
class First:
    def find_spec(self, name, path, target):
        if name == "importlib.metadata":
            spec = [f for f in sys.meta_path if isinstance(f, intact._engine.Finder)][0].find_spec(name, path, target)
            spec.loader = Around(spec.loader)
            return spec
sys.meta_path.insert(0, First())
import importlib.metadata as module
print(type(module.__loader__).__name__, module.PathDistribution.read_text.__code__.co_filename.endswith("_patching.py"))
"""
    assert building.output_of("-c", body) == "Around True\n"


def test_a_spec_of_what_is_patched_equals_another():
    body = "import importlib.util, intact; a, b = (importlib.util.find_spec('importlib.metadata') for _ in 'ab'); print(a == b)"
    assert building.output_of("-c", body) == "True\n"


@pytest.mark.parametrize("name", ["execv", "execve", "posix_spawn", "posix_spawnp"])
def test_functions_that_start_programs_are_pickled_by_reference(name):
    """What stands for them said that it was of a module of ours."""
    function = getattr(os, name)
    assert pickle.loads(pickle.dumps(function)) is function and copy.deepcopy(function) is function
    assert (function.__module__, function.__qualname__) == ("os", name)
