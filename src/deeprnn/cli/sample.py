"""`deeprnn sample`: text that a run generates."""

from deeprnn.cli import options
from deeprnn.cli.failures import note, told_plainly


def sample(
    run: options.RunArgument,
    prompt: options.Prompt = "",
    length: options.SampleLength = 500,
    temperature: options.Temperature = 0.8,
    seed: options.SampleSeed = None,
    threads: options.Threads = None,
    device: options.Device = "auto",
) -> None:
    """Generate text with a trained network, a character at a time."""
    with told_plainly():
        import sys

        from deeprnn import training
        from deeprnn.cli.terminal import visible, write
        from deeprnn.training.device import choose_device, set_threads

        opened = training.Run(run)
        opened.read_plan()
        set_threads(threads)
        net, vocabulary = opened.load(choose_device(device))
        unknown = [] if vocabulary.unknown is None else list(vocabulary.encode(prompt) == vocabulary.unknown)
        if any(unknown):
            lacking = "".join(sorted({c for c, lacks in zip(prompt, unknown, strict=True) if lacks}))
            note(f"the network has never seen {lacking!r}; it reads an unknown character there.")
        shown = visible if sys.stdout is not None and sys.stdout.isatty() else str
        write(shown(prompt))
        try:
            for piece in training.sample_pieces(
                net, vocabulary, prompt, length=length, temperature=temperature, seed=seed
            ):
                write(shown(piece))
        finally:
            write("\n")
