"""intact trace: programs run as without it, and what they imported is told."""

import importlib
import json
import os
import signal
import subprocess
import tarfile

import building
import intact
import pytest
from test_trace import TREE, by_name


def trace(*arguments, **options):
    return building.python("-m", "intact", "trace", *arguments, **options)


@pytest.fixture
def archive(tmp_path):
    return building.write_zip(tmp_path / "app.zip", TREE)


def traced_names(path):
    return {event["name"] for event in json.loads(path.read_text())["traceEvents"]}


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", 0), ("raise SystemExit(7)", 7), ("1 / 0", 1), ("import sys; sys.exit('why')", 1)],
)
def test_the_trace_is_written_however_the_program_ends_and_the_exit_code_is_its_own(archive, tmp_path, ending, status):
    target = tmp_path / "trace.json"
    done = trace(archive, "-o", str(target), "-c", f"import outer, json\n{ending}")
    assert done.returncode == status, done.stderr
    assert {"outer", "compiled", "json", "json.decoder"} <= traced_names(target)


def test_without_a_file_text_goes_to_stderr_and_stdout_is_the_programs(archive):
    done = trace(archive, "-c", "import outer; print('out')")
    assert done.stdout == "out\n" and "  outer.inner" in done.stderr


def test_scripts_and_modules_run_as_with_intact_run(archive, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys, leaf\nprint(sys.argv[1:], __name__, sys.path[0])\n")
    done = trace(archive, "--", str(script), "a", "b")
    assert done.stdout == f"['a', 'b'] __main__ {tmp_path}\n" and " leaf\n" in done.stderr
    assert trace(archive, "-m", "leaf").returncode == 0


def test_a_zip_with_a_main_runs_as_python_runs_it_with_its_arguments(tmp_path):
    app = building.write_zip(tmp_path / "app.pyz", {"__main__.py": "import sys, part\nprint(sys.argv)\n", "part.py": ""})
    target = tmp_path / "trace.json"
    assert trace(app, "-o", str(target), "--", "x").stdout == f"{[app, 'x']}\n"
    assert "part" in traced_names(target)


ZIPAPP = {
    "__main__.py": "import slow_to_compile, sleeper, compiled, portions.leaf, absent_or_not\n",
    "slow_to_compile.py": "".join(f"def function_{n}(x): return [x, {n}]\n" for n in range(3000)),
    "sleeper.py": "import time\ntime.sleep(0.02)\n",
    "compiled.pyc": building.timestamp_pyc("value = 1\n"),
    "portions": None,
    "portions/leaf.py": "value = 2\n",
    "absent_or_not.py": "try: import _absent\nexcept ImportError: pass\n",
    f"_absent{building.SUFFIX}": b"what python does not load out of a zip",
}


@pytest.fixture(params=[False, True], ids=["stored", "deflated"])
def zipapp_events(request, tmp_path):
    """What the trace of a zipapp, which python itself imports from, has of each name: import events, and those of its phases."""
    building.write_files(tmp_path / "app", ZIPAPP)
    options = ["--compress"] if request.param else []
    building.output_of("-m", "zipapp", "app", "-o", "app.pyz", *options, cwd=tmp_path)
    done = trace("app.pyz", "-o", "trace.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    events = [e for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]
    return {e["name"]: e for e in events if "module" not in e["args"]}, [e for e in events if "module" in e["args"]]


def test_a_zipapps_modules_have_kind_place_and_bytes(zipapp_events):
    """Bytes were 0, kinds other, places disk."""
    imports, _ = zipapp_events
    told = {name: (e["cat"], e["args"]["from"], e["args"]["bytes"]) for name, e in imports.items()}
    expected = {
        "slow_to_compile": ("import,source", "app.pyz", len(ZIPAPP["slow_to_compile.py"])),
        "compiled": ("import,bytecode", "app.pyz", len(ZIPAPP["compiled.pyc"])),
        "portions": ("import,namespace", "app.pyz", 0),
        "portions.leaf": ("import,source", "app.pyz", len(ZIPAPP["portions/leaf.py"])),
        "_absent": ("import,missing", "", 0),
    }
    assert {name: told[name] for name in expected} == expected


def test_what_zipimport_compiles_when_it_finds_a_module_is_decoding(zipapp_events):
    imports, phases = zipapp_events

    def of(module):
        return sorted((e["ts"], e["name"], e["dur"]) for e in phases if e["args"]["module"] == module)

    def spent(module, phase):
        return sum(duration for _, name, duration in of(module) if name == phase)

    assert [name for _, name, _ in of("slow_to_compile")] == ["found", "decoded", "found", "decoded", "executed"]
    assert spent("slow_to_compile", "decoded") > spent("slow_to_compile", "found")
    assert imports["sleeper"]["dur"] > spent("sleeper", "executed") > 20_000


def test_the_times_of_a_module_out_of_a_zip_on_the_path_add_up(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(building.write_zip(tmp_path / "path.zip", ZIPAPP))
    with intact.trace() as trace:
        importlib.import_module("slow_to_compile")
        importlib.import_module("portions.leaf")
    slow = by_name(trace)["slow_to_compile"]
    assert slow.archive == by_name(trace)["portions"].archive == str(tmp_path / "path.zip")
    assert slow.decoded > slow.found > 0 and slow.kind == "source"
    for module in trace.modules:
        assert 0 <= module.found + module.decoded + module.executed <= module.own * 1.000001 + 1e-9


def tar(path, tree):
    building.write_files(path.with_suffix(".in"), tree)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(path.with_suffix(".in"), "")


def sevenzip(*options):
    def write(path, tree):
        building.write_files(path.with_suffix(".in"), tree)
        command = ["7zz", "a", "-bd", "-psesame", *options, path, "."]
        subprocess.run(command, cwd=path.with_suffix(".in"), check=True, stdout=subprocess.DEVNULL)

    return write


@pytest.mark.parametrize(
    ("name", "write"),
    [("app.tar.gz", tar), ("app.zip", sevenzip("-mem=ZipCrypto")), ("app.7z", sevenzip()), ("hidden.7z", sevenzip("-mhe=on"))],
)
def test_what_python_itself_does_not_run_is_mounted_as_with_intact_run(tmp_path, name, write):
    """Of an encrypted zip the password was dropped and what it hides was compiled."""
    write(tmp_path / name, {"__main__.py": "raise SystemExit('ran')", "part.py": "value = 42\n"})
    (tmp_path / "password").write_text("sesame")
    arguments = [str(tmp_path / name), "--password-file", str(tmp_path / "password")]
    typed = "import part; print(part.value)\n"
    run = building.python("-m", "intact", "run", *arguments, stdin=typed)
    done = trace(*arguments, stdin=typed)
    assert (done.returncode, done.stdout) == (run.returncode, run.stdout) and "42" in run.stdout, done.stderr
    assert " part\n" in done.stderr and "ran" not in done.stderr


def test_a_programs_own_strings_show_no_lines_of_ours_in_tracebacks(tmp_path):
    """On 3.13 they showed those of the command that the trace runs by."""
    (tmp_path / "script.py").write_text("exec('raise ValueError(1)')\n")
    done = trace("-o", "trace.txt", "--", "script.py", cwd=tmp_path)
    control = building.python("script.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, control.stderr) and "<string>" in done.stderr


def test_a_program_that_clears_sys_modules_is_traced(archive, tmp_path):
    """There was an exception at exit, and no trace."""
    done = trace(archive, "-o", "trace.json", "-c", "import leaf, sys; sys.modules.clear()", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "leaf" in traced_names(tmp_path / "trace.json")


def test_a_child_that_a_fork_made_writes_no_trace(archive, tmp_path):
    target = tmp_path / "trace.json"
    program = "import os, sys\nchild = os.fork()\nif child: os.waitpid(child, 0); import leaf\nelse: sys.exit(0)\n"
    assert trace(archive, "-o", str(target), "-c", program).returncode == 0
    assert "leaf" in traced_names(target)


def test_an_interrupted_program_leaves_a_whole_trace_and_dies_of_the_signal(archive, tmp_path):
    target = tmp_path / "trace.json"
    program = "import os, signal, leaf\nos.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(60)"
    assert trace(archive, "-o", str(target), "-c", program).returncode == -signal.SIGINT
    assert "leaf" in traced_names(target)
    assert sorted(os.listdir(tmp_path)) == ["app.zip", "trace.json"]


@pytest.mark.parametrize(("output", "status"), [("trace.svg", 2), ("nowhere/trace.html", 1)])
def test_a_file_that_cannot_be_written_is_told_before_the_program_runs(archive, tmp_path, output, status):
    done = trace(archive, "-o", output, "-c", "print('ran')", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, "") and output in done.stderr


def test_an_archive_that_is_none_is_told(tmp_path):
    done = trace(str(tmp_path / "absent.zip"), str(tmp_path / "absent.zip"), "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (1, "") and "absent.zip" in done.stderr


def test_import_intact_does_not_load_what_traces():
    loaded = building.output_of("-c", "import intact, sys; print([n for n in sys.modules if '_trace' in n])")
    assert loaded == "[]\n"
