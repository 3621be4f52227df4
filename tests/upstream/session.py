"""One run of a package's own test suite, in this process: from archives, or from an installed tree.

Started as `python -I -S session.py SPEC`, SPEC being JSON with "site" (intact alone, or null for the installed tree),
"sources" (archives to mount, or directories for sys.path), "tests" (directories, as PACKAGE/SUB), "junit" (the file that the
outcomes go to) and "arguments" for pytest. pytest itself comes from the same place as the package.
"""

import json
import os
import sys


def main():
    spec = json.loads(sys.argv[1])
    sys.dont_write_bytecode = True
    if spec["site"]:
        sys.path.insert(0, spec["site"])
        import intact

        roots = [intact.mount(source).root for source in spec["sources"]]
        sys.path.remove(spec["site"])
    else:
        roots = spec["sources"]
        sys.path += roots

    import pytest

    # pytest walks down from its root directory by listing; the directory that an archive lies in lists it as the file it is.
    root = next(root for root in roots if os.path.isdir(os.path.join(root, spec["tests"][0])))
    paths = [os.path.join(root, test) for test in spec["tests"]]
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", root, "--confcutdir", root, "-o", "junit_family=xunit1"]
    return pytest.main([*options, "--junitxml", spec["junit"], *spec["arguments"], *paths])


if __name__ == "__main__":
    sys.exit(int(main()))
