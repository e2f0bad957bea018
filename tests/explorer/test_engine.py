"""The net in the page's JavaScript equals the net in Python."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from deeprnn import GRU, LSTM, DeepRNN, Elman
from deeprnn.activations import ACTIVATIONS
from deeprnn.analysis import names_of, record
from deeprnn.cells import Cell
from deeprnn.explorer.embedding import config_of, pack, why_not
from deeprnn.explorer.page import web_file

pytestmark = pytest.mark.slow

SYMBOLS = 11

MIXED: dict[str, tuple[Sequence[Cell], dict[str, Any]]] = {
    "elman-17-gru-9-lstm-6": ([Elman(17), GRU(9), LSTM(6)], {}),
    "gru-5-early-reset": ([GRU(5, reset_after=False), GRU(5, reset_after=False, bias=False)], {}),
    "gru-7-no-bias": ([GRU(7, bias=False), Elman(3, bias=False)], {}),
    "lstm-residual": ([LSTM(6), LSTM(6), GRU(6)], {"residual": True}),
    "input-to-all": ([LSTM(5), Elman(8, "relu"), GRU(3)], {"input_to_all": True}),
    "output-from-all": ([GRU(5), Elman(8, "softplus")], {"output_from_all": True}),
    "all-three": ([GRU(6), LSTM(6)], {"residual": True, "input_to_all": True, "output_from_all": True}),
    "layer-norm": (
        [
            Elman(7, layer_norm=True),
            GRU(7, layer_norm=True),
            GRU(5, reset_after=False, layer_norm=True),
            LSTM(6, layer_norm=True),
        ],
        {},
    ),
    "zoneout-learned-initial": (
        [
            Elman(5, zoneout=0.3, learn_initial=True),
            GRU(4, zoneout=0.2, learn_initial=True),
            LSTM(6, zoneout=0.1, zoneout_cell=0.4, learn_initial=True),
        ],
        {},
    ),
    "other-gates": ([GRU(5, activation="softsign", gate_activation="hardsigmoid"), LSTM(4, activation="elu")], {}),
    **{f"elman-{name}": ([Elman(6, name), Elman(3, name)], {}) for name in ACTIVATIONS},
}

RUN = """
([config, text, index, symbols]) => {
  const net = new Engine.Net(config, Engine.unpack(text, index));
  const reading = new Engine.Reading(net, 2);
  reading.follow(symbols.slice(0, 9));
  reading.follow(symbols);
  const steps = [...symbols.keys()];
  const parts = net.layers.map((layer, l) => Object.fromEntries([...layer.states, ...layer.gates].map(
    (part) => [part, steps.map((t) => Array.from(reading.at(l, part, t)))])));
  return { parts, logits: steps.map((t) => Array.from(reading.logits(t))) };
}
"""


@pytest.fixture(scope="module")
def engine(browser: Any) -> Any:
    page = browser.new_page()
    page.set_content(f"<script>{web_file('engine.js')}</script>")
    yield page
    page.close()


@pytest.mark.parametrize("name", MIXED)
def test_every_state_gate_and_logit_equals_python(engine: Any, name: str) -> None:
    layers, options = MIXED[name]
    torch.manual_seed(3)
    net = DeepRNN(SYMBOLS, layers, SYMBOLS, **options).eval()
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.6)
    assert why_not(net) is None
    symbols = torch.randint(SYMBOLS, (40,))
    packed = pack(net.state_dict())
    found = engine.evaluate(RUN, [config_of(net), packed.text, packed.index, symbols.tolist()])
    with torch.no_grad():
        output = net(symbols).output
        recording = record(net, symbols[:, None], [str(name) for name in names_of(net)])
    assert output is not None
    np.testing.assert_allclose(found["logits"], output.numpy(), atol=1e-4, rtol=1e-4)
    for index, parts in enumerate(found["parts"]):
        for part, values in parts.items():
            kind = {"h": "hidden", "c": "cell"}.get(part, f"gate.{part}")
            np.testing.assert_allclose(
                values, recording[f"layers.{index}.{kind}"][0].numpy(), atol=1e-4, rtol=1e-4, err_msg=f"{index} {part}"
            )


def test_a_changed_text_is_read_anew_only_from_the_change(engine: Any) -> None:
    net = DeepRNN(SYMBOLS, [GRU(4)], SYMBOLS)
    packed = pack(net.state_dict())
    same = engine.evaluate(
        """([config, text, index]) => {
          const reading = new Engine.Reading(new Engine.Net(config, Engine.unpack(text, index)));
          reading.follow([0, 1, 2, 3, 4]);
          return [reading.follow([0, 1, 2, 7]), reading.length, reading.branch(2).follow([0, 1, 5])];
        }""",
        [config_of(net), packed.text, packed.index],
    )
    assert same == [3, 4, 2]


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (DeepRNN(5, [GRU(3)]), "no output layer"),
        (DeepRNN(5, [GRU(3), GRU(3, direction="both")], 5), r"Layer 2 \(layers.1, .*backward"),
        (DeepRNN(5, [Elman(3, torch.cos)], 5), "the activation cos"),
    ],
)
def test_a_net_that_the_page_can_not_run_is_refused_with_the_reason(net: DeepRNN, reason: str) -> None:
    assert re.search(reason, why_not(net) or "")
