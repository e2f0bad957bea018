"""`deeprnn draw`: a network as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from deeprnn.cli import options
from deeprnn.cli.failures import errors_as_messages


def draw(
    context: typer.Context,
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            help="A run's directory, or one written by DeepRNN.save.",
            show_default=False,
            parser=options.path,
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Instead of RUN: the layers, bottom first, as `deeprnn train --layers` reads them, "
            'such as "2x gru:256 elman:128:relu".',
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg",
            help=r"The file to write. [dim]\[default: net.svg, in RUN if there is one][/dim]",
            show_default=False,
            parser=options.path,
        ),
    ] = None,
    input_size: Annotated[
        int, typer.Option(help="With --layers: number of input features.", min=1, metavar="NUMBER")
    ] = 100,
    output_size: Annotated[
        int,
        typer.Option(help="With --layers: number of output features; 0 for no output layer.", min=0, metavar="NUMBER"),
    ] = 100,
    dropout: options.Dropout = 0.0,
    variational_dropout: options.VariationalDropout = False,
    residual: options.Residual = False,
    input_to_all: options.InputToAll = False,
    output_from_all: options.OutputFromAll = False,
) -> None:
    """Draw a network unrolled, time to the right and layers upward, as SVG.

    Draws the network of RUN, or the one that --layers and the network options describe.
    """
    if (run is None) == (layers is None):
        raise typer.BadParameter('give either RUN, such as runs/book, or --layers, such as "2x gru:256".')
    net_options = {name: context.params[name] for name in options.NET_OPTIONS}
    if run is not None and any(net_options.values()):
        raise typer.BadParameter("RUN has its own network: --dropout, --residual and so on go with --layers.")
    with errors_as_messages():
        from deeprnn import DeepRNN
        from deeprnn.cli.size import check_drawn, weights
        from deeprnn.cli.terminal import write
        from deeprnn.diagram import draw as draw_net
        from deeprnn.notation import parse_layers

        if layers is None:
            assert run is not None
            net, out = DeepRNN.load(run), out or run / "net.svg"
        else:
            cells = parse_layers(layers)
            check_drawn(
                weights(cells, input_size, output_size, input_to_all=input_to_all, output_from_all=output_from_all)
            )
            net = DeepRNN(
                input_size,
                cells,
                output_size or None,
                **net_options,
                device="meta",
            )
            out = out or Path("net.svg")
        draw_net(net, out)
        write(f"{out}\n")
