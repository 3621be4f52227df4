"""A package index on this machine (simple repository API, PEP 503), and projects that build without one."""

import contextlib
import functools
import hashlib
import http.server
import threading
from pathlib import Path

from support import making

BACK_END = """
import base64, hashlib, os, sys, zipfile
NAME, TAG, REQUIRES = {name!r}, {tag!r}, {requires!r}

def build_wheel(directory, config_settings=None, metadata_directory=None):
    {statement}
    info = f"{{NAME}}-1.0.dist-info"
    files = {{
        f"{{NAME}}.py": "epoch = " + os.environ.get("SOURCE_DATE_EPOCH", "None") + "\\n",
        f"{{info}}/METADATA": f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: 1.0\\n{{REQUIRES}}",
        f"{{info}}/WHEEL": f"Wheel-Version: 1.0\\nGenerator: hand\\nRoot-Is-Purelib: true\\nTag: {{TAG}}\\n",
    }}
    digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    rows = [f"{{path}},sha256={{digest(text)}},{{len(text)}}\\n" for path, text in files.items()]
    files[f"{{info}}/RECORD"] = "".join(rows) + f"{{info}}/RECORD,,\\n"
    name = f"{{NAME}}-1.0-{{TAG}}.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return name
"""


def project(directory, name, *, tag="py3-none-any", requires="", statement="pass"):
    """A project whose own back end builds it; `requires` is lines of METADATA, `statement` runs in the build."""
    directory.mkdir(parents=True)
    text = (
        f'[build-system]\nrequires = []\nbuild-backend = "back_end"\nbackend-path = ["."]\n[project]\nname = "{name}"\n'
    )
    (directory / "pyproject.toml").write_text(text + 'dynamic = ["version", "dependencies", "optional-dependencies"]\n')
    (directory / "back_end.py").write_text(BACK_END.format(name=name, tag=tag, requires=requires, statement=statement))
    return directory


class Index:
    """Serves what is added to it at `url`."""

    def __init__(self, directory, port):
        self.directory, self.root = directory, f"http://127.0.0.1:{port}"
        self.url = self.root + "/simple/"

    def add(self, name, files=None, **options):
        """Makes a wheel and offers it."""
        made = making.wheel(self.page(name).parent, name, files or {f"{name}.py": ""}, **options)
        return self.offer(name, made, options.get("metadata", ""))

    def page(self, name):
        page = self.directory / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        return page

    def offer(self, name, file, metadata=""):
        limit = next(
            (line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Python")), ""
        )
        limit = f' data-requires-python="{limit.replace(">", "&gt;").replace("<", "&lt;")}"' if limit else ""
        with self.page(name).open("a") as page:
            page.write(f'<a href="{file.name}#sha256={sha256(file)}"{limit}>{file.name}</a>\n')
        return file


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@contextlib.contextmanager
def serving(directory):
    """An empty index."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=directory)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Index(directory, server.server_port)
        finally:
            server.shutdown()
            thread.join()
