"""x, lengths and resets of every kind: read as the plain tensor of the same values, or refused by name."""

from typing import Any

import numpy as np
import pytest
import torch
from compare import randomise
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from deeprnn import GRU, LSTM, DeepRNN

T, B, F = 5, 3, 4


def same(got: Tensor, right: Tensor) -> None:
    """But for the last bits of torch's own products, which differ with where their operands lie."""
    torch.testing.assert_close(got, right, rtol=0, atol=1e-6 if right.dtype == torch.float32 else 1e-14)


WHOLE = ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")


def build(**options: Any) -> DeepRNN:
    return randomise(DeepRNN(F, [GRU(6), LSTM(3, direction="both")], 2, **options))


@pytest.mark.parametrize("kernel", ["float32", "float64"])
@pytest.mark.parametrize("dtype", WHOLE)
def test_symbols_and_lengths_of_every_whole_dtype(dtype: str, kernel: str) -> None:
    net, symbols = build(dtype=getattr(torch, kernel)), torch.randint(F, (T, B))
    lengths = torch.tensor([T, 2, 0])
    right = net(symbols, lengths=lengths).output
    kind = getattr(torch, dtype)
    same(net(symbols.to(kind), lengths=lengths.to(kind)).output, right)
    same(net(symbols[:, 0].to(kind)).output, net(symbols[:, 0]).output)
    packed = pack_padded_sequence(symbols, [T, 2, 1], enforce_sorted=False)
    narrow = packed._replace(data=packed.data.to(kind))
    same(net(narrow).output, net(packed).output)
    with pytest.raises(ValueError, match="but this DeepRNN\\(input_size=4\\) knows 0 to 3"):
        net((symbols + F).to(kind))
    with pytest.raises(ValueError, match="lengths runs from 1 to 6"):
        net(symbols, lengths=torch.tensor([1, 6, 2]).to(kind))


LENGTHS: dict[str, Any] = {
    "list": [T, 2, 0],
    "tuple": (T, 2, 0),
    "range": range(3),
    "numpy": np.array([T, 2, 0]),
    "numpy-uint16": np.array([T, 2, 0], np.uint16),
    "numpy-numbers": list(np.array([T, 2, 0], np.int32)),
    "tensors": list(torch.tensor([T, 2, 0])),
    "column": torch.tensor([[T, 1], [2, 1], [0, 1]])[:, 0],
}


@pytest.mark.parametrize("form", LENGTHS)
def test_lengths_of_every_form(form: str) -> None:
    net, x = build(), torch.randn(T, B, F)
    given = LENGTHS[form]
    same(net(x, lengths=given).output, net(x, lengths=torch.tensor([int(n) for n in given])).output)


def test_no_rows_need_no_lengths() -> None:
    assert build()(torch.zeros(T, 0, F), lengths=[]).output.shape == (T, 0, 2)


FLOATS = torch.zeros(T, B, F)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "x-numpy": ({"x": FLOATS.numpy()}, "x is a ndarray, expected a tensor; pass torch.as_tensor(x)."),
    "x-list": ({"x": FLOATS.tolist()}, "x is a list, expected a tensor; pass torch.tensor(x)."),
    "x-rows": ({"x": list(FLOATS)}, "x is a list, expected a tensor; pass torch.stack(x)."),
    "x-none": ({"x": None}, "x is a NoneType, expected a tensor."),
    "x-complex": ({"x": FLOATS.to(torch.complex64)}, "x has dtype torch.complex64"),
    "x-sparse": ({"x": FLOATS.to_sparse()}, "x has the layout torch.sparse_coo; pass x.to_dense()."),
    "x-mkldnn": ({"x": FLOATS.to_mkldnn()}, "x has the layout torch._mkldnn; pass x.to_dense()."),
    "x-meta": ({"x": FLOATS.to("meta")}, "x is on meta, but this DeepRNN's weights are on cpu"),
    "x-bool": ({"x": FLOATS[..., 0] > 0}, "x has dtype torch.bool; it holds floats (T, B, I), or integers (T, B)"),
    "lengths-number": ({"lengths": 5}, "lengths has shape (), expected (B,) = (3,)"),
    "lengths-strings": (
        {"lengths": ["5", "5", "5"]},
        "lengths is a list, expected one whole number for each of the B=3",
    ),
    "lengths-none": ({"lengths": [5, None, 5]}, "lengths is a list, expected one whole number"),
    "lengths-floats": (
        {"lengths": torch.tensor([5.0, 2.0, 1.0])},
        "lengths has dtype torch.float32, expected one whole",
    ),
    "lengths-bools": ({"lengths": [True, True, False]}, "lengths has dtype torch.bool, expected one whole number"),
    "lengths-negative": ({"lengths": [-1, 2, 3]}, "lengths runs from -1 to 3, but x has T=5 steps"),
    "lengths-huge": ({"lengths": torch.full((3,), 2**64 - 1, dtype=torch.uint64)}, "but x has T=5 steps"),
    "lengths-meta": ({"lengths": torch.tensor([5, 2, 1], device="meta")}, "lengths is on meta, but"),
    "lengths-ragged": ({"lengths": [[5], [2, 1]]}, "lengths is a list, expected one whole number"),
    "resets-list": ({"resets": [[True] * B] * T}, "resets is a list, expected a tensor; pass torch.tensor(resets)."),
    "resets-numpy": ({"resets": np.zeros((T, B), bool)}, "resets is a ndarray, expected a tensor"),
    "resets-uint8": ({"resets": torch.zeros(T, B, dtype=torch.uint8)}, "expected torch.bool: True at the first step"),
    "resets-row": ({"resets": torch.zeros(T, dtype=torch.bool)}, "resets has shape (5,), expected (5, 3)"),
    "resets-meta": ({"resets": torch.zeros(T, B, dtype=torch.bool, device="meta")}, "resets is on meta, but"),
}


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_argument(case: str, batch_first: bool) -> None:
    given, message = REFUSED[case]
    options = {"x": FLOATS.transpose(0, 1) if batch_first else FLOATS} | given
    if batch_first:
        message = message.replace("(5, 3)", "(3, 5)").replace("(T, B", "(B, T")
    with pytest.raises((ValueError, TypeError)) as caught:
        build(batch_first=batch_first)(**options)
    assert message in str(caught.value), str(caught.value)


def test_resets_of_a_call_without_a_batch() -> None:
    with pytest.raises(ValueError, match=r"resets has shape \(5, 1\), expected \(5,\), one for each step of x"):
        build()(FLOATS[:, 0], resets=torch.zeros(T, 1, dtype=torch.bool))


def test_a_net_without_values_says_so() -> None:
    with pytest.raises(ValueError, match=r"weights are on meta without values \(net\.to_empty"):
        build().to("meta")(FLOATS)


def test_a_table_is_refused_with_its_remedy() -> None:
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"x is a DataFrame, expected a tensor; pass torch\.tensor\(x\.to_numpy\(\)\)"):
        build()(polars.DataFrame({"a": [1.0]}))


@pytest.mark.filterwarnings("ignore")
def test_tensors_that_torch_itself_will_leave_behind() -> None:
    with pytest.raises(TypeError, match=r"x is quantized, torch\.qint8; pass x\.dequantize\(\)"):
        build()(torch.quantize_per_tensor(FLOATS, 0.1, 0, torch.qint8))
    with pytest.raises(TypeError, match=r"x is a nested tensor; pad it"):
        build()(torch.nested.nested_tensor([FLOATS[:, 0], FLOATS[:2, 0]]))
