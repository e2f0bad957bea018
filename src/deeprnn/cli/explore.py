"""`deeprnn explore`: what each layer of a run knows, as a page."""

import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from deeprnn.cli import options
from deeprnn.cli.failures import errors_as_messages, print_error

Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        help=r"The file to write. [dim]\[default: explorer.html in RUN][/dim]",
        show_default=False,
        parser=options.path,
    ),
]
Open: TypeAlias = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def explore(run: options.RunArgument, out: Out = None, show: Open = False, threads: options.Threads = None) -> None:
    """Write a page that shows what each layer of an analyzed network knows.

    One HTML file that needs no network and no server: the figures of deeprnn analyze, and the network itself, which
    runs in the page on held-out text and on what a person types.
    """
    with errors_as_messages():
        missing = [name for name in ("polars", "plotly") if find_spec(name) is None]
        if missing:
            print_error(f"deeprnn explore needs {' and '.join(missing)}:  pip install 'deeprnn[analysis]'")
            raise typer.Exit(1)
        from deeprnn.cli.analyze import AnalysisDisplay
        from deeprnn.cli.terminal import stderr, write
        from deeprnn.explorer import explore as write_page
        from deeprnn.training import set_threads

        set_threads(threads)
        with AnalysisDisplay(stderr()) as display:
            page = write_page(run, out, progress=display)
        write(f"{page}\n")
        if show:
            webbrowser.open(page.resolve().as_uri())
