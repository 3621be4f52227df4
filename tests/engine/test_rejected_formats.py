"""Hostile archives of the formats that libarchive reads, and how each refusal reads.

The inputs are files of tests/rejected/libarchive, which fuzz/make_formats.py, make_isos.py and make_names.py write. Each has one defect and is named for it.
"""

from pathlib import Path

import intact
import pytest

FOLDER = Path(__file__).parents[1] / "rejected/libarchive"
ARCHIVE = {
    "attributes-twice.7z": "attributes that come twice",
    "bcj2-of-terabytes.7z": "larger streams of BCJ2",
    "block-larger-than-the-file.cab": "Invalid CFDATA",
    "block-unknown.5.rar": "a block of unknown kind",
    "blocks-missing.cab": "Invalid CFDATA",
    "blocks-of-512.iso": "logical blocks of other than 2048",
    "bzip2-cut.tar.bz2": "compressed (.bz2) data that is empty, cut or broken",
    "bzip2-in-xz.tar.xz": "compressed (.xz) data with no archive of a known format in it",
    "checksum-wrong.cab": "Checksum error CFDATA",
    "checksum-wrong.tar": "Damaged tar archive",
    "comment-in-a-name.xar": "a comment",
    "compressed-by-compress.Z": "of no known archive format",
    "compressed.4.rar": "only with trusted=True",
    "continuation-before.iso": "not behind what it continues",
    "continuation-beyond-its-block.iso": "beyond its block",
    "continuation-beyond-the-end.iso": "a continuation area beyond its end",
    "continuation-in-itself.iso": "not behind what it continues",
    "continuations-of-one-record.iso": "continues in two",
    "cut.4.rar": "a block that does not end in it",
    "cut.5.rar": "a block that does not end in it",
    "data-beyond-the-end.cab": "Truncated input file",
    "dictionary-of-4-gib.7z": "Decompression failed",
    "directories-by-mode-shared.iso": "directories that share a place",
    "directories-shared.iso": "directories that share a place",
    "directories-that-overlap.iso": "directories that share a place",
    "directory-beyond-the-end.iso": "a root beyond its end",
    "directory-in-itself.iso": "directories that share a place",
    "directory-in-pieces.iso": "a directory in pieces",
    "directory-of-it-beyond-the-end.iso": "a directory beyond its end",
    "doctype.xar": "a comment, a declaration",
    "element-in-a-name.xar": "an element in a name",
    "encoding-that-hides.xar": "another encoding than UTF-8",
    "extent-beyond-the-end.iso": "Invalid location of extent of file",
    "file-behind-the-data.cab": "Invalid CAB header",
    "files-more-than-named.7z": "more members than the limit",
    "files-that-overlap.cab": "Invalid CAB header",
    "folder-that-is-none.cab": "Invalid CAB header",
    "garbage-after-a-member.tar": "Damaged tar archive",
    "gzip-crc-wrong.tar.gz": "broken gzip data",
    "gzip-cut.tar.gz": "broken gzip data",
    "gzip-in-gzip.tar.gz": "compressed (.gz) data with no archive of a known format in it",
    "gzip-no-archive.gz": "compressed (.gz) data with no archive of a known format in it",
    "gzip-size-wrong.tar.gz": "broken gzip data",
    "header-crc-wrong.4.rar": "Header CRC error",
    "header-crc-wrong.5.rar": "Header CRC error",
    "header-cut.7z": "a 7z header beyond the end: not a whole archive",
    "header-in-bzip2.7z": "by other than LZMA or LZMA2",
    "header-in-several-streams.7z": "several folders or packed streams",
    "header-of-another-size.xar": "a xar of another version",
    "header-of-megabytes.5.rar": "a header of none or more than 65536 bytes",
    "header-only-copied.7z": "by other than LZMA or LZMA2",
    "header-with-more.5.rar": "a header that ends elsewhere than it states",
    "header-with-other-streams.7z": "what is of another kind",
    "header-with-properties.7z": "properties, which are not supported",
    "joliet-directories-shared.iso": "directories that share a place",
    "length-beyond-the-end.xar": "Truncated archive file",
    "link-that-is-miscounted.5.rar": "a header that ends elsewhere than it states",
    "links-in-a-circle.xar": "a file of two names or types",
    "long-name-of-exabytes.tar": "Special header too large",
    "lzma-broken.7z": "Decompression failed",
    "magic-wrong.cpio": "cut or broken",
    "main-header-again.5.rar": "two main headers",
    "main-header-with-more.5.rar": "a header that ends elsewhere than it states",
    "member-cut.tar": "Truncated tar archive",
    "name-beyond-the-end.cpio": "cut or broken",
    "name-of-70000-characters.5.rar": "a header of none or more than 65536 bytes",
    "offset-beyond-the-end.xar": "Truncated input file",
    "pax-size-beyond-the-end.tar": "Truncated tar archive",
    "piece-of-a-file.5.rar": "a rar of several volumes",
    "prefix.xar": "a prefix of a namespace",
    "reading-beyond-contents.5.rar": "contents that end elsewhere than their header states",
    "record-shorter-than-its-name.iso": "a broken record",
    "relocated-from-the-root.iso": "relocated from the root",
    "relocated-in-a-circle.iso": "more directories in one another than 256",
    "relocated-root.iso": "a root that is relocated",
    "relocated-too-deep.iso": "too far from the root",
    "relocated-twice.iso": "relocated from two places",
    "roots-that-differ.iso": "two roots of one kind",
    "size-beyond-the-end.cpio": "cut or broken",
    "size-beyond-the-end.iso": "Invalid location of extent of file",
    "size-beyond-the-end.tar": "Truncated tar archive",
    "size-larger-than-data.cab": "Truncated CAB header",
    "size-larger-than-data.xar": "Decompressed size error",
    "size-larger-than-packed.7z": "Truncated 7-Zip file body",
    "size-negative.tar": "negative size",
    "size-of-a-header-endless.5.rar": "a header of none or more than 65536 bytes",
    "size-of-exabytes.7z": "Truncated 7-Zip file body",
    "size-of-exabytes.tar": "size overflow",
    "times-beyond-their-size.7z": "a property of files of another size than stated",
    "times-elsewhere.7z": "times that lie elsewhere",
    "toc-beyond-the-end.xar": "an end beyond that of the archive",
    "toc-cut.xar": "a tag that does not end",
    "toc-no-utf8.xar": "what is no UTF-8",
    "toc-no-xml.xar": "XML",
    "toc-shorter-than-stated.xar": "other sizes than the header states",
    "toc-size-wrong.xar": "more bytes than 134217728",
    "trailer-missing.cpio": "cut or broken",
    "volume.4.rar": "a rar of several volumes",
    "volume.5.rar": "a rar of several volumes",
    "xz-cut.tar.xz": "compressed (.xz) data that is empty, cut or broken",
    "xz-no-archive.xz": "compressed (.xz) data with no archive of a known format in it",
    "zlib-broken.xar": "broken zlib data",
    "zlib-ends-early.xar": "contents that do not come to an end",
}
MEMBER = {"checksum-wrong.xar": "Sumcheck error", "crc-wrong.7z": "bad CRC"}


@pytest.fixture(params=["path", "bytes"])
def mount_file(request):
    return lambda path: intact.mount(path if request.param == "path" else path.read_bytes(), name="hostile")


@pytest.mark.parametrize("name", ARCHIVE)
def test_broken_archive_is_refused_for_its_defect(name, mount_file):
    with pytest.raises(intact.ArchiveError) as caught:
        mount_file(FOLDER / name)
    assert ARCHIVE[name] in caught.value.reason and caught.value.archive in ("hostile", str(FOLDER / name))
    assert intact.mounts() == ()


@pytest.mark.parametrize("name", MEMBER)
def test_broken_member_is_refused_when_it_is_read(name, mount_file):
    mounted = mount_file(FOLDER / name)
    (member,) = mounted
    with pytest.raises(intact.MemberError) as caught:
        mounted.read(member)
    assert MEMBER[name] in caught.value.reason and caught.value.member == member
    with pytest.raises(OSError):
        open(f"{mounted.root}/{member}", "rb")


@pytest.mark.parametrize("path", sorted((FOLDER / "left_out").iterdir()), ids=lambda path: path.name)
def test_what_cannot_be_reached_is_left_out_and_counted(path, mount_file):
    """The number of such members is in the file's name. A name ends where a NUL is; of two of one name the last one counts, but
    for a rar 4, in which libarchive takes the second for more of the first."""
    mounted = mount_file(path)
    assert mounted._unreachable == int(path.name.partition("-")[0])
    assert list(mounted) == ["good"]
    assert (mounted.read("good") == b"first") == (path.name == "1-name-twice.4.rar")


def test_the_tables_have_every_file_of_the_folder():
    assert sorted({**ARCHIVE, **MEMBER}) == sorted(path.name for path in FOLDER.iterdir() if path.is_file())
