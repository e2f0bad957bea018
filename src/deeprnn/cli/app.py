"""The commands joined to one program."""

import signal
import sys
from typing import Annotated

import typer

import deeprnn
from deeprnn.cli.analyze import analyze
from deeprnn.cli.draw import draw
from deeprnn.cli.evaluate import evaluate
from deeprnn.cli.explore import explore
from deeprnn.cli.failures import errors_as_messages
from deeprnn.cli.sample import sample
from deeprnn.cli.train import train

app = typer.Typer(
    name="deeprnn",
    help="Deep recurrent neural networks on text: train, evaluate, sample, draw, and analyze what each layer learned.",
    epilog="A first run: deeprnn train --corpus python --minutes 3 --out runs/first",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for command in (train, evaluate, sample, draw, analyze, explore):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deeprnn {deeprnn.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Deep recurrent neural networks on text: train, evaluate, sample, draw, and analyze what each layer learned."""


def main() -> None:
    """The program `deeprnn`."""

    from deeprnn.cli.terminal import forget_useless_width, lenient, open_missing_streams

    open_missing_streams()
    forget_useless_width()
    for stream in (sys.stdout, sys.stderr):
        lenient(stream)
    try:
        with errors_as_messages():
            app()
    except typer.Exit as end:
        raise SystemExit(end.exit_code) from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done; Ctrl-C pressed twice must not disturb the end
