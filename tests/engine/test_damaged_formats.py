"""Damage to archives of every format: each byte changed, the end cut off anywhere. Nothing may crash or hang, cost more memory than
the caps say, or give wrong contents where the format has checksums of them.

Each run is a process of its own with little address space: what fails there is a failed test, and no failed test run.
"""

import functools
import json
import stat

import building
import pytest
from support import formats

FILES = {"pkg/__init__.py": "word = 'right'\n" * 3, "pkg/data.bin": bytes(range(256)) * 2, "top.txt": "top\n"}
PACKERS = {"gz": ("gzip", "-n"), "bz2": ("bzip2",), "xz": ("xz",), "zst": ("zstd", "-q"), "lz4": ("lz4", "-q")}
# A changed byte of contents is not noticed: tar and cpio have checksums of headers at most, iso9660 has none, and those
# of cab are of blocks, not of files. What rar stores, as these do, libarchive does not compare with its checksum.
WITHOUT_CHECKSUMS = ("tar", "cpio", "iso", "cab", "rar4", "rar5")
SPACE = 640 << 20  # bytes of addresses that opening may take beyond what the interpreter has, far below what sizes can lie

PROGRAM = """
import json, resource, sys
import intact

how, path, right = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
data = open(path, "rb").read()
right = {name: bytes.fromhex(content) for name, content in right.items()}
intact.mount(data).unmount()  # loads what is loaded once
space = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_AS, (space, space))
outcomes = dict(refused=0, whole=0, partly=0, wrong=[])

def attempt(label, data):
    refused = False
    try:
        mounted = intact.mount(data, name="damaged", max_unpacked_size=1 << 20, max_member_size=1 << 20, max_members=1000)
    except intact.ArchiveError as error:
        assert error.archive == "damaged" and error.reason, error
        outcomes["refused"] += 1
        return
    except intact.PasswordError:  # a changed bit may say that it is encrypted
        outcomes["refused"] += 1
        return
    found = 0
    for name in mounted:
        try:
            content = mounted.read(name)
        except (intact.MemberError, intact.PasswordError) as error:
            assert error.member == name and error.reason, error
            continue
        if content not in right.values():
            outcomes["wrong"].append([label, name, len(content)])
        found += right.get(name) == content
    mounted.unmount()
    outcomes["whole" if found == len(right) else "partly"] += 1

if how == "cut":
    for size in range(0, len(data), max(1, len(data) // 3000)):
        attempt(f"{size}", data[:size])
else:
    # A place of zeros in zeros says nothing that the first of them does not.
    for at in range(len(data)):
        if at > 40 and not any(data[at - 40 : at + 1]):
            continue
        for change in (0x01, 0x80, 0xFF):
            attempt(f"{at} ^ {change}", data[:at] + bytes([data[at] ^ change]) + data[at + 1 :])
    attempt("not at all", data)
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """`small(FORMAT)`: the path of a small archive of FILES."""
    place = tmp_path_factory.mktemp("small")
    tree = building.write_files(place / "tree", FILES)

    @functools.cache
    def make(kind):
        path = place / f"small.{kind}"
        members = [(name, data, stat.S_IFREG | 0o644, building.NOON_SECONDS) for name, data in FILES.items()]
        if kind.startswith("tar"):
            tar = formats.tar_of(*((name, data) for name, data, *_ in members))
            _, _, packer = kind.partition(".")
            path.write_bytes(formats.run(*PACKERS[packer], "-c", input=tar) if packer else tar)
        else:
            formats.make(kind, tree, path)
        return str(path)

    return make


def outcomes(how, path):
    right = json.dumps({name: building.encoded(data).hex() for name, data in FILES.items()})
    return json.loads(building.output_of("-c", PROGRAM, how, path, right, str(SPACE)))


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_any_byte_changed_is_a_documented_error_or_does_no_harm(kind, small):
    found = outcomes("change", small(kind))
    assert found["whole"] > 0  # the last is the archive as it is
    assert found["refused"] + found["partly"] > 50
    if kind not in WITHOUT_CHECKSUMS:
        assert found["wrong"] == []


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_cut_anywhere_is_a_documented_error_or_gives_what_is_left_whole(kind, small):
    """A tar that is cut between two members is one that has fewer: nothing in it says how many there are."""
    found = outcomes("cut", small(kind))
    assert found["wrong"] == [] and found["refused"] > 50
    if kind not in ("tar", "iso", "cpio", "rar4", "rar5"):
        assert found["partly"] == 0
