"""Tiny Shakespeare: train for so many seconds, then read what was never trained on.

    python examples/shakespeare.py --text tinyshakespeare.txt --seconds 180 --out runs/shakespeare
    python examples/shakespeare.py --text tinyshakespeare.txt --seconds 180 --out runs/chosen --choose

The text is Karpathy's tiny Shakespeare (1,115,394 characters): the first 90 % train, the last 10 % is held out. The
seconds are those of training, measuring its speed included; nothing is evaluated meanwhile. Then the network reads
the held-out text once, from its initial state to its end with the state carried along, and the mean of
-ln p(next character) over all its characters is the figure, in nats a character. (A transformer's usual figure for
this text is a mean over windows, each read without what came before it; each model is read its own way.)

With --choose the last 10 % stays unread: the first 90 % of the training part train and the rest of it measures. That
is how settings are compared. The run's directory is one that `deeprnn sample` and `deeprnn evaluate` read.
"""

import argparse
import math
import sys
from pathlib import Path

import torch

from deeprnn import DeepRNN
from deeprnn.cli.figures import evaluate_shown
from deeprnn.cli.progress import TrainingDisplay
from deeprnn.cli.terminal import stderr
from deeprnn.kernels import keep_memory
from deeprnn.notation import parse_layers
from deeprnn.tasks.text import Characters, Corpus, train
from deeprnn.training import RunError, Settings, Stopped

REFERENCES = [
    (1.886, "nanoGPT's CPU setting, 4 layers x 128, 86 s on 2 cores (mean over windows of 64)"),
    (1.515, "plain torch GRU, 2 x 256, 86 s on 2 cores"),
    (1.4697, "nanoGPT, 10.7M parameters, 3 minutes on an A100 (its README; windows of 256)"),
]


def read_corpus(path: Path, *, choose: bool) -> Corpus:
    """The text's first 90 % for training and its last 10 % held out; with `choose`, that split of the first 90 %."""
    corpus = Corpus.from_files([path])
    if not choose:
        return corpus
    text = corpus.training[0].content.decode()
    cut = round(len(text) * 0.9)
    return Corpus.from_texts([text[:cut]], held_out=[text[cut:]])


def main(options: argparse.Namespace) -> None:
    """Trains, evaluates once, and says where the run lies."""
    torch.set_num_threads(options.threads)
    keep_memory()
    corpus = read_corpus(options.text, choose=options.choose)
    vocabulary = Characters.of(corpus.training)
    torch.manual_seed(options.seed)
    cells = parse_layers(options.layers)
    net = DeepRNN(len(vocabulary), cells, len(vocabulary), dropout=options.dropout, one_hot=True)
    settings = Settings(
        batch=options.batch,
        bptt=options.bptt,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        seed=options.seed,
        device="cpu",
        checkpoint_seconds=options.seconds,
    )
    with TrainingDisplay(stderr()) as display:
        trained = train(
            net,
            corpus,
            vocabulary,
            options.out,
            settings,
            seconds=options.seconds,
            overwrite=options.overwrite,
            progress=display,
        )
    held_out = evaluate_shown(trained.net, corpus.held_out, vocabulary, stderr())
    trained.run.write_evaluation(held_out)
    print(f"{options.layers}: {trained.steps:,} steps, {trained.characters:,} characters, {trained.seconds:.1f} s")
    part = "the last tenth of the training part" if options.choose else "the last 10 %"
    print(f"{held_out.nats_per_character:.4f} nats a character on {part} ({held_out.characters:,} characters)")
    if not options.choose:
        print("beside it:")
        for figure, what in REFERENCES:
            print(f"  {figure:<6}  {what}")
    print(f"next:  deeprnn sample {trained.run.path} --prompt ROMEO:")


def parse_arguments() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--text", type=Path, required=True, help="tiny Shakespeare as a text file")
    parser.add_argument("--seconds", type=float, required=True, help="seconds of training")
    parser.add_argument("--out", type=Path, required=True, help="the run's directory, new or empty")
    parser.add_argument("--overwrite", action="store_true", help="replace a run that lies in --out")
    parser.add_argument("--choose", action="store_true", help="measure on a tenth of the training part instead")
    parser.add_argument("--layers", default="2x gru:256", help="the layers, bottom first, as for deeprnn train")
    parser.add_argument("--dropout", type=float, default=0.0, help="dropout between layers")
    parser.add_argument("--batch", type=int, default=16, help="streams of text read side by side")
    parser.add_argument("--bptt", type=int, default=64, help="steps of backpropagation through time")
    parser.add_argument("--learning-rate", type=float, default=8e-3, help="peak learning rate of AdamW")
    parser.add_argument("--weight-decay", type=float, default=0.1, help="weight decay of AdamW")
    parser.add_argument("--seed", type=int, default=0, help="decides the first weights and dropout")
    parser.add_argument("--threads", type=int, default=2, help="number of threads")
    options = parser.parse_args()
    if not options.text.is_file():
        parser.error(
            f"--text {options.text}: there is no such file; it is data/tinyshakespeare/input.txt of the repository\n"
            f"  karpathy/char-rnn."
        )
    if not 0 < options.seconds < math.inf:
        parser.error(f"--seconds {options.seconds:g}: more than 0.")
    if options.threads < 1:
        parser.error(f"--threads {options.threads}: at least 1.")
    return options


if __name__ == "__main__":
    given = parse_arguments()
    try:
        main(given)
    except Stopped as stopped:
        # The parts that --choose makes are in no file that a run could be resumed from.
        print(f"\n{stopped}" + ("" if given.choose else f"\nGo on with:  deeprnn train --out {given.out} --resume"))
        sys.exit(130)
    except (ValueError, OSError, RunError) as error:
        sys.exit(f"error: {error}")
