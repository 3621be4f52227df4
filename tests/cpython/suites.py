"""Which of CPython's suites run against us, and what stands in CPython's place.

zipimporter       zipimport.zipimporter, on sys.path_hooks and by name, is intact.zipimporter
bytes             the same, with archives in memory
mounted           the suite is imported from a mounted archive of the interpreter's test package: what its tests import of
                  that, and read as files, comes out of the engine, and so it does in the Pythons that they start
in-memory         the same, mounted from bytes
packed            directories that tests write and put on sys.path are packed into archives as they are asked for modules
packed-bytecode   the same, and bytecode is written for what was found, which we do not: for tests that go on with it
zipapps           what zipapp packs lies in a mounted archive, and what it writes is read by us (zipapps.py)
loaders           FileFinder and the file loaders of importlib.machinery, which tests make themselves, are ours (packed.py)
"""

VERSIONS = ("3.11", "3.12", "3.13")  # docs/compliance.md has figures of each

SUITES = {
    "test_zipimport": (("test.test_zipimport",), ("zipimporter", "bytes")),
    "test_zipimport_support": (("test.test_zipimport_support",), ("zipimporter", "bytes", "mounted")),
    "test_zipapp": (("test.test_zipapp",), ("zipapps",)),
    "test_pkgutil": (("test.test_pkgutil",), ("zipimporter", "bytes", "packed", "mounted")),
    "test_runpy": (("test.test_runpy",), ("zipimporter", "bytes", "packed", "packed-bytecode")),
    "test_importlib": (("test.test_importlib",), ("zipimporter", "bytes", "packed", "mounted", "in-memory")),
    "test_importlib's source and extension": (
        ("test.test_importlib.source", "test.test_importlib.extension"),
        ("loaders",),
    ),
    "test_threaded_import": (("test.test_importlib.test_threaded_import",), ("packed", "mounted")),
    "test_multiprocessing_main_handling": (
        ("test.test_multiprocessing_main_handling",),
        ("zipimporter", "packed", "mounted"),
    ),
    "test_inspect": (("test.test_inspect",), ("packed", "mounted")),
    "test_traceback": (("test.test_traceback",), ("mounted",)),
}
# Where the tests reach us in some versions only: those of test_pkgutil import from the test package since 3.13.
ONLY_IN = {("test_pkgutil", "mounted"): ("3.13",)}


def runs_in(suite, mode, version):
    return version in ONLY_IN.get((suite, mode), (version,))
