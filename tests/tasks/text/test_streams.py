"""Streams: every symbol in its place, resets where documents start, nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deeprnn.tasks.text import BOUNDARY, Streams, TextError

documents_of_symbols = st.lists(st.lists(st.integers(1, 9), max_size=30), min_size=1, max_size=8)


def streams_of(documents: list[list[int]], batch: int, bptt: int, seed: int = 0) -> Streams:
    return Streams([np.array(d, dtype=np.int32) for d in documents], batch_size=batch, bptt=bptt, seed=seed)


@given(documents_of_symbols, st.integers(1, 5), st.integers(1, 7), st.integers(0, 3))
def test_a_pass_reads_each_document_in_order_but_for_the_streams_ends(documents, batch, bptt, passes) -> None:
    total = sum(1 + len(d) for d in documents if d)
    if total <= bptt:
        with pytest.raises(TextError, match="fewer than the"):
            streams_of(documents, batch, bptt)
        return
    streams = streams_of(documents, batch, bptt)
    steps = [streams.batch(passes * streams.steps_per_pass + place) for place in range(streams.steps_per_pass)]
    inputs = torch.cat([step.inputs for step in steps])
    targets = torch.cat([step.targets for step in steps])
    # The ring, walked from any boundary, is the documents in some order: each stream is a stretch of it.
    ring = streams._read(streams._ring_of(passes), np.arange(total)).tolist()
    starts = [i for i, symbol in enumerate(ring) if symbol == BOUNDARY]
    pieces = [ring[a + 1 : b] for a, b in zip(starts, [*starts[1:], len(ring)], strict=True)]
    assert sorted(pieces) == sorted(d for d in documents if d)
    twice = "".join(map(str, ring * 2))
    for stream, following in zip(inputs.T.tolist(), targets.T.tolist(), strict=True):
        assert "".join(map(str, stream)) in twice
        assert stream[1:] == following[:-1]
    assert total - inputs.numel() < streams.batch_size * bptt + streams.batch_size


@given(documents_of_symbols, st.integers(1, 5), st.integers(1, 7))
def test_resets_mark_just_the_starts_of_documents_and_of_streams(documents, batch, bptt) -> None:
    if sum(1 + len(d) for d in documents if d) <= bptt:
        return
    streams = streams_of(documents, batch, bptt)
    for step in range(2 * streams.steps_per_pass):
        read = streams.batch(step)
        expected = read.inputs == BOUNDARY
        if step % streams.steps_per_pass == 0:
            expected[0] = True
        if read.resets is None:
            assert not expected.any()
        else:
            assert torch.equal(read.resets, expected)


def test_batches_depend_on_the_step_alone() -> None:
    documents = [list(range(1, 9)) * 5, [3, 1] * 20, [2] * 31]
    forward = streams_of(documents, 3, 4)
    steps = range(4 * forward.steps_per_pass)
    there = [forward.batch(step) for step in steps]
    back = [streams_of(documents, 3, 4).batch(step) for step in reversed(steps)][::-1]
    for one, other in zip(there, back, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_read_the_rows_of_one_batch(ranks: int) -> None:
    documents = [list(range(1, 9)) * 5, [3, 1] * 20, [2] * 31]
    streams = streams_of(documents, 6, 4)
    for step in range(2 * streams.steps_per_pass):
        whole, parts = streams.batch(step), [streams.batch(step, rank, ranks) for rank in range(ranks)]
        assert torch.equal(torch.cat([part.inputs for part in parts], dim=1), whole.inputs)
        assert torch.equal(torch.cat([part.targets for part in parts], dim=1), whole.targets)
        if whole.resets is not None:
            none = torch.zeros_like(parts[0].inputs, dtype=torch.bool)
            resets = [none if part.resets is None else part.resets for part in parts]
            assert torch.equal(torch.cat(resets, dim=1), whole.resets)
    with pytest.raises(ValueError, match="multiple of the number of processes, 4, got 6"):
        streams.batch(0, 0, 4)


def test_each_pass_and_each_seed_has_an_order_of_its_own() -> None:
    documents = [[n] * 10 for n in range(1, 10)]
    streams, other = streams_of(documents, 2, 5), streams_of(documents, 2, 5, seed=1)
    first = torch.cat([streams.batch(s).inputs for s in range(streams.steps_per_pass)])
    second = torch.cat([streams.batch(s).inputs for s in range(streams.steps_per_pass, 2 * streams.steps_per_pass)])
    assert not torch.equal(first, second)
    assert not torch.equal(first, torch.cat([other.batch(s).inputs for s in range(other.steps_per_pass)]))


def test_a_short_text_makes_fewer_streams() -> None:
    streams = streams_of([[1] * 20], batch=32, bptt=6)
    assert streams.batch_size == 3
    assert streams.batch(0).inputs.shape == (6, 3)


def test_a_text_that_is_too_short_says_what_to_do() -> None:
    with pytest.raises(TextError, match=r"(?s)has 5 characters, fewer than the 64 steps.*`bptt=3`"):
        streams_of([[1] * 5], batch=4, bptt=64)
