"""Writes the ELF seeds of the fuzzer and the objects that tests/rejected/elf keeps.

Each is one small shared object with every table the parser follows, and, if it is to be rejected, one lie; it is named for
that. `python fuzz/make_elf_corpus.py` in the root of the source tree writes the same bytes every time.
"""

import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent

PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_TLS, PT_GNU_RELRO = 1, 2, 4, 7, 0x6474E552
(DT_NEEDED, DT_PLTRELSZ, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_RELAENT, DT_STRSZ, DT_SYMENT, DT_INIT,
 DT_SONAME, DT_RPATH, DT_PLTREL, DT_TEXTREL, DT_JMPREL, DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_RUNPATH) = (
    1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 20, 22, 23, 25, 27, 29)
DT_RELRSZ, DT_RELR, DT_RELRENT, DT_GNU_HASH = 35, 36, 37, 0x6FFFFEF5
DT_VERSYM, DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
X86_64, AARCH64 = 62, 183
RELATIVE = {X86_64: 8, AARCH64: 1027}
JUMP_SLOT = {X86_64: 7, AARCH64: 1026}
IRELATIVE = {X86_64: 37, AARCH64: 1032}
HEADER, PROGRAM_HEADERS = 64, 5


def elf(machine=X86_64, *, header={}, tags={}, drop=(), extra=(), segments={}, tables={}, relocation=None, cut=None):
    """A shared object. `header` replaces (offset, format) by a number; `tags` dynamic values; `tables` whole tables;
    `segments` fields (number, name)."""
    names = b"\0needed.so\0self.so\0$ORIGIN/libs\0function\0VERSION_1\0"
    at = {name: names.index(b"\0" + name + b"\0") + 1 for name in (b"needed.so", b"self.so", b"$ORIGIN/libs", b"function", b"VERSION_1")}
    slot = 0x800
    parts = {
        "strings": names,
        "symbols": bytes(24) + struct.pack("<IBBHQQ", at[b"function"], 0x12, 0, 1, 0x700, 8),
        "hash": struct.pack("<6I", 1, 2, 1, 0, 0, 0)[:20],
        "gnu_hash": struct.pack("<4IQII", 1, 1, 1, 6, 2**64 - 1, 1, 0x1235 | 1),
        "versym": struct.pack("<2H", 0, 2),
        "verneed": struct.pack("<HHIII", 1, 1, at[b"needed.so"], 16, 0) + struct.pack("<IHHII", 0x1234, 0, 3, at[b"VERSION_1"], 0),
        "verdef": struct.pack("<4HIII", 1, 0, 2, 1, 0x1234, 20, 0) + struct.pack("<II", at[b"VERSION_1"], 0),
        "rela": struct.pack("<QQq", slot, relocation or RELATIVE[machine], 0x700),
        "jmprel": struct.pack("<QQq", slot + 8, 1 << 32 | JUMP_SLOT[machine], 0),
        "relr": struct.pack("<Q", slot),
        "init_array": struct.pack("<Q", 0x700),
        "note": struct.pack("<3I", 4, 4, 3) + b"GNU\0" + b"\1\2\3\4",
    }
    parts.update(tables)
    places, body, start = {}, b"", HEADER + 56 * PROGRAM_HEADERS
    for name, data in parts.items():
        body += bytes(-len(body) % 8)
        places[name] = start + len(body)
        body += data
    body += bytes(-len(body) % 8)
    dynamic_at = start + len(body)
    entries = {
        DT_NEEDED: at[b"needed.so"], DT_SONAME: at[b"self.so"], DT_RPATH: at[b"$ORIGIN/libs"], DT_RUNPATH: at[b"$ORIGIN/libs"],
        DT_STRTAB: places["strings"], DT_STRSZ: len(parts["strings"]), DT_SYMTAB: places["symbols"], DT_SYMENT: 24,
        DT_HASH: places["hash"], DT_GNU_HASH: places["gnu_hash"], DT_VERSYM: places["versym"],
        DT_VERNEED: places["verneed"], DT_VERNEEDNUM: 1, DT_VERDEF: places["verdef"], DT_VERDEFNUM: 1,
        DT_RELA: places["rela"], DT_RELASZ: len(parts["rela"]), DT_RELAENT: 24,
        DT_JMPREL: places["jmprel"], DT_PLTRELSZ: len(parts["jmprel"]), DT_PLTREL: DT_RELA,
        DT_RELR: places["relr"], DT_RELRSZ: len(parts["relr"]), DT_RELRENT: 8,
        DT_INIT: 0x700, DT_INIT_ARRAY: places["init_array"], DT_INIT_ARRAYSZ: len(parts["init_array"]),
    }
    entries.update(tags)
    listed = [(tag, value) for tag, value in entries.items() if tag not in drop] + list(extra) + [(0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in listed)
    size = max(0x900, dynamic_at + len(dynamic))
    fields = ("type", "flags", "offset", "address", "physical", "file_size", "memory_size", "alignment")
    programs = [
        dict(zip(fields, (PT_LOAD, 7, 0, 0, 0, size, size + 64, 4096))),
        dict(zip(fields, (PT_DYNAMIC, 6, dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 8))),
        dict(zip(fields, (PT_NOTE, 4, places["note"], places["note"], places["note"], 20, 20, 4))),
        dict(zip(fields, (PT_TLS, 4, slot, slot, slot, 8, 16, 8))),
        dict(zip(fields, (PT_GNU_RELRO, 4, dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 1))),
    ]
    for (number, name), value in segments.items():
        programs[number][name] = value
    content = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, HEADER, 0, 0, 64, 56, PROGRAM_HEADERS, 0, 0, 0)
    for program in programs:
        content += struct.pack("<IIQQQQQQ", *(program[field] for field in fields))
    content = bytearray((content + body + dynamic).ljust(size, b"\0"))
    for (offset, form), value in header.items():
        struct.pack_into(form, content, offset, value)
    return bytes(content[:cut])


SEEDS = {
    "x86_64": elf(),
    "aarch64": elf(AARCH64),
    "irelative": elf(relocation=IRELATIVE[X86_64]),
    "text_relocations": elf(extra=[(DT_TEXTREL, 0)]),
    "no_hash": elf(drop=(DT_HASH, DT_GNU_HASH)),
    "no_soname": elf(drop=(DT_SONAME, DT_RPATH)),
}

REJECTED = {
    "empty": b"",
    "text": b"#!/bin/sh\n",
    "cut_in_header": elf(cut=20),
    "cut_in_program_headers": elf(cut=100),
    "cut_in_segment": elf(cut=0x850),
    "elf32": elf(header={(4, "B"): 1}),
    "big_endian": elf(header={(5, "B"): 2}),
    "executable": elf(header={(16, "<H"): 2}),
    "relocatable": elf(header={(16, "<H"): 1}),
    "other_machine": elf(header={(18, "<H"): 8}),
    "many_segments": elf(header={(56, "<H"): 65_535}),
    "no_segments": elf(header={(56, "<H"): 0}),
    "segments_far_away": elf(header={(32, "<Q"): 2**64 - 8}),
    "segment_beyond_the_end": elf(segments={(0, "file_size"): 2**63}),
    "segment_wraps": elf(segments={(0, "address"): 2**64 - 4096}),
    "segment_shrinks": elf(segments={(0, "memory_size"): 16}),
    "segment_unaligned": elf(segments={(0, "address"): 1}),
    "alignment_no_power_of_two": elf(segments={(0, "alignment"): 4097}),
    "tls_nowhere": elf(segments={(3, "address"): 1 << 40}),
    "relro_nowhere": elf(segments={(4, "address"): 1 << 40}),
    "no_dynamic": elf(segments={(1, "type"): 0}),
    "dynamic_elsewhere": elf(segments={(1, "address"): 1 << 30}),
    "dynamic_without_end": elf(segments={(1, "file_size"): 32}),
    "no_strings": elf(drop=(DT_STRTAB,)),
    "strings_nowhere": elf(tags={DT_STRTAB: 1 << 40}),
    "strings_too_long": elf(tags={DT_STRSZ: 1 << 40}),
    "name_outside": elf(tags={DT_NEEDED: 1 << 20}),
    "name_empty": elf(tags={DT_NEEDED: 0}),
    "strings_without_end": elf(tags={DT_STRSZ: 12, DT_SONAME: 1, DT_RPATH: 0, DT_RUNPATH: 0}),
    "no_symbols": elf(drop=(DT_SYMTAB,)),
    "symbols_nowhere": elf(tags={DT_SYMTAB: 1 << 40}),
    "symbol_size": elf(tags={DT_SYMENT: 16}),
    "symbol_name_outside": elf(tables={"symbols": bytes(24) + struct.pack("<IBBHQQ", 1 << 30, 0x12, 0, 1, 0x700, 8)}),
    "symbols_beyond_the_end": elf(tables={"jmprel": struct.pack("<QQq", 0x808, 0x7FFFFFFF << 32 | 7, 0)}),
    "relocation_size": elf(tags={DT_RELAENT: 12}),
    "relocations_cut": elf(tags={DT_RELASZ: 23}),
    "relocations_nowhere": elf(tags={DT_RELA: 1 << 40}),
    "relocation_outside": elf(tables={"rela": struct.pack("<QQq", 1 << 40, 8, 0)}),
    "relocations_without_addend": elf(extra=[(17, 0x800)]),
    "plt_relocations_without_addend": elf(tags={DT_PLTREL: 17}),
    "hash_nowhere": elf(tags={DT_HASH: 1 << 40}),
    "hash_without_buckets": elf(tables={"hash": struct.pack("<2I", 0, 2) + bytes(12)}),
    "hash_endless": elf(tables={"hash": struct.pack("<2I", 2**32 - 1, 2**32 - 1) + bytes(12)}),
    "hash_leaves_its_table": elf(tables={"hash": struct.pack("<5I", 1, 2, 7, 0, 0)}),
    "gnu_hash_nowhere": elf(tags={DT_GNU_HASH: 1 << 40}),
    "gnu_hash_without_buckets": elf(tables={"gnu_hash": struct.pack("<4IQ", 0, 1, 1, 6, 0)}),
    "gnu_hash_filter_size": elf(tables={"gnu_hash": struct.pack("<4IQ", 1, 1, 3, 6, 0)}),
    "gnu_hash_below_first": elf(tables={"gnu_hash": struct.pack("<4IQII", 1, 5, 1, 6, 0, 1, 1)}),
    "gnu_hash_far_bucket": elf(tables={"gnu_hash": struct.pack("<4IQII", 1, 1, 1, 6, 0, 2**32 - 1, 1)}),
    "versions_nowhere": elf(tags={DT_VERSYM: 1 << 40}),
    "version_need_form": elf(tables={"verneed": struct.pack("<HHIII", 2, 1, 1, 16, 0) + bytes(16)}),
    "version_need_leaves": elf(tables={"verneed": struct.pack("<HHIII", 1, 1, 1, 2**32 - 1, 0) + bytes(16)}),
    "version_need_name_outside": elf(tables={"verneed": struct.pack("<HHIII", 1, 1, 1 << 20, 16, 0) + bytes(16)}),
    "version_definition_form": elf(tables={"verdef": struct.pack("<4HIII", 7, 0, 2, 1, 0, 20, 0) + bytes(8)}),
    "version_definition_leaves": elf(tables={"verdef": struct.pack("<4HIII", 1, 0, 2, 1, 0, 2**31, 0) + bytes(8)}),
    "initialiser_nowhere": elf(tags={DT_INIT: 1 << 40}),
    "initialisers_nowhere": elf(tags={DT_INIT_ARRAY: 1 << 40}),
    "initialisers_cut": elf(tags={DT_INIT_ARRAYSZ: 7}),
}


def main():
    for directory, files in (("fuzz/corpus/elf", SEEDS), ("tests/rejected/elf", REJECTED)):
        (ROOT / directory).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (ROOT / directory / name).write_bytes(content)


if __name__ == "__main__":
    main()
