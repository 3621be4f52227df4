"""The command: reads the stock, renders it with a template and as a table, and prints both with a checksum."""

import hashlib
import io
import sys

import click
import jinja2
import requests.certs
from rich.console import Console
from rich.table import Table

from bench_pure.shelf import stock


@click.command()
@click.option("--width", default=60, show_default=True)
def main(width):
    """Print what is on the shelf."""
    items = stock()
    environment = jinja2.Environment(loader=jinja2.PackageLoader("bench_pure"), autoescape=True)
    report = environment.get_template("report.txt").render(items=items)
    assert report.endswith("total 617.5"), report

    table = Table("name", "count", "worth")
    for item in items:
        table.add_row(item.name, str(item.count), f"{item.worth:.2f}")
    drawn = io.StringIO()
    Console(file=drawn, width=width).print(table)
    with open(requests.certs.where(), encoding="ascii") as bundle:
        authorities = bundle.read().count("BEGIN CERTIFICATE")
    assert authorities > 100, authorities

    digest = hashlib.sha256((report + drawn.getvalue()).encode()).hexdigest()
    click.echo(f"{len(items)} items, {authorities} authorities, {digest}")
    sys.stdin.read()  # at once where there is no input; a bench that looks at the whole program keeps it here
