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


@pytest.mark.parametrize("name", ["execv", "execve", "posix_spawn", "posix_spawnp"])
def test_functions_that_start_programs_are_pickled_by_reference(name):
    """What stands for them said that it was of a module of ours."""
    function = getattr(os, name)
    assert pickle.loads(pickle.dumps(function)) is function and copy.deepcopy(function) is function
    assert (function.__module__, function.__qualname__) == ("os", name)
