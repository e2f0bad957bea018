"""The options that several commands share, and those of `deeprnn train`: name, meaning, panel of `--help`."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

MINUTES = 3.0
"""The default of --minutes."""
MOST_MINUTES = 1_000_000
"""Two years; more is a mistake."""
_MOST_STEPS = 999_999_999
"""What a checkpoint's name has digits for."""
_MOST_THREADS = 1024
_LAST_SEED = 2**63 - 1


def _option(
    panel: str | None, help_text: str, name: str | None = None, default: str | None = None, **kwargs: Any
) -> Any:
    if "min" in kwargs:
        kwargs["metavar"] = "NUMBER"  # a range leaves no room for the help in 80 columns
    if default is not None:
        help_text += rf" [dim]\[default: {default}][/dim]"
    return typer.Option(*([name] if name else []), help=help_text, rich_help_panel=panel, **kwargs)


def path(text: str) -> Path:
    """A path as it is given; an empty one is a variable that was not set, not the current directory."""
    if not text:
        raise typer.BadParameter("the path is empty; for the current directory write a dot.")
    if "\0" in text:
        raise typer.BadParameter("a path can't contain a zero byte.")
    return Path(text)


_TEXT, _NETWORK, _LENGTH, _METHOD, _MACHINE = "Text", "Network", "Duration and output", "Training", "Machine"

MoreText: TypeAlias = Annotated[list[Path] | None, typer.Argument(metavar="FILE_OR_DIR", hidden=True, parser=path)]
Text: TypeAlias = Annotated[
    list[Path] | None,
    _option(
        _TEXT,
        "Text files, or directories of them, in UTF-8. One file in ten is held out for evaluation, or the last tenth "
        "of a single file.",
        metavar="FILE_OR_DIR...",
        parser=path,
    ),
]
Corpus: TypeAlias = Annotated[
    Literal["python"] | None,
    _option(_TEXT, "The source code of Python's standard library; the default without --text."),
]
VocabularyKind: TypeAlias = Annotated[
    Literal["characters", "bytes"], _option(_TEXT, "The symbols that are read and predicted.")
]

Layers: TypeAlias = Annotated[
    str,
    _option(
        _NETWORK,
        "The layers, bottom first: cell:width, then its options, each after a colon, such as "
        '"gru:256 elman:128:relu" or "3x lstm:512:zoneout=0.1".',
    ),
]
Dropout: TypeAlias = Annotated[float, _option(_NETWORK, "Dropout probability between layers.", min=0, max=0.99)]
VariationalDropout: TypeAlias = Annotated[
    bool, _option(_NETWORK, "Use one dropout mask for all steps.", "--variational-dropout")
]
Residual: TypeAlias = Annotated[bool, _option(_NETWORK, "Add each layer's input to its output.", "--residual")]
InputToAll: TypeAlias = Annotated[bool, _option(_NETWORK, "Feed the input to every layer.", "--input-to-all")]
OutputFromAll: TypeAlias = Annotated[bool, _option(_NETWORK, "Connect every layer to the output.", "--output-from-all")]

NET_OPTIONS = ("dropout", "variational_dropout", "residual", "input_to_all", "output_from_all")
"""Those that are arguments of DeepRNN by the same name."""

Minutes: TypeAlias = Annotated[
    float | None,
    _option(_LENGTH, "Duration of the whole command, evaluation included.", default=f"{MINUTES:g}"),
]
Steps: TypeAlias = Annotated[
    int | None, _option(_LENGTH, "Number of training steps, instead of --minutes.", min=1, max=_MOST_STEPS)
]
Out: TypeAlias = Annotated[
    Path | None,
    _option(_LENGTH, "The run's directory.", default="runs/NAME, after the text", metavar="RUN", parser=path),
]
Resume: TypeAlias = Annotated[bool, _option(_LENGTH, "Continue the run in --out.", "--resume")]
Overwrite: TypeAlias = Annotated[bool, _option(_LENGTH, "Replace the run in --out.", "--overwrite")]
CheckpointSeconds: TypeAlias = Annotated[
    float, _option(_LENGTH, "Seconds between two checkpoints, from which --resume continues.", min=0)
]

Batch: TypeAlias = Annotated[int, _option(_METHOD, "Sequences per batch.", min=1)]
Bptt: TypeAlias = Annotated[int, _option(_METHOD, "Steps of truncated backpropagation through time.", min=1)]
LearningRate: TypeAlias = Annotated[float, _option(_METHOD, "Peak learning rate of AdamW.")]
WeightDecay: TypeAlias = Annotated[float, _option(_METHOD, "Weight decay of AdamW.", min=0)]
WarmUp: TypeAlias = Annotated[int, _option(_METHOD, "Steps over which the learning rate rises to its peak.", min=0)]
MaxGradNorm: TypeAlias = Annotated[float, _option(_METHOD, "Clip the gradient norm to this value.")]
Seed: TypeAlias = Annotated[
    int,
    _option(_METHOD, "Seed of the initial weights, the order of texts, and dropout.", min=0, max=_LAST_SEED),
]

Threads: TypeAlias = Annotated[
    int | None, _option(_MACHINE, "Number of threads.", default="all cores", min=1, max=_MOST_THREADS)
]
Device: TypeAlias = Annotated[str, _option(_MACHINE, "cpu, cuda, cuda:1, mps, or auto: the fastest available.")]
PrecisionName: TypeAlias = Annotated[
    Literal["32-true", "bf16-mixed", "bf16-true", "64-true"],
    _option(_MACHINE, "Numeric precision, in Lightning's notation."),
]

RunArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's directory, such as runs/book.", parser=path)
]
OtherText: TypeAlias = Annotated[
    list[Path] | None,
    _option(None, "Evaluate on this text instead of the run's held-out text.", metavar="FILE_OR_DIR...", parser=path),
]
AsJson: TypeAlias = Annotated[bool, _option(None, "Print the figures as JSON, and nothing else.", "--json")]
Prompt: TypeAlias = Annotated[str, _option(None, "Text that the network continues.")]
SampleLength: TypeAlias = Annotated[
    int, _option(None, "Number of characters to generate (bytes, with a vocabulary of bytes).", min=0)
]
Temperature: TypeAlias = Annotated[
    float,
    _option(None, "Softmax temperature: below 1 favours likely characters, 0 always picks the likeliest.", min=0),
]
SampleSeed: TypeAlias = Annotated[
    int | None,
    _option(None, "Seed of the random generator.", default="random", min=0, max=_LAST_SEED),
]
