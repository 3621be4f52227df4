"""Tracing and examining an app, and what an app itself has of them."""

import json

from support import making, program


def test_an_app_is_traced_with_its_arguments_and_exit_code(app, tmp_path):
    target = tmp_path / "trace.json"
    done = making.intact("trace", app, "-o", target, "--", "a", "b c")
    assert (done.returncode, done.stdout) == (0, program.SAYS), done.stderr
    events = {each["name"]: each for each in json.loads(target.read_text())["traceEvents"]}
    assert events["prog.cli"]["args"]["from"] == "app.pyz" and events["helper"]["args"]["imported by"] == "prog.cli:4"
    assert "importlib.resources" in events


def test_an_app_that_fails_is_traced(wheels, tmp_path):
    program.pack(tmp_path / "fails.pyz", "--entry", "prog.cli:fails", *wheels)
    done = making.intact("trace", tmp_path / "fails.pyz", "-o", tmp_path / "trace.html")
    assert done.returncode == 1 and "ValueError: on purpose" in done.stderr
    assert "prog.cli" in (tmp_path / "trace.html").read_text()


def test_a_program_in_an_app_can_trace_itself(app, tmp_path):
    code = f"import intact\nwith intact.trace() as t:\n    import helper\nt.write({str(tmp_path / 'trace.html')!r})"
    done = program.run(app, "-c", code, env=program.INTERPRETER)
    assert done.returncode == 0, done.stderr
    assert "helper" in (tmp_path / "trace.html").read_text()


def test_the_doctor_finds_nothing_wrong_with_an_app_that_runs(app):
    done = making.intact("doctor", "--json", app)
    findings = {each["check"]: each["status"] for each in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0 and findings["target"] == "ok", done.stdout
