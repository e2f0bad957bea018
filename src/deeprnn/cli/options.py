"""The commands' options: how each is called, what it means, where `--help` lists it."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

MINUTES = 3.0
"""How long a training takes, when nothing is said."""


def _option(
    panel: str | None, help_text: str, name: str | None = None, default: str | None = None, **kwargs: Any
) -> Any:
    if default is not None:
        help_text += rf" [dim]\[default: {default}][/dim]"
    return typer.Option(*([name] if name else []), help=help_text, rich_help_panel=panel, **kwargs)


_TEXT, _NETWORK, _LENGTH, _METHOD, _MACHINE = "Text", "Network", "How long, and where to", "Method", "Machine"

MoreText: TypeAlias = Annotated[list[Path] | None, typer.Argument(metavar="[FILE_OR_DIR]...", hidden=True)]
Text: TypeAlias = Annotated[
    list[Path] | None,
    _option(
        _TEXT,
        "Text files, or directories of them, in UTF-8. Of several files one in ten is held out; of a single one its "
        "last tenth.",
        metavar="FILE_OR_DIR...",
    ),
]
Corpus: TypeAlias = Annotated[
    Literal["python"] | None, _option(_TEXT, "The source text of Python's own standard library; taken without --text.")
]
VocabularyKind: TypeAlias = Annotated[
    Literal["characters", "bytes"], _option(_TEXT, "What is read and predicted one at a time.")
]

Layers: TypeAlias = Annotated[
    str,
    _option(
        _NETWORK,
        "The layers, bottom first: cell:width, then its options, each after a colon, such as "
        '"gru:256 elman:128:relu" or "3x lstm:512:zoneout=0.1".',
    ),
]
Dropout: TypeAlias = Annotated[float, _option(_NETWORK, "Part of the units dropped between layers.", min=0, max=0.99)]
Variational: TypeAlias = Annotated[bool, _option(_NETWORK, "Drop the same units at all steps.", "--variational")]
Residual: TypeAlias = Annotated[bool, _option(_NETWORK, "Add to each layer's output what it read.", "--residual")]
InputToAll: TypeAlias = Annotated[bool, _option(_NETWORK, "Every layer reads the characters too.", "--input-to-all")]
OutputFromAll: TypeAlias = Annotated[bool, _option(_NETWORK, "The output reads all layers.", "--output-from-all")]

Minutes: TypeAlias = Annotated[
    float | None,
    _option(_LENGTH, "How long the whole command may take, evaluation included.", default=f"{MINUTES:g}"),
]
Steps: TypeAlias = Annotated[int | None, _option(_LENGTH, "Instead of --minutes: how many windows.", min=1)]
Out: TypeAlias = Annotated[
    Path | None,
    _option(_LENGTH, "The directory for all that comes out.", default="runs/ and the text's name", metavar="RUN"),
]
Resume: TypeAlias = Annotated[bool, _option(_LENGTH, "Go on with the run in --out, where it stopped.", "--resume")]
Overwrite: TypeAlias = Annotated[bool, _option(_LENGTH, "Replace the run in --out.", "--overwrite")]
CheckpointSeconds: TypeAlias = Annotated[
    float, _option(_LENGTH, "How often to save, so that --resume can go on.", min=0)
]

Batch: TypeAlias = Annotated[int, _option(_METHOD, "Places of the text that are read side by side.", min=1)]
Window: TypeAlias = Annotated[int, _option(_METHOD, "Steps that a gradient goes back through time.", min=1)]
LearningRate: TypeAlias = Annotated[float, _option(_METHOD, "AdamW's, at its highest.")]
WeightDecay: TypeAlias = Annotated[float, _option(_METHOD, "AdamW's.", min=0)]
WarmUp: TypeAlias = Annotated[int, _option(_METHOD, "Steps in which the learning rate rises.", min=0)]
Clip: TypeAlias = Annotated[float, _option(_METHOD, "The longest gradient; a longer one is shortened to it.")]
Seed: TypeAlias = Annotated[int, _option(_METHOD, "Decides first weights, order of texts, dropout.", min=0)]

Threads: TypeAlias = Annotated[int | None, _option(_MACHINE, "Threads to use.", default="all cores", min=1)]
Device: TypeAlias = Annotated[str, _option(_MACHINE, "cpu, cuda, cuda:1, mps, or auto: the fastest there is.")]
PrecisionName: TypeAlias = Annotated[
    Literal["32-true", "bf16-mixed", "bf16-true", "64-true"],
    _option(_MACHINE, "Of the arithmetic, as Lightning names it."),
]

RunArgument: TypeAlias = Annotated[Path, typer.Argument(metavar="RUN", help="A run's directory, such as runs/book.")]
OtherText: TypeAlias = Annotated[
    list[Path] | None,
    _option(None, "Read all of this text, instead of what the run held out.", metavar="FILE_OR_DIR..."),
]
AsJson: TypeAlias = Annotated[bool, _option(None, "Write the figures as JSON, alone on standard output.", "--json")]
Prompt: TypeAlias = Annotated[str, _option(None, "What the text begins with; the network goes on from it.")]
SampleLength: TypeAlias = Annotated[int, _option(None, "Characters to write (bytes, if those are modelled).", min=0)]
Temperature: TypeAlias = Annotated[
    float, _option(None, "Below 1: safer choices; above: wilder ones; 0: always the likeliest.", min=0)
]
SampleSeed: TypeAlias = Annotated[
    int | None, _option(None, "A number, for the same text again.", default="another text each time", min=0)
]
