"""Which of CPython's suites run against us, and what stands in CPython's place.

zipimporter   zipimport.zipimporter, on sys.path_hooks and by name, is intact.zipimporter
bytes         the same, with archives in memory
mounted       the suite is imported from a mounted archive of the interpreter's test package: its modules, packages,
              data and sources come out of the engine, and so do those of the Pythons that it starts
in-memory     the same, mounted from bytes
packed        directories that tests write and put on sys.path are packed into archives as they are asked for modules
loaders       FileFinder and the file loaders of importlib.machinery, which tests make themselves, are ours (packed.py)
"""

SUITES = {
    "test_zipimport": (("test.test_zipimport",), ("zipimporter", "bytes")),
    "test_zipimport_support": (("test.test_zipimport_support",), ("zipimporter", "bytes", "mounted")),
    "test_zipapp": (("test.test_zipapp",), ("mounted",)),
    "test_pkgutil": (("test.test_pkgutil",), ("zipimporter", "bytes", "packed", "mounted")),
    "test_runpy": (("test.test_runpy",), ("zipimporter", "bytes", "packed", "mounted")),
    "test_importlib": (("test.test_importlib",), ("zipimporter", "bytes", "packed", "mounted", "in-memory")),
    "test_importlib's source and extension": (
        ("test.test_importlib.source", "test.test_importlib.extension"),
        ("loaders",),
    ),
    "test_threaded_import": (("test.test_importlib.test_threaded_import",), ("mounted",)),
    "test_multiprocessing_main_handling": (
        ("test.test_multiprocessing_main_handling",),
        ("zipimporter", "packed", "mounted"),
    ),
    "test_inspect": (("test.test_inspect",), ("mounted",)),
    "test_traceback": (("test.test_traceback",), ("mounted",)),
}
