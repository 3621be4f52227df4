"""Chromium without a window: what a page looks like once its scripts have run."""

import re
import shutil
import subprocess
from html import unescape

from support.environment import unsanitized

_OPTIONS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --window-size=1400,1600""".split()


def _chromium(profile, *arguments):
    program = shutil.which("chromium")
    assert program, "chromium is missing: tools/setup.sh installs it"
    command = [program, *_OPTIONS, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=300, env=unsanitized()).stdout.decode()


def document(profile, url):
    """The document as it is after loading, as HTML."""
    return _chromium(profile, "--dump-dom", url)


def screenshot(profile, url, target):
    _chromium(profile, f"--screenshot={target}", url)


def rows(page, table):
    """The texts of the cells of each row that is shown, in the table with that id."""
    body = re.search(rf'<table id="{table}">.*?<tbody>(.*?)</tbody>', page, re.S)[1]
    shown = [row for attributes, row in re.findall(r"<tr([^>]*)>(.*?)</tr>", body, re.S) if "hidden" not in attributes]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)] for row in shown]


def bars(page):
    """(class, text of the tooltip) of each bar in the timeline."""
    return [(kind, unescape(title)) for kind, title in re.findall(r'<g class="(bar[^"]*)".*?<title>(.*?)</title>', page, re.S)]
