"""The page of a trace, in a real browser: it draws what was traced, sorts and searches, and nothing in a name gets out."""

import importlib
import struct
import sys
import zlib

import building
import intact
import pytest
from support import browser

EXTENSION = building.stdlib_extension("_testmultiphase")
COLUMNS = ["module", "imported by", "from", "kind", "start", "total", "own", "found", "decoded", "executed", "bytes"]


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return tmp_path_factory.mktemp("profile")


@pytest.fixture
def trace(mount):
    tree = {f"part{i}.py": f"text = {'x' * (i * 37 % 101)!r}\n" for i in range(12)}
    tree["whole.py"] = "".join(f"import part{i}\n" for i in range(12))
    mount({**tree, **({f"_testmultiphase{building.SUFFIX}": EXTENSION} if EXTENSION else {})})
    sys.modules.pop("_testmultiphase", None)
    with intact.trace("the parts") as trace:
        importlib.import_module("whole")
        importlib.import_module("_testmultiphase")
    return trace


def written(trace, tmp_path, fragment=""):
    trace.write(tmp_path / "trace.html")
    return f"file://{tmp_path}/trace.html{fragment}"


def test_every_module_has_a_bar_and_a_row(trace, tmp_path, profile):
    page = browser.document(profile, written(trace, tmp_path))
    names = [module.name for module in trace.modules]
    assert [row[0] for row in browser.rows(page, "table")] == names and "whole" in names
    assert sorted(title.split(" (")[0] for _, title in browser.bars(page)) == sorted(names)


def test_the_address_sorts_and_searches(trace, tmp_path, profile):
    page = browser.document(profile, written(trace, tmp_path, "#sort=bytes&search=part"))
    shown = browser.rows(page, "table")
    wanted = {module.name: module.bytes for module in trace.modules if "part" in module.name}
    assert {row[0] for row in shown} == set(wanted)
    assert [int(row[COLUMNS.index("bytes")].replace(",", "")) for row in shown] == sorted(wanted.values(), reverse=True)
    assert [title for kind, title in browser.bars(page) if "dim" in kind and title.startswith("part")] == []
    assert any("dim" in kind and title.startswith("whole") for kind, title in browser.bars(page))


def test_the_address_turns_the_order_round_and_zooms(trace, tmp_path, profile):
    part = next(module for module in trace.modules if module.name == "part5")
    fragment = f"#sort=name&order=desc&from={part.start * 1000}&to={(part.start + part.total) * 1000}"
    page = browser.document(profile, written(trace, tmp_path, fragment))
    names = [row[0] for row in browser.rows(page, "table")]
    assert names == sorted(names, reverse=True)
    inside = {title.split(" (")[0] for _, title in browser.bars(page)}
    assert {"whole", "part5"} <= inside and "part1" not in inside


def test_without_scripts_the_tables_say_it_all(trace, tmp_path):
    trace.write(tmp_path / "trace.html")
    text = (tmp_path / "trace.html").read_text()
    assert [row[0] for row in browser.rows(text, "table")] == [module.name for module in trace.modules]


@pytest.mark.skipif(EXTENSION is None, reason="this interpreter has its test extensions built in")
def test_shared_objects_have_a_table(trace, tmp_path, profile):
    page = browser.document(profile, written(trace, tmp_path))
    ((path, module, how, *numbers),) = browser.rows(page, "shared-objects")
    (image,) = trace.images
    assert (path, module, how) == (image.path, "_testmultiphase", "copy")
    assert numbers[3].replace(",", "") == str(image.relocations)


def test_names_are_text_whatever_they_hold(trace, tmp_path, profile):
    evil = '</script><script>document.title="taken"</script><img src=x onerror=document.title="taken">{{data}}'
    for module in trace.modules[:2]:
        module.name = module.importer = module.path = evil
    trace.title = evil
    page = browser.document(profile, written(trace, tmp_path))
    assert [row[0] for row in browser.rows(page, "table")][:2] == [evil, evil]
    assert "<title>taken" not in page and "<img" not in page
    assert len(browser.bars(page)) == len(trace.modules)


def test_a_thousand_modules_are_drawn(mount, tmp_path, profile):
    tree = {f"many{i}.py": f"import many{i + 1}\n" if i % 10 else "" for i in range(1000)}
    mount({**tree, "many1000.py": "", "start.py": "".join(f"import many{i}\n" for i in range(1000))})
    with intact.trace() as trace:
        importlib.import_module("start")
    page = browser.document(profile, written(trace, tmp_path, "#search=many99"))
    assert len(trace.modules) == len(browser.bars(page)) == 1002
    wanted = [each.name for each in trace.modules if "many99" in f"{each.name} {each.importer}"]
    assert [row[0] for row in browser.rows(page, "table")] == wanted and len(wanted) > 10


def colours(path):
    """How many different pixels a PNG of 8 bits a channel has (RFC 2083); rows are not unfiltered, which is enough to tell."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        packed += data[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    return len(set(zlib.decompress(packed)))


def test_the_picture_is_not_blank(trace, tmp_path, profile):
    browser.screenshot(profile, written(trace, tmp_path), tmp_path / "page.png")
    (tmp_path / "blank.html").write_text("<!DOCTYPE html><title>blank</title>")
    browser.screenshot(profile, f"file://{tmp_path}/blank.html", tmp_path / "blank.png")
    assert colours(tmp_path / "page.png") > 10 * colours(tmp_path / "blank.png")
