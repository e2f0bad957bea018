"""Streams: every symbol in its place, resets where documents start, nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deeprnn.tasks.text import BOUNDARY, Streams, TextError

documents_of_symbols = st.lists(st.lists(st.integers(1, 9), max_size=30), min_size=1, max_size=8)


def streams_of(documents: list[list[int]], batch: int, window: int, seed: int = 0) -> Streams:
    return Streams([np.array(d, dtype=np.int32) for d in documents], batch=batch, window=window, seed=seed)


@given(documents_of_symbols, st.integers(1, 5), st.integers(1, 7), st.integers(0, 3))
def test_a_pass_reads_each_document_in_order_but_for_the_streams_ends(documents, batch, window, passes) -> None:
    total = sum(1 + len(d) for d in documents if d)
    if total <= window:
        with pytest.raises(TextError, match="less than one window"):
            streams_of(documents, batch, window)
        return
    streams = streams_of(documents, batch, window)
    steps = [streams[passes * streams.steps_per_pass + place] for place in range(streams.steps_per_pass)]
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
    assert total - inputs.numel() < streams.batch * window + streams.batch


@given(documents_of_symbols, st.integers(1, 5), st.integers(1, 7))
def test_resets_mark_just_the_starts_of_documents_and_of_streams(documents, batch, window) -> None:
    if sum(1 + len(d) for d in documents if d) <= window:
        return
    streams = streams_of(documents, batch, window)
    for step in range(2 * streams.steps_per_pass):
        window_read = streams[step]
        expected = window_read.inputs == BOUNDARY
        if step % streams.steps_per_pass == 0:
            expected[0] = True
        if window_read.resets is None:
            assert not expected.any()
        else:
            assert torch.equal(window_read.resets, expected)


def test_windows_depend_on_the_step_alone() -> None:
    documents = [list(range(1, 9)) * 5, [3, 1] * 20, [2] * 31]
    forward = streams_of(documents, 3, 4)
    steps = range(4 * forward.steps_per_pass)
    there = [forward[step] for step in steps]
    back = [streams_of(documents, 3, 4)[step] for step in reversed(steps)][::-1]
    for one, other in zip(there, back, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)


def test_each_pass_and_each_seed_has_an_order_of_its_own() -> None:
    documents = [[n] * 10 for n in range(1, 10)]
    streams, other = streams_of(documents, 2, 5), streams_of(documents, 2, 5, seed=1)
    first = torch.cat([streams[s].inputs for s in range(streams.steps_per_pass)])
    second = torch.cat([streams[s].inputs for s in range(streams.steps_per_pass, 2 * streams.steps_per_pass)])
    assert not torch.equal(first, second)
    assert not torch.equal(first, torch.cat([other[s].inputs for s in range(other.steps_per_pass)]))


def test_a_short_text_makes_fewer_streams() -> None:
    streams = streams_of([[1] * 20], batch=32, window=6)
    assert streams.batch == 3
    assert streams[0].inputs.shape == (6, 3)


def test_a_text_shorter_than_a_window_says_what_to_do() -> None:
    with pytest.raises(TextError, match=r"(?s)holds 5 characters, less than one window of 64.*--window 3"):
        streams_of([[1] * 5], batch=4, window=64)
