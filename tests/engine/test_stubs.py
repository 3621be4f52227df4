"""The stub is what type checkers know of the extension: it has the same names, arguments and properties, no more and no less."""

import ast
import inspect
import types
from pathlib import Path

import intact
import intact._engine
import pytest

PACKAGE = Path(intact.__file__).parent
STUB = ast.parse((PACKAGE / "_engine.pyi").read_text())
# Types that exist for checkers alone.
ONLY_IN_THE_STUB = {"Stats"}
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name not in ONLY_IN_THE_STUB}
FUNCTIONS = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}
# What every class has, or what says nothing about how it is used.
UNSPOKEN = {"__doc__", "__module__", "__new__", "__repr__", "__hash__", "__eq__", "__ne__", "__init__", "__weakref__"}


def spoken(namespace):
    return {name for name in namespace if name not in UNSPOKEN and not (name.startswith("__") and namespace[name] is None)}


def shape(node):
    """(name, kind, whether it has a default) of each parameter of a stub's function, self left out."""
    arguments, kinds = node.args, inspect.Parameter
    positional = [(a.arg, kinds.POSITIONAL_ONLY) for a in arguments.posonlyargs]
    positional += [(a.arg, kinds.POSITIONAL_OR_KEYWORD) for a in arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    parameters = [(name, kind, i >= first_default) for i, (name, kind) in enumerate(positional) if name != "self"]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return parameters + [(a.arg, kinds.KEYWORD_ONLY, default is not None) for a, default in named]


def real_shape(function):
    parameters = list(inspect.signature(function).parameters.values())
    return [(p.name, p.kind, p.default is not p.empty) for p in parameters if p.name not in ("self", "module")]


def methods():
    for class_name, node in CLASSES.items():
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and not item.decorator_list and item.name != "__init__":
                yield pytest.param(class_name, item, id=f"{class_name}.{item.name}")


def test_the_module_has_the_names_of_the_stub():
    real = {name for name in vars(intact._engine) if not (name.startswith("__") and name.endswith("__"))}
    assert real == set(CLASSES) | set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_what_the_stub_says(name):
    function = getattr(intact._engine, name)
    if not function.__doc__:
        assert name.startswith("_"), "only private functions may be without a signature"
        return
    assert real_shape(function) == shape(FUNCTIONS[name])


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_bases_of_the_stub(name):
    bases = [base.id for base in CLASSES[name].bases] or ["object"]
    assert [base.__name__ for base in getattr(intact._engine, name).__bases__] == bases


@pytest.mark.parametrize("name", ["Mount", "Finder", "EntryFinder"])
def test_classes_have_the_members_of_the_stub(name):
    described = {item.name for item in CLASSES[name].body if isinstance(item, ast.FunctionDef)} - UNSPOKEN
    assert spoken(vars(getattr(intact._engine, name))) == described


@pytest.mark.parametrize(("class_name", "node"), list(methods()))
def test_methods_take_what_the_stub_says(class_name, node):
    function = inspect.getattr_static(getattr(intact._engine, class_name), node.name)
    if isinstance(function, types.WrapperDescriptorType) or not function.__doc__:
        assert node.name.startswith("_"), "only private methods and those of the language may be without a signature"
        return
    assert real_shape(function) == shape(node)


@pytest.mark.parametrize("name", ["Mount", "EntryFinder"])
def test_properties_are_the_stubs(name):
    described = {item.name for item in CLASSES[name].body if isinstance(item, ast.FunctionDef) and item.decorator_list}
    real = vars(getattr(intact._engine, name))
    assert {key for key, value in real.items() if isinstance(value, types.GetSetDescriptorType)} == described


def test_mount_takes_every_keyword_of_the_stub():
    (init,) = [item for item in CLASSES["Mount"].body if getattr(item, "name", "") == "__init__"]
    values = {"bool": True, "str": "/nowhere", "int": 1, "tuple[int, int] | None": (0, 0)}
    keywords = {a.arg: values.get(ast.unparse(a.annotation), "word") for a in init.args.kwonlyargs}
    with pytest.raises(intact.ArchiveError):  # what is refused is the archive
        intact._engine.Mount(b"", "/intact/x", "x", (), **keywords)
    with pytest.raises(TypeError):
        intact._engine.Mount(b"", "/intact/x", "x", (), no_such_keyword=1)


def test_attributes_of_errors_are_the_stubs():
    described = {item.target.id for item in CLASSES["Error"].body}
    assert described == {name for name in vars(intact.Error) if not name.startswith("__")}


def test_stats_has_the_keys_of_the_stub():
    (stats,) = [node for node in STUB.body if getattr(node, "name", "") == "Stats"]
    assert list(intact.stats()) == [item.target.id for item in stats.body]


def test_types_ship_with_the_package():
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("name", sorted(path.name for path in PACKAGE.glob("*.py")))
def test_every_function_says_its_types(name):
    """Of what users see and of what they do not: each parameter and each result."""
    for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        untyped = [a.arg for a in arguments if a is not None and a.annotation is None and a.arg not in ("self", "cls")]
        assert not untyped and node.returns is not None, f"{name}:{node.lineno} {node.name} {untyped}"
