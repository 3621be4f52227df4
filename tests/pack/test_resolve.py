"""What `intact pack` is asked for becomes wheels: by uv and pip, or by pip alone, from an index on this machine."""

import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import index as indexes
import pytest

from intact._pack import tools
from intact._pack.errors import PackError
from intact._pack.resolve import Target, resolve

from support import making
from support.resolving import ELSEWHERE, HERE, OTHER, names, packed, refused


def test_all_that_is_needed_comes_once_and_in_order(way, index, tmp_path):
    index.add("zed", metadata='Requires-Dist: base\nRequires-Dist: extra; extra == "more"\nProvides-Extra: more\n')
    index.add("base", version="0.9")
    index.add("base", version="1.0")
    index.add("extra", metadata="Requires-Dist: base\n")
    index.add("unasked")
    said = []
    wheels = packed(tmp_path, "zed[more]>=1", "base", progress=said.append)
    assert [os.path.basename(path) for path in wheels] == [
        f"{name}-1.0-py3-none-any.whl" for name in ("base", "extra", "zed")
    ]
    assert any(re.match("(Collecting|Downloading) base", line) for line in said), said
    assert ("Resolving" in said) == (way == "uv")
    assert [os.path.basename(path) for path in packed(tmp_path, "base", "zed[more]>=1")] == list(
        map(os.path.basename, wheels)
    )


def test_wheels_of_the_user_stay_where_they_lie(way, index, tmp_path):
    index.add("base")
    index.add("more")
    (tmp_path / "my wheels").mkdir()
    metadata = 'Requires-Dist: base\nRequires-Dist: more; extra == "m"\nProvides-Extra: m\n'
    own = making.wheel(tmp_path / "my wheels", "own", {"own.py": ""}, metadata=metadata)
    wheels = packed(tmp_path, f"{own}[m]")
    assert names(wheels) == ["base", "more", "own"] and wheels[2] == str(own)


def test_projects_and_source_archives_are_built_by_their_back_end(way, index, tmp_path):
    index.add("base")
    metadata = 'Requires-Dist: base; extra == "x"\nProvides-Extra: x\n'
    project = indexes.project(tmp_path / "a project", "mine", requires=metadata)
    source = indexes.project(tmp_path / "theirs-1.0", "theirs")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    with tarfile.open(index.page("theirs").parent / "theirs-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "theirs-1.0")
    index.offer("theirs", Path(archive.name))
    wheels = packed(tmp_path, f"./{project.name}[x]", "theirs")
    assert names(wheels) == ["base", "mine", "theirs"]
    for path in wheels[1:]:
        with zipfile.ZipFile(path) as wheel:
            assert b"315532800" in wheel.read(f"{names([path])[0]}.py")
    again = packed(tmp_path, f"./{project.name}[x]", Path(archive.name))
    assert names(again) == ["base", "mine", "theirs"]
    assert [Path(path).read_bytes() for path in again[1:]] == [Path(path).read_bytes() for path in wheels[1:]]


def test_requirement_files_and_constraints_are_honoured(way, index, tmp_path):
    for version in ("1.0", "2.0", "3.0"):
        index.add("base", version=version)
        index.add("other", version=version)
    (tmp_path / "deeper.txt").write_text("other<3  # a comment\n")
    (tmp_path / "app.txt").write_text("base\n-r deeper.txt\n")
    (tmp_path / "limits.txt").write_text("base<2\n")
    wheels = packed(tmp_path, files=["app.txt"], constraints=["limits.txt"])
    assert [os.path.basename(path)[:9] for path in wheels] == ["base-1.0-", "other-2.0"]


def test_another_target_gets_its_own_wheels_and_what_its_markers_ask_for(way, index, tmp_path):
    python = OTHER.replace(".", "")
    index.add("native", tag=f"cp{HERE.replace('.', '')}-none-manylinux_2_17_x86_64", purelib=False)
    index.add("native", tag=f"cp{python}-cp{python}-manylinux_2_34_aarch64", purelib=False)
    index.add("native", tag=f"cp{python}-cp{python}-manylinux2014_aarch64", purelib=False)
    index.add("stable", tag="cp39-abi3-manylinux_2_28_aarch64", purelib=False)
    marker = f"python_version == '{OTHER}' and platform_machine == 'aarch64'"
    index.add("pure", metadata=f"Requires-Dist: native; {marker}\nRequires-Dist: stable[x]; {marker}\n")
    project = indexes.project(tmp_path / "mine", "mine", requires="Requires-Dist: pure\n")
    wheels = packed(tmp_path, project, target=ELSEWHERE)
    assert names(wheels) == ["mine", "native", "pure", "stable"]
    assert wheels[1].endswith("manylinux2014_aarch64.whl")


def test_a_file_with_hashes_is_held_against_what_is_found(way, index, tmp_path):
    wheel = index.add("base")
    (tmp_path / "app.txt").write_text(f"base==1.0 \\\n    --hash=sha256:{indexes.sha256(wheel)}\n")
    assert names(packed(tmp_path, files=["app.txt"])) == ["base"]
    (tmp_path / "app.txt").write_text(f"base==1.0 --hash=sha256:{'0' * 64}\n")
    assert re.search("app.txt: .*HASHES.*base==1.0.*Expected sha256 0000", refused(tmp_path, files=["app.txt"]))


# ---- what cannot be packed


@pytest.mark.parametrize("where", ["argument", "file", "file in a file", "lock"])
def test_editable_inputs_are_refused_with_the_reason(where, index, tmp_path):
    indexes.project(tmp_path / "mine", "mine")
    (tmp_path / "app.txt").write_text("--editable=./mine\n")
    (tmp_path / "outer.txt").write_text("-r app.txt\n")
    text = '[[packages]]\nname = "mine"\ndirectory = { path = "mine", editable = true }\n'
    (tmp_path / "pylock.toml").write_text(f'lock-version = "1.0"\ncreated-by = "hand"\n{text}')
    given = {
        "argument": lambda: refused(tmp_path, "-e ./mine"),
        "file": lambda: refused(tmp_path, files=["app.txt"]),
        "file in a file": lambda: refused(tmp_path, files=["outer.txt"]),
        "lock": lambda: refused(tmp_path, lock="pylock.toml"),
    }
    assert "mine" in given[where]() and "is editable: it would point into this machine's directories" in given[where]()


def conflict(index, tmp_path):
    index.add("one", metadata="Requires-Dist: base<2\n")
    index.add("two", metadata="Requires-Dist: base>=2\n")
    index.add("base")
    index.add("base", version="2.0")
    return ["one", "two"], r"^one, two: (?=.*one.* on base<2)(?=.*two.* on base>=2)"


def absent(index, tmp_path):
    return ["nowhere"], "^nowhere: .*nowhere"


def no_such_version(index, tmp_path):
    for version in range(1, 30):
        index.add("base", version=f"{version}.0")
    return ["base>=99"], "^base>=99: .*base>=99"


def other_platforms_only(index, tmp_path):
    index.add("base", tag="cp311-cp311-win_amd64", purelib=False)
    return ["base"], "^base: .*base"


def own_for_another_platform(index, tmp_path):
    version = "cp%d%d" % sys.version_info[:2]
    own = making.wheel(tmp_path, "own", {}, tag=f"{version}-{version}-win_amd64", purelib=False)
    return [own], f"{os.path.basename(own)}.*(not a supported wheel|platform|does not fit)"


def other_python(index, tmp_path):
    index.add("base", metadata="Requires-Python: >=3.99\n")
    return ["base"], r"^base: .*3\.99"


def broken_build(index, tmp_path):
    return [
        indexes.project(tmp_path / "mine", "mine", statement="raise SystemExit('it will not build')")
    ], "it will not build"


def no_project(index, tmp_path):
    (tmp_path / "nothing").mkdir()
    return [tmp_path / "nothing"], "nothing: is no project: neither pyproject.toml nor setup.py"


def no_requirement(index, tmp_path):
    return ["base=>1"], "^base=>1: "


def no_path(index, tmp_path):
    return ["./mine"], r"^\./mine: there is no such file"


def twice(index, tmp_path):
    return [making.wheel(tmp_path, "own", {}, version=version) for version in ("1.0", "2.0")], "own.*own"


BAD = [conflict, absent, no_such_version, other_platforms_only, own_for_another_platform, other_python, broken_build]


@pytest.mark.parametrize("bad", [*BAD, no_project, no_requirement, no_path, twice], ids=lambda bad: bad.__name__)
def test_one_clear_error_and_nothing_left(bad, way, index, tmp_path):
    requirements, expected = bad(index, tmp_path)
    reason = refused(tmp_path, *requirements)
    assert re.search(expected, reason) and len(reason) < 1100, reason


def test_what_the_tool_printed_is_a_note_of_the_error(way, index, tmp_path):
    with pytest.raises(PackError) as error:
        resolve(["nowhere"], str(tmp_path / "out"), target=Target.here())
    assert "nowhere" in error.value.__notes__[0]


def test_an_index_that_refuses_is_told(way, index, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple/")
    assert "Connection refused" in refused(tmp_path, "base")


def test_an_index_that_never_answers_is_given_up(way, index, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple/")
        monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "1")
        monkeypatch.setenv("PIP_RETRIES", "1")  # with none, pip does not say why there is no package
        assert re.search("timed out|Read timed out|timeout", refused(tmp_path, "base"))


def test_only_what_is_for_every_platform_is_built_for_another(way, index, tmp_path):
    project = indexes.project(tmp_path / "mine", "mine", tag="cp311-cp311-linux_x86_64")
    assert "mine-1.0-cp311-cp311-linux_x86_64.whl, which is not for Python" in refused(
        tmp_path, project, target=ELSEWHERE
    )


def processes_in(directory):
    """Commands of processes that name the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [command] if str(directory) in command else []
    return found


def test_interrupt_ends_the_tools_and_leaves_nothing(way, index, tmp_path):
    statement = f"open({str(tmp_path / 'building')!r}, 'w').close(); import time; time.sleep(100)"
    project = indexes.project(tmp_path / "mine", "mine", statement=statement)
    out = tmp_path / "out"
    program = f"from intact._pack.resolve import *; resolve([{str(project)!r}], {str(out)!r}, target=Target.here())"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "building").exists():
            assert process.poll() is None
            time.sleep(0.05)
        assert len(processes_in(out)) > 1
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert processes_in(out) == [] and os.listdir(out) == []


def test_tools_have_no_terminal_to_ask_on():
    """git and ssh ask there and not on stdin; in the background of ours they would be stopped, and we wait for ever."""
    code = "import os; print(os.getsid(0) == os.getpid())"
    assert tools.run([sys.executable, "-c", code], os.environ, print) == "True\n"


# ---- the user's configuration


def test_what_uv_cannot_be_told_makes_pip_resolve(index, tmp_path, monkeypatch):
    index.add("base")
    index.add("base", version="2.0rc1")
    monkeypatch.setenv("PIP_PRE", "1")
    said = []
    assert packed(tmp_path, "base", progress=said.append)[0].endswith("base-2.0rc1-py3-none-any.whl")
    assert "pip resolves: uv cannot be told what pip is, pre" in said


def test_settings_of_pips_files_hold_for_uv(index, tmp_path, monkeypatch):
    index.add("base")
    (tmp_path / "wheels").mkdir()
    making.wheel(tmp_path / "wheels", "base", {}, version="2.0")
    (tmp_path / "pip.conf").write_text(
        f"[global]\nindex-url = {index.url}\nfind-links = {tmp_path}/wheels\n  {tmp_path}/absent\n"
    )
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    said = []
    assert os.path.basename(packed(tmp_path, "base", progress=said.append)[0]).startswith("base-2.0")
    assert "Resolving" in said


def test_a_uv_that_is_configured_is_left_alone(index, tmp_path, monkeypatch):
    index.add("base")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    (tmp_path / "uv.toml").write_text(f'[[index]]\nurl = "{index.url}"\ndefault = true\n')
    assert names(packed(tmp_path, "base")) == ["base"]


# ---- targets


def test_target_says_what_it_is():
    target = Target("3.12", "manylinux_2_28_aarch64")
    assert (target.cache_tag, target.abi, target.is_here) == ("cpython-312", "cp312", False)
    assert Target.here().is_here and Target.here().cache_tag == sys.implementation.cache_tag
    tags = list(map(str, target.tags))
    order = [
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp312-cp312-manylinux2014_aarch64",
        "cp39-abi3-manylinux_2_17_aarch64",
        "py3-none-any",
    ]
    assert sorted(order, key=tags.index) == order
    assert not {"cp312-cp312-manylinux_2_29_aarch64", "cp313-cp313-manylinux_2_17_aarch64"} & set(tags)
    assert Target("3.12", "linux_aarch64").platforms == target.platforms


@pytest.mark.parametrize("bad", [("312", None), ("2.7", None), ("3.12", "win_amd64"), ("3.12", "musllinux_1_2_x86_64")])
def test_target_that_is_none_is_refused(bad):
    with pytest.raises(PackError, match="to pack for"):
        Target(*bad)
