"""examples/plugin_host: plugins come as archives, in versions, and go without a trace."""

import re
import shutil
import subprocess
import sys
import textwrap

import pytest
from support import making


@pytest.fixture(scope="module")
def archives(examples, environment, wheels, tmp_path_factory):
    """The plugins, built and merged as the README says; the build back end and xxhash are published wheels."""
    directory = tmp_path_factory.mktemp("wheels")
    flit, xxhash = wheels("flit_core==4.2.0", "xxhash==4.1.0")
    build = [sys.executable, "-m", "uv", "build", "-q", "--wheel", "--no-index", "--find-links", flit.parent]
    for plugin in (examples / "plugin_host" / "plugins").iterdir():
        subprocess.run(
            [*build, "-p", sys.executable, "-o", directory, plugin], env=environment, check=True, timeout=300
        )
    [digester] = directory.glob("digester-*.whl")
    making.merged(directory / "digester.zip", digester, xxhash)
    return directory


@pytest.fixture
def run(examples, environment, archives):
    """What a program prints that has the host; archives are in its working directory."""

    def running(*arguments, **options):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=archives,
            env={**environment, "PYTHONPATH": str(examples)},
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return running


@pytest.fixture
def program(run):
    """The same of a program for which a host is made, and the names of modules are noted before."""
    prelude = """
    import gc, importlib.metadata, os, sys, threading, weakref
    import intact
    from plugin_host.host import GROUP, Host, PluginError
    ONE, TWO = "greeter-1.0-py3-none-any.whl", "greeter-2.0-py3-none-any.whl"
    host = Host()
    """
    return lambda text: run("-c", textwrap.dedent(prelude) + textwrap.dedent(text))


def test_what_the_readme_shows_is_what_happens(run, examples):
    """At the prompt, with wheels in the directory that the README has them in."""
    session = (examples / "plugin_host" / "README.md").read_text().partition("\n    > ")[2].partition("\n\n")[0]
    session = textwrap.dedent("    > " + session).replace("wheels/", "")
    lines = session.splitlines()
    said = run("-m", "plugin_host", input="".join(f"{line[2:]}\n" for line in lines if line.startswith("> ")))
    assert said.replace("> ", "").splitlines() == [line for line in lines if not line.startswith("> ")]


def test_a_prompt_goes_on_after_an_error(run):
    said = run("-m", "plugin_host", input="load nothing.whl\nunload greeter 1.0\ncall greet you\nwhat\nlist\n")
    errors = [
        "FileNotFoundError: .*nothing.whl.*",
        "PluginError: greeter 1.0 is not loaded",
        "PluginError: no plugin has greet",
    ]
    assert re.fullmatch("> " + "\n> ".join([*errors, ".*Unknown syntax: what"]) + "\n> > ", said), said


def test_two_versions_run_side_by_side_with_their_own_modules_and_files(program):
    """Also when what one imports later is of a name that the other has."""
    said = program("""
    one, two = host.load(ONE), host.load(TWO)
    print(host.call("greet", "you", "1.0"), host.call("greet", "you", "2.0"), sep="; ")
    for plugin in host.plugins:
        print(sys.modules[f"{plugin.package}.greeter"].__file__.removeprefix(os.getcwd()))
    """)
    assert said.splitlines() == [
        "Hello, you; Hello, Bonjour, you",
        "/greeter-2.0-py3-none-any.whl/greeter/__init__.py",
        "/greeter-1.0-py3-none-any.whl/greeter/__init__.py",
    ]


def test_upgrading_while_calls_are_made_loses_none(program):
    """Calls under way end with the version that they began with; no call fails, and later ones are the new version's."""
    said = program("""
    host.load(ONE)
    answers, upgraded = [[] for _ in range(4)], threading.Event()
    def call(answers):
        while not upgraded.is_set():
            answers.append(host.call("greet", "you"))
        answers.append(host.call("greet", "you"))
    threads = [threading.Thread(target=call, args=(a,)) for a in answers]
    for thread in threads:
        thread.start()
    while not all(answers):
        pass
    host.upgrade(TWO)
    upgraded.set()
    for thread in threads:
        thread.join()
    print({each for a in answers for each in a} == {"Hello, you", "Hello, Bonjour, you"})
    print([a[0] for a in answers] == ["Hello, you"] * 4, [a[-1] for a in answers] == ["Hello, Bonjour, you"] * 4)
    print(*host.plugins, *(os.path.basename(mount.root) for mount in intact.mounts()))
    """)
    assert said.splitlines() == ["True", "True True", "greeter 2.0 greeter-2.0-py3-none-any.whl"]


def test_a_plugin_that_is_in_use_is_unloaded_when_the_call_has_ended(program):
    said = program("""
    plugin = host.load(ONE)
    begun, go = threading.Event(), threading.Event()
    def slow(text):
        begun.set()
        go.wait()
        return greet(text)
    greet, plugin.functions["greet"] = plugin.functions["greet"], slow
    caller = threading.Thread(target=lambda: print(host.call("greet", "you")))
    caller.start()
    begun.wait()
    unloading = threading.Thread(target=host.unload, args=(plugin,))
    unloading.start()
    while host.plugins:
        pass
    print(plugin.mount.mounted)
    go.set()
    caller.join()
    unloading.join()
    print(plugin.mount.mounted)
    """)
    assert said == "True\nHello, you\nFalse\n"


def test_nothing_is_left_of_a_plugin_that_was_taken_out(program):
    """No module, no mount, no path, no entry point, and of pure Python not the module object either."""
    said = program("""
    states = []
    for _ in range(3):
        for archive in ONE, TWO, "digester.zip":
            host.load(archive)
        host.call("greet", "you", "1.0"), host.call("greet", "you"), host.call("digest", "abc")
        print(sorted(entry.name for entry in importlib.metadata.entry_points(group=GROUP)))
        modules = [weakref.ref(sys.modules[f"{plugin.package}.greeter"]) for plugin in host.plugins[1:]]
        for plugin in host.plugins:
            host.unload(plugin)
        del plugin
        gc.collect()
        print([module() for module in modules], intact.mounts(), list(importlib.metadata.entry_points(group=GROUP)))
        print([name for name, module in sys.modules.items() if os.getcwd() in str(module)])
        states.append((set(sys.modules), list(sys.path), set(sys.path_importer_cache)))
    print(states[0] == states[1] == states[2])
    """)
    once = ["['digest', 'greet']", "[None, None] () []", "[]"]
    assert said.splitlines() == [*once * 3, "True"]


def test_a_plugin_brings_an_extension_module_which_can_come_again(program):
    said = program("""
    for _ in range(2):
        plugin = host.load("digester.zip")
        print(host.call("digest", "abc"), sys.modules["xxhash._xxhash"].__file__)
        host.unload(plugin)
        print("xxhash" in sys.modules)
    """)
    answer, there = said.splitlines()[:2]
    assert answer.startswith("44bc2cf5ad770999 /") and "/digester.zip/xxhash/_xxhash." in answer and there == "False"
    assert said.splitlines()[2:] == [answer, there]


def plugin(directory, name, version, files, entry):
    entries = {f"{name}-{version}.dist-info/entry_points.txt": f"[plugin_host]\n{entry}\n"}
    return str(making.wheel(directory, name, {**files, **entries}, version=version))


def test_namespace_packages_go_with_the_plugin(program, tmp_path):
    """They have no file, and stayed. One that has a portion elsewhere does."""
    files = {
        "parts/__init__.py": "from .deep.inner import f\nimport alone.more.mod, shared.mod\n",
        "parts/deep/inner.py": "def f(text): return text.upper()\n",
        "alone/more/mod.py": "",
        "shared/mod.py": "",
    }
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "elsewhere.py").write_text("")
    archive = plugin(tmp_path, "nsp", "1.0", files, "up = parts:f")
    said = program(f"""
    sys.path.append({str(tmp_path)!r})
    for _ in range(2):
        plugin = host.load({archive!r})
        print(host.call("up", "text"), "alone.more.mod" in sys.modules, "shared.mod" in sys.modules)
        host.unload(plugin)
        print([name for name in sys.modules if name.startswith(("plugin_nsp", "alone", "shared"))])
    import shared.elsewhere
    """)
    assert said.splitlines() == ["TEXT True True", "['shared']"] * 2


def test_names_and_versions_that_are_alike_are_two_plugins(program, tmp_path):
    """Both were plugin_foo_1_0."""
    files = {"fun.py": "def f(text):\n    from . import late\n    return late.value\n"}
    archives = [
        plugin(tmp_path, name, version, {**files, "late.py": f"value = {name!r}"}, f"{function} = fun:f")
        for name, version, function in (("foo-1", "0", "a"), ("foo", "1.0", "b"))
    ]
    assert program(f"""
    for archive in {archives!r}:
        host.load(archive)
    print(host.call("a", ""), host.call("b", ""))
    """) == "foo-1 foo\n"


NO_ENTRY = "{wheel} has 0 distributions with entry points of group plugin_host, not one"


@pytest.mark.parametrize(
    "code, entry, error",
    [
        ("", "", f"PluginError: {NO_ENTRY}"),
        ("import json.tool\n1 / 0", "f = other:f", "ZeroDivisionError: division by zero"),
        ("import sub", "f = other:f", "ModuleNotFoundError: No module named 'sub'"),
        ("", "f = other:f", "AttributeError: module 'plugin_other__1_0.other' has no attribute 'f'"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_leaves_nothing(program, tmp_path, code, entry, error):
    """But what it has imported from elsewhere."""
    entries = f"[plugin_host]\n{entry}\n" if entry else ""
    wheel = making.wheel(tmp_path, "other", {"other.py": code, "other-1.0.dist-info/entry_points.txt": entries})
    said = program(f"""
    try:
        host.load({str(wheel)!r})
    except Exception as error:
        print(f"{{type(error).__name__}}: {{error}}")
    print([name for name in sys.modules if "other" in name], "json.tool" in sys.modules, intact.mounts(), host.plugins)
    """)
    assert said.splitlines() == [error.format(wheel=wheel), f"[] {'json.tool' in code} () ()"]


@pytest.mark.parametrize("again", ["ONE", "'./' + ONE", "copied"])
def test_a_version_is_loaded_once(program, archives, tmp_path, again):
    """By whatever path; the one that is loaded is left as it is."""
    copied = shutil.copy(archives / "greeter-1.0-py3-none-any.whl", tmp_path)
    said = program(f"""
    copied = {copied!r}
    host.load(ONE)
    try:
        host.load({again})
    except PluginError as error:
        print(error)
    print(host.call("greet", "you"), len(intact.mounts()))
    """)
    assert said.splitlines() == [f"greeter 1.0 is loaded, from {archives}/greeter-1.0-py3-none-any.whl", "Hello, you 1"]
