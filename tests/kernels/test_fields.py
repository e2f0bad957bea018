"""What a call consists of is declared in Python and in C++: the same fields in the same order, or no import."""

import pytest
import torch

from deeprnn.kernels.native import extension, fields, operators
from deeprnn.kernels.native.fields import READ, Read

EXPORTED = extension.native().fields()


def test_both_sides_declare_the_same_fields() -> None:
    fields.compare(EXPORTED)


@pytest.mark.parametrize("record", EXPORTED)
@pytest.mark.parametrize("change", ["one more", "one less", "another order", "absent"])
def test_an_extension_of_another_version_is_refused(record: str, change: str) -> None:
    names = EXPORTED[record]
    changed = {"one more": (*names, "added"), "one less": names[:-1], "another order": names[::-1], "absent": ()}
    with pytest.raises(ImportError, match=f"built from another version of deeprnn: the fields of {record!r}"):
        fields.compare(EXPORTED | {record: changed[change]})


def test_an_extension_without_fields_is_refused() -> None:
    with pytest.raises(ImportError, match="built from another version"):
        fields.compare({})


def test_inputs_are_filled_in_by_name() -> None:
    """Each field of `inputs` holds the address or the stride that its name says."""
    T, B, I, H = 5, 3, 4, 7  # noqa: E741  # the legend's names
    tensors = dict.fromkeys(READ) | {
        "x": torch.randn(B, I, T).permute(2, 0, 1),
        "weight_xh": torch.randn(H, I),
        "weight_hh": torch.randn(H, H),
        "h0": torch.randn(H, B).T,
        "mask": torch.randn(1, H).expand(B, H),
        "keep_h": torch.rand(()).expand(T, B, H),
    }
    filled = dict(zip(EXPORTED["inputs"], operators._inputs(Read(**tensors)), strict=True))
    for name, tensor in tensors.items():
        assert filled[name] == (0 if tensor is None else tensor.data_ptr())
        for axis, stride in zip("tbf"[-tensor.dim() :] if tensor is not None else "tbf", _strides(tensor), strict=True):
            assert filled.get(f"{name}_{axis}", stride) == stride, (name, axis)


def _strides(tensor: torch.Tensor | None) -> tuple[int, ...]:
    return (0, 0, 0) if tensor is None else tensor.stride()
