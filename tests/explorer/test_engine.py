"""The net in the page's JavaScript equals the net in Python."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deeprnn import GRU, LSTM, DeepRNN, Elman, State
from deeprnn.activations import ACTIVATIONS
from deeprnn.analysis import names_of, record
from deeprnn.cells import CELLS, Cell, Recur
from deeprnn.explorer.embedding import config_of, pack, why_not
from deeprnn.explorer.page import web_file
from deeprnn.explorer.program import ELEMENTWISE

pytestmark = pytest.mark.slow

SYMBOLS = 11


@dataclass(frozen=True, repr=False)
class Stabilised(Cell):
    """A cell that no part of the package knows: four states, exponential gates, a weight that is a vector."""

    hidden_size: int
    gates: ClassVar = ("z", "i", "f")
    states: ClassVar = ("h", "c", "n", "m")
    cell_state: ClassVar = "c"
    norm_groups: ClassVar = (("z", "i", "f"),)

    def extra_weights(self) -> dict[str, tuple[int, ...]]:
        return {"decay": (self.hidden_size,), "weight_ho": (self.hidden_size, self.hidden_size)}

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        z, i, f = (x_part + recur(state.h)).chunk(3, dim=-1)
        log_f = F.logsigmoid(f) - F.softplus(recur.weights["decay"])
        m = torch.maximum(log_f + state.m, i)
        keep, write = torch.exp(log_f + state.m - m), torch.exp(i - m)
        c = keep * state.c + write * torch.tanh(z)
        n = (keep * state.n + write).clamp(min=1e-3)
        return State(h=torch.tanh(F.linear(c / n, recur.weights["weight_ho"])), c=c, n=n, m=m)


@dataclass(frozen=True, repr=False)
class Stubborn(Cell):
    """A cell whose step does what the page can't."""

    hidden_size: int
    trouble: str = ""
    gates: ClassVar = ("h",)
    norm_groups: ClassVar = (("h",),)

    def step(self, x_part: Tensor, state: State, recur: Recur) -> State:
        h = torch.tanh(x_part + recur(state.h))
        if self.trouble == "looks at values":
            return State(h=h if float(h.sum()) > 0 else -h)
        if self.trouble == "computed matrix":
            return State(h=h @ (h.mT @ h))
        if self.trouble == "untransposed":
            return State(h=h @ recur.weights["weight_hh"])
        return State(h=h.flip(-1))


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
    "a-cell-of-ones-own": ([Stabilised(6, zoneout=0.2), Stabilised(5)], {"input_to_all": True}),
    "other-gates": ([GRU(5, activation="softsign", gate_activation="hardsigmoid"), LSTM(4, activation="elu")], {}),
    **{f"every-cell-{name}": ([cell(6), cell(5)], {}) for name, cell in CELLS.items()},
    **{f"elman-{name}": ([Elman(6, name), Elman(3, name)], {}) for name in ACTIVATIONS},
}

RUN = """
([config, text, index, symbols]) => {
  const net = new Engine.Net(config, Engine.unpack(text, index));
  const reading = new Engine.Reading(net, 2);
  reading.follow(symbols.slice(0, 9));
  reading.follow(symbols);
  const steps = [...symbols.keys()];
  const parts = net.layers.map((layer, l) => Object.fromEntries(Object.keys(layer.parts).map(
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
            kind = {"state.h": "hidden", "state.c": "cell"}.get(part, part)
            if f"layers.{index}.{kind}" not in recording:
                assert part.removeprefix("state.") in set(layers[index].states) - {"h", layers[index].cell_state}
                continue
            np.testing.assert_allclose(
                values, recording[f"layers.{index}.{kind}"][0].numpy(), atol=1e-4, rtol=1e-4, err_msg=f"{index} {part}"
            )


def test_the_page_has_every_operation_that_a_program_may_hold(engine: Any) -> None:
    assert set(engine.evaluate("Object.keys(Engine.ELEMENTWISE)")) == ELEMENTWISE


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_every_operation_is_that_of_torch(engine: Any, name: str) -> None:
    function = getattr(torch.ops.aten, name)
    a, b = torch.tensor([-2.5, -0.7, 0.3, 0.9, 25.0]).double(), torch.tensor([1.5, -0.7, 2.0, 0.9, -3.0]).double()
    if name in ("log", "log1p", "sqrt", "rsqrt", "reciprocal", "pow"):
        a = a.abs()
    others = {
        "elu": [1.3, 0.7, 1.1],
        "leaky_relu": [0.2],
        "hardtanh": [-0.5, 0.8],
        "softplus": [2.0, 20.0],
        "clamp": [-0.5, None],
        "clamp_min": [0.1],
        "clamp_max": [0.1],
        "where": [b, a],
    }
    binary = {"mul", "div", "pow", "maximum", "minimum", "logaddexp", "gt", "ge", "lt", "le", "eq"}
    given = others.get(name, [b] if name in binary else [])
    for extra in [{"alpha": 0.5}] if name in ("add", "sub", "rsub") else [{}]:
        first = a > 0 if name == "where" else a
        if name in ("add", "sub", "rsub"):
            given = [b]
        right = function(first, *given, **extra)
        inputs = [first, *given, *extra.values(), *(["none"] if name == "gelu" else [])]
        found = engine.evaluate(
            """([name, inputs]) => {
              const out = new Float64Array(5);
              const vectors = inputs.map((one) => (Array.isArray(one) ? Float64Array.from(one) : one));
              Engine.elementwise(Engine.ELEMENTWISE[name], vectors, out)();
              return Array.from(out);
            }""",
            [name, [one.tolist() if isinstance(one, Tensor) else one for one in inputs]],
        )
        np.testing.assert_allclose(np.asarray(found, dtype=float), right.double().numpy(), atol=1e-6, rtol=1e-6)


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
        (DeepRNN(5, [Elman(3, torch.special.i0)], 5), r"Layer 1 .* computes with i0, which the page does not know"),
        (DeepRNN(5, [Stubborn(3, trouble="looks at values")], 5), "can't be traced"),
        (DeepRNN(5, [Stubborn(3, trouble="computed matrix")], 5), "multiplies by a matrix that is not the transpose"),
        (DeepRNN(5, [Stubborn(3, trouble="untransposed")], 5), "multiplies by a matrix that is not the transpose"),
        (DeepRNN(5, [Stubborn(3, trouble="flip")], 5), "computes with flip"),
    ],
)
def test_a_net_that_the_page_can_not_run_is_refused_with_the_reason(net: DeepRNN, reason: str) -> None:
    assert re.search(reason, why_not(net) or "")
