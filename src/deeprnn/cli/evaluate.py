"""`deeprnn evaluate`: how well a run predicts held-out text."""

import json

from deeprnn.cli import options
from deeprnn.cli.failures import errors_as_messages


def evaluate(
    run: options.RunArgument,
    text: options.OtherText = None,
    as_json: options.AsJson = False,
    threads: options.Threads = None,
    device: options.Device = "auto",
) -> None:
    """Evaluate a trained network: the bits per character of held-out text.

    Each file starts from the network's initial state, and every character counts, including the first.
    """
    with errors_as_messages():
        from deeprnn.cli.figures import evaluate_shown, evaluation_rows
        from deeprnn.cli.terminal import print_rows, stderr, stdout, write
        from deeprnn.tasks.text import TextRun, read_documents
        from deeprnn.training import choose_device, set_threads

        opened = TextRun(run)
        opened.read_plan()
        set_threads(threads)
        net, vocabulary = opened.load(choose_device(device))
        documents = read_documents(text)[0] if text else opened.read_corpus().held_out
        evaluation = evaluate_shown(net, documents, vocabulary, stderr())
        if as_json:
            write(json.dumps(evaluation.to_json()) + "\n")
        else:
            console = stdout()
            print_rows(console, "held-out text" if text is None else "", evaluation_rows(evaluation))
            console.check()
