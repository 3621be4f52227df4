"""Runs package checks in this process; what a check sees is decided here and nowhere else.

Started as `python -I -S bootstrap.py SPEC`, so that sys.path holds the standard library alone. SPEC is JSON:
    layout    "wheels" or "merged" (mounted archives), or "files" (an installed tree: the control)
    site      a directory that holds intact and nothing else
    sources   the archives, or the one directory
    checks    [[name, code], ...], run one after another
The last line of output is `report` and JSON: what the mounts' modules were and what the engine counted.
"""

import json
import os
import sys
import traceback


def report(roots, tops):
    """Where the modules came from: counts, and any of ours that came from somewhere else."""
    below, natives, strangers = 0, 0, []
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if not isinstance(origin, str):
            continue
        if any(origin.startswith(root + "/") for root in roots):
            below += 1
            natives += origin.endswith(".so")
        elif name.partition(".")[0] in tops:
            strangers.append([name, origin])
    return {"modules": below, "natives": natives, "strangers": strangers}


def top_level_names(members):
    """The importable names at the top of an archive, from its member names."""
    names = {member.partition("/")[0].partition(".")[0] for member in members if member.endswith((".py", ".so"))}
    return names - {"", "__pycache__"} - set(sys.stdlib_module_names)


def report_app():
    """The same from inside an app: all else has to be the standard library, or made by the check in its own directory.

    Modules whose file is none, because they are embedded in native code, come from nowhere.
    """
    import intact

    (app,) = intact.mounts()
    library = [path for path in sys.path if path == sys._stdlib_dir or path.endswith("/lib-dynload")]
    ours = tuple(f"{path}/" for path in (app.root, *library, *filter(None, [os.environ.get("TMPDIR")])))
    result = report([app.root], ()) | {"failed": [], "stats": intact.stats()}
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if isinstance(origin, str) and os.path.exists(origin):
            if not f"{origin}/".startswith(ours) or "/site-packages/" in origin:
                result["strangers"].append([name, origin])
    print("report", json.dumps(result), flush=True)


def main():
    spec = json.loads(sys.argv[1])
    del sys.argv[1:]
    roots, tops = [], set()
    if spec["layout"] == "files":
        sys.path += spec["sources"]
        roots = spec["sources"]
    else:
        sys.path.insert(0, spec["site"])
        import intact

        for source in spec["sources"]:
            mount = intact.mount(source)
            roots.append(mount.root)
            tops |= top_level_names(list(mount))
        sys.path.remove(spec["site"])

    failed = []
    for name, code in spec["checks"]:
        try:
            exec(compile(code, f"<{name}>", "exec"), {"__name__": "__main__"})
        except (Exception, SystemExit):
            traceback.print_exc()
            failed.append(name)
    result = report(roots, tops) | {"failed": failed}
    if spec["layout"] != "files":
        result["stats"] = intact.stats()
    print("report", json.dumps(result), flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
