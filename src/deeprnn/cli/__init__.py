"""The commands: train, evaluate, sample, draw, analyze, explore. One file a command: parse, call, print."""

from deeprnn.cli.app import app as app
from deeprnn.cli.app import main as main
