"""Layers written as text."""

import pytest

from deeprnn import GRU, LSTM, RGLRU, SLSTM, Elman, IndRNN, LiGRU, MinGRU, MinLSTM
from deeprnn.notation import EXAMPLE, parse_layers


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("gru:256 elman:128:relu", [GRU(256), Elman(128, "relu")]),
        ("3x gru:256", [GRU(256)] * 3),
        ("2xlstm:8, elman:4", [LSTM(8), LSTM(8), Elman(4)]),
        ("GRU:7 2* Elman:3:sin", [GRU(7), Elman(3, "sin"), Elman(3, "sin")]),
        ("gru:5:layer_norm:zoneout=0.1", [GRU(5, layer_norm=True, zoneout=0.1)]),
        ("gru:5:reset_after=false", [GRU(5, reset_after=False)]),
        ("lstm:5:peephole:proj_size=3", [LSTM(5, peephole=True, proj_size=3)]),
        (
            "lstm:5:gate_activation=hardsigmoid:direction=both",
            [LSTM(5, gate_activation="hardsigmoid", direction="both")],
        ),
        ("mingru:7 minlstm:7:positive", [MinGRU(7), MinLSTM(7, positive=True)]),
        ("rglru:7 indrnn:7:tanh:longest=784 ligru:7", [RGLRU(7), IndRNN(7, "tanh", longest=784), LiGRU(7)]),
        ("slstm:8:heads=4:forget_gate=exp", [SLSTM(8, heads=4, forget_gate="exp")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_names_its_cells(text, cells) -> None:
    assert parse_layers(text) == cells


@pytest.mark.parametrize(
    ("text", "word", "reason"),
    [
        ("gru:256 lsmt:3", "lsmt:3", "did you mean 'lstm'?\n"),
        ("gru", "gru", "a width follows the cell, as in gru:256"),
        ("gru:0", "gru:0", "a width follows"),
        ("gru:-3", "gru:-3", "a width follows"),
        ("elman:8:rleu", "elman:8:rleu", "did you mean 'relu'"),
        ("elman:8:zoneuot=0.1", "elman:8:zoneuot=0.1", "did you mean 'zoneout'"),
        ("elman:8:zoneout", "elman:8:zoneout", "zoneout=0.1"),
        ("elman:8:zoneout=much", "elman:8:zoneout=much", "zoneout is a number"),
        ("elman:8:zoneout=1.5", "elman:8:zoneout=1.5", "must be in [0, 1), got 1.5"),
        ("slstm:8:heads=many", "slstm:8:heads=many", "heads is a whole number, not 'many'"),
        ("slstm:8:heads=3", "slstm:8:heads=3", "does not divide"),
        ("slstm:8:heads", "slstm:8:heads", "needs a value, as in heads=1"),
        ("mingru:8:relu", "mingru:8:relu", "no phi"),
        ("mingru:8:recurrent_dropout=0.1", "mingru:8:recurrent_dropout=0.1", "no W_hh"),
        ("lstm:8:proj_size=few", "lstm:8:proj_size=few", "proj_size is a whole number"),
        ("lstm:8:proj_size=8", "lstm:8:proj_size=8", "must be less than hidden_size=8"),
        ("elman:8:bias=maybe", "elman:8:bias=maybe", "true or false"),
        ("elman:8:relu:tanh", "elman:8:relu:tanh", "given twice"),
        ("elman:8:direction=up", "elman:8:direction=up", "direction is one of"),
        ("gru:3 2x", "2x", "no layer follows"),
        ("2x 3x gru:3", "3x", "follow each other"),
        ("0x gru:3", "0x", "1 to 1000"),
    ],
)
def test_an_error_names_the_word_and_shows_a_line_that_works(text, word, reason) -> None:
    with pytest.raises(ValueError, match="is not understood") as raised:
        parse_layers(text)
    message = str(raised.value)
    assert f"{word!r} is not understood" in message
    assert reason in message
    assert EXAMPLE in message


def test_nothing_is_no_layer() -> None:
    with pytest.raises(ValueError, match="`layers` must name a layer, got"):
        parse_layers("  ")


def test_the_example_works() -> None:
    assert len(parse_layers(EXAMPLE)) == 3
