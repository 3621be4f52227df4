"""examples/flask_app: a Flask application, packed into one file, serves where nothing is installed."""

import os
import signal
import urllib.parse
import urllib.request

import pytest
from support import program, serving

WHEELS = (
    "Flask==3.1.3",
    "MarkupSafe==3.0.4",
    "Jinja2==3.1.6",
    "Werkzeug==3.1.9",
    "blinker==1.9.0",
    "click==8.5.1",
    "itsdangerous==2.2.0",
    "waitress==3.0.2",
    "flit_core==4.2.0",
)


@pytest.fixture(scope="module")
def app(examples, environment, wheels, tmp_path_factory):
    """The example, packed as its README does; where pip and uv find wheels is a directory, not an index."""
    target = tmp_path_factory.mktemp("app") / "guestbook.pyz"
    found = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels(*WHEELS)[0].parent), "PIP_CONFIG_FILE": os.devnull}
    program.pack(target, "--console-script", "guestbook", examples / "flask_app", env=environment | found)
    return target


def read(url, **fields):
    """Type and text of a page; `fields` are those of a form that is sent."""
    data = urllib.parse.urlencode(fields).encode() if fields else None
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, data, timeout=60) as page:
        return page.headers.get_content_type(), page.read().decode()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_templates_and_static_files_and_ends_cleanly(app, examples, environment, ending, tmp_path):
    """The interpreter has no packages; the application's own files are nowhere but in the app."""
    command = [program.PYTHON, "-I", "-S", app, "--port", "0"]
    with serving.serving(command, ending=ending, cwd=tmp_path, env=environment) as url:
        kind, page = read(url)
        assert kind == "text/html" and "<title>Guest book</title>" in page and "Nobody has been here." in page
        assert "<li>Anna &amp; Ben</li>" in read(url, entry="Anna & Ben")[1]
        assert 'href="/static/style.css"' in page
        style = examples / "flask_app" / "guestbook" / "static" / "style.css"
        assert read(f"{url}/static/style.css") == ("text/css", style.read_text())
    assert list(tmp_path.iterdir()) == []
