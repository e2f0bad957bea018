"""`deeprnn sample`: text that a run generates."""

from deeprnn.cli import options
from deeprnn.cli.failures import errors_as_messages, print_note


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
    with errors_as_messages():
        import sys

        from deeprnn.cli.terminal import visible, write
        from deeprnn.tasks.text import TextRun, sample_pieces
        from deeprnn.training import choose_device, set_threads

        opened = TextRun(run)
        opened.read_plan()
        set_threads(threads)
        net, vocabulary = opened.load(choose_device(device))
        unknown = [] if vocabulary.unknown is None else list(vocabulary.encode(prompt) == vocabulary.unknown)
        if any(unknown):
            lacking = "".join(sorted({c for c, lacks in zip(prompt, unknown, strict=True) if lacks}))
            print_note(f"the network has never seen {lacking!r}; it reads an unknown character there.")
        shown = visible if sys.stdout is not None and sys.stdout.isatty() else str
        write(shown(prompt))
        try:
            for piece in sample_pieces(net, vocabulary, prompt, length=length, temperature=temperature, seed=seed):
                write(shown(piece))
        finally:
            write("\n")
