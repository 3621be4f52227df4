"""What `intact pack` puts into an app, and what it refuses to pack."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from intact import _cli_pack
from intact._pack.app import check_size
from intact._pack.errors import PackError
from support import making
from support.program import SAYS, pack, run


def test_an_app_that_is_too_large_to_start_is_refused():
    """Python before 3.13 says of it that it has no __main__."""
    check_size("app.pyz", 2**31 - 1, ["3.11", "3.13"])
    check_size("app.pyz", 2**31, ["3.13"])
    with pytest.raises(PackError, match=r"Python 3\.11 and 3\.12 starts none"):
        check_size("app.pyz", 2**31, ["3.11", "3.12", "3.13"])


def test_entry_that_is_not_packed_is_refused(wheels, tmp_path):
    done = making.intact("pack", "-o", tmp_path / "app.pyz", "--entry", "absent:main", *wheels)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == "intact: absent:main: no such module is packed"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--entry", "."), r"\.: is no MODULE or MODULE:FUNCTION to run \(and nothing can be packed editable: .*"),
        (("--entry", "prog:"), "prog:: is no MODULE or MODULE:FUNCTION to run"),
        (
            ("--python-shebang", "#!/usr/bin/python3"),
            "#!/usr/bin/python3: is not one line for the kernel, without its #!",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused_before_the_work(options, expected, tmp_path):
    done = making.intact("pack", "-o", tmp_path / "app.pyz", *options, "absent-from-any-index")
    assert done.returncode == 1 and re.fullmatch(f"intact: {expected}\n", done.stderr), done.stderr


def test_mounting_an_app_gives_its_payload(app):
    code = f"import intact; m = intact.mount({str(app)!r}); import helper; print(m.format, helper.greet('you'), len(m) > 10)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "app hello you True\n", done.stderr


def test_compat_is_in_every_app(app):
    code = "import sys; before = 'intact.compat' in sys.modules; import intact.compat; intact.compat.enable('physfs'); "
    code += "import physfs; print(before, physfs.__file__)"
    done = run(app, "-c", code, env={**os.environ, "INTACT_INTERPRETER": "1"})
    assert done.stdout == f"False {app}/intact/compat/physfs.py\n", done.stderr


def test_zip_tools_list_and_extract_it(app, tmp_path):
    with zipfile.ZipFile(app) as outer:
        assert outer.testzip() is None
        assert outer.namelist()[-1] == "intact-payload.zip"
        outer.extract("intact-payload.zip", tmp_path)
    with zipfile.ZipFile(tmp_path / "intact-payload.zip") as inner:
        assert inner.testzip() is None
        assert {"prog/cli.py", "helper.py", ".intact/app.json"} <= set(inner.namelist())


def test_info_tells_what_was_packed_for_whom(app, wheels):
    facts = json.loads(making.intact("info", "--json", app).stdout)
    assert [each["name"] for each in facts["distributions"]] == ["helper", "prog"]
    assert facts["app"]["entry"] == "prog.cli:main"
    assert [each["python"] for each in facts["app"]["targets"]] == ["%d.%d" % sys.version_info[:2]]
    assert facts["app"]["wheels"] == {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    shown = making.intact("info", app).stdout
    assert "entry point: prog.cli:main" in shown and "glibc 2." in shown and "prog 1.0" in shown


def test_same_inputs_give_the_same_bytes(wheels, tmp_path):
    for name, order in ("a", wheels), ("b", wheels[::-1]):
        (tmp_path / name).mkdir()
        copies = [shutil.copy(wheel, tmp_path / name) for wheel in order]
        pack("app.pyz", "--entry", "prog", *map(os.path.basename, copies), cwd=tmp_path / name)
    first, second = ((tmp_path / name / "app.pyz").read_bytes() for name in "ab")
    if first != second:  # the order of the command line is kept in what tells others how to pack it
        assert len(first) == len(second)
    pack("other.pyz", "--entry", "prog", *map(os.path.basename, wheels), cwd=tmp_path / "b")
    assert (tmp_path / "b/other.pyz").read_bytes() == first


def test_what_packs_another_one_names_no_directory_and_no_password():
    """It is kept in the app, which others have; a bare name would mean what an index has by that name."""
    line = "--lock=/home/me/pylock.toml -r/home/me/r.txt /home/me/app/ --python-shebang /usr/bin/python3 --for 3.12 ./b -o x"
    urls = ["a @ https://me:token@host/a.whl", "c @ file:///home/me/c-1-py3-none-any.whl"]
    wanted = "--lock=./pylock.toml -r./r.txt ./app --python-shebang /usr/bin/python3 ./b 'a @ https://host/a.whl' ./c-1-py3-none-any.whl"
    assert _cli_pack._command(["pack", *line.split(), *urls]) == f"intact pack --for %s -o %s {wanted}"


def test_an_engine_of_another_version_is_refused(wheels, tmp_path):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    other = making.wheel(
        tmp_path, "intact", {"intact/_engine.x.so": ""}, version="99.0", tag=f"{tag}-{tag}-linux_{os.uname().machine}"
    )
    done = making.intact("pack", "-o", tmp_path / "app.pyz", "--engine", other, *wheels)
    assert done.returncode == 1 and "is of version 99.0" in done.stderr and done.stderr.count("\n") == 1


def names(app):
    with zipfile.ZipFile(app) as outer, outer.open("intact-payload.zip") as payload, zipfile.ZipFile(payload) as inner:
        return {info.filename: info for info in inner.infolist()}


def test_no_source_keeps_bytecode_and_what_does_not_compile(wheels, tmp_path):
    template = making.wheel(tmp_path, "template", {"template/__init__.py": "n = 1\n", "template/in.py": "{% if %}\n"})
    done = pack(tmp_path / "app.pyz", "--no-source", "--entry", "prog.cli:main", template, *wheels)
    assert "without their sources" in done.stderr
    assert run(tmp_path / "app.pyz", "a", "b c").stdout == SAYS.replace(".py\n", ".pyc\n")
    found = names(tmp_path / "app.pyz")
    assert "prog/cli.pyc" in found and "prog/cli.py" not in found and "template/in.py" in found


def test_bytecode_in_its_sources_place_belongs_to_the_distribution(app, wheels, tmp_path):
    pack(tmp_path / "app.pyz", "--no-source", *wheels)
    told = [json.loads(making.intact("info", "--json", each).stdout) for each in (app, tmp_path / "app.pyz")]
    [with_source, without] = [{each["name"]: each["files"] for each in facts["distributions"]} for facts in told]
    assert without == {"prog": with_source["prog"] - 3, "helper": with_source["helper"] - 1}


def test_files_can_be_left_out(wheels, tmp_path):
    tests = {
        "pkg/__init__.py": "",
        "pkg/tests/test_x.py": "",
        "pkg/testing.py": "",
        "tests/kept.py": "",
        "pkg/big.bin": "x",
    }
    wheel = making.wheel(tmp_path, "pkg", tests)
    pack(tmp_path / "app.pyz", "--strip-tests", "--exclude", "*.bin", wheel)
    found = {
        name
        for name in names(tmp_path / "app.pyz")
        if name.endswith((".py", ".bin")) and not name.startswith("intact/")
    }
    assert found == {"pkg/__init__.py", "pkg/testing.py", "tests/kept.py"}
    code = "import importlib.metadata as m; print(sorted(map(str, m.files('pkg'))))"
    assert "tests/test_x.py" not in run(tmp_path / "app.pyz", "-c", code).stdout


@pytest.mark.parametrize(
    "options", [("--compress", "deflate"), ("--compress", "zstd"), ("--compress", "zstd", "--small")]
)
def test_compressed_apps_are_smaller_and_run(options, app, wheels, tmp_path):
    pack(tmp_path / "app.pyz", *options, "--entry", "prog.cli:main", *wheels)
    assert run(tmp_path / "app.pyz", "a", "b c").stdout == SAYS
    whole, packed = (sum(info.compress_size for info in names(path).values()) for path in (app, tmp_path / "app.pyz"))
    assert packed < whole / 2


def test_a_full_disk_leaves_nothing(wheels, tmp_path):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    done = making.intact("pack", "-o", tmp_path / "app.pyz", *wheels, preexec_fn=limit)
    assert done.returncode == 1 and "File too large" in done.stderr and list(tmp_path.iterdir()) == []
