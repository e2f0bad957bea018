"""Probes on recordings whose contents are known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from deeprnn.analysis.probes.examples import Labels, Scaling, Split, standardise, window_features
from deeprnn.analysis.probes.features import Concatenated
from deeprnn.analysis.probes.probe import (
    PENALTIES,
    bits_over,
    centre_of_gravity,
    code_length,
    marginal_bits,
    probe,
    selectivity,
)
from deeprnn.analysis.probes.scores import Score
from deeprnn.analysis.statistics import Interval, interval, resamples

FILES, PER_FILE, WIDTH = 20, 150, 12
GROUPS = np.arange(FILES * PER_FILE) // PER_FILE


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _world() -> tuple[Tensor, Tensor, Labels]:
    """States, a window of characters, and labels: one in the states, one in the window, one in neither."""
    rows = len(GROUPS)
    states = torch.randn(rows, WIDTH, generator=_generator(0))
    window = torch.randint(0, 6, (rows, 2), generator=_generator(1))
    in_states = (states[:, :3] + 0.3 * torch.randn(rows, 3, generator=_generator(2))).argmax(1)
    in_neither = torch.randint(0, 3, (rows,), generator=_generator(3))
    values = torch.stack([in_states, window[:, 0] % 3, in_neither])
    return states, window, Labels(("in states", "in window", "in neither"), (3, 3, 3), values)


def test_a_split_keeps_files_whole_and_apart() -> None:
    split = Split.of(GROUPS, seed=3)
    parts = [set(GROUPS[part.numpy()].tolist()) for part in (split.fit, split.validate, split.measure)]
    assert sum(map(len, parts)) == FILES
    assert set.union(*parts) == set(range(FILES))
    assert len(parts[2]) == 8
    assert len(split.fit) + len(split.validate) + len(split.measure) == len(GROUPS)
    assert Split.of(GROUPS, seed=4).measure.tolist() != split.measure.tolist()


def test_two_files_are_too_few() -> None:
    with pytest.raises(ValueError, match="2 files"):
        Split.of(np.array([0, 0, 1, 1]), seed=0)
    assert len(Split.of(np.array([0, 0, 1, 2]), seed=0).fit) > 0


def test_a_probe_finds_what_is_there_and_nothing_else() -> None:
    states, window, labels = _world()
    split = Split.of(GROUPS, seed=0)
    weights = resamples(FILES, 400, seed=0)
    of_states = probe(standardise(states, split.fit), labels, split).scores
    of_window = probe(window_features(window, 6), labels, split).scores
    joint = probe(Concatenated(window_features(window, 6), standardise(states, split.fit)), labels, split).scores
    assert of_states[0].accuracy() > 0.8
    assert abs(of_states[2].accuracy() - 1 / 3) < 0.06
    assert of_window[1].accuracy() > 0.99
    assert abs(of_window[0].accuracy() - 1 / 3) < 0.06
    added = [bits_over(base, both, weights) for base, both in zip(of_window, joint, strict=True)]
    assert added[0].low > 0.9
    assert abs(added[1].value) < 0.05
    assert abs(added[2].value) < 0.05
    # What cannot be read costs what its frequencies cost.
    assert abs(of_states[2].bits() - marginal_bits(labels, split, of_states[2], 2)) < 0.05


def test_shuffled_labels_come_out_as_chance() -> None:
    states, _, labels = _world()
    shuffled = labels.shuffled(seed=1)
    split = Split.of(GROUPS, seed=0)
    assert torch.equal(shuffled.values.sort(dim=1).values, labels.values.sort(dim=1).values)
    score = probe(standardise(states, split.fit), shuffled, split).scores[0]
    assert abs(score.accuracy() - 1 / 3) < 0.06


def test_shuffling_leaves_unscored_rows_in_place() -> None:
    labels = Labels(("a",), (2,), torch.tensor([[0, -1, 1, 1, -1, 0, 1]]))
    assert (labels.shuffled(0).values < 0).tolist() == (labels.values < 0).tolist()


def test_control_labels_depend_on_the_window_alone() -> None:
    _, window, labels = _world()
    hashed = labels.hashed(window, seed=5)
    key = window[:, 0] * 6 + window[:, 1]
    for value in hashed.values:
        assert all(len(value[key == k].unique()) == 1 for k in key.unique())
    assert len(hashed.values[0].unique()) == 3
    split = Split.of(GROUPS, seed=0)
    both = probe(window_features(window, 6), labels, split).scores
    control = probe(window_features(window, 6), hashed, split).scores
    chosen = selectivity(both[1], control[1], resamples(FILES, 200, 0))
    assert chosen.low > 0.1


def test_a_probe_folded_into_raw_states_says_the_same() -> None:
    states, _, labels = _world()
    states = states * 3 + 5
    split = Split.of(GROUPS, seed=0)
    scaling = Scaling.of(states, split.fit)
    fitted = probe(scaling.features(states), labels, split).linear
    raw = scaling.unscaled(fitted)
    expected = scaling.features(states).times(fitted.weight) + fitted.bias
    torch.testing.assert_close(states @ raw.weight + raw.bias, expected, atol=2e-4, rtol=1e-4)


def test_a_unit_that_never_moves_is_no_feature() -> None:
    states, _, _ = _world()
    states[:, 4] = 0.25
    features = standardise(states, torch.arange(100))
    assert not features.matrix[:, 4].any()
    assert torch.isfinite(features.matrix).all()


def test_the_online_code_is_short_for_what_is_there_and_uniform_for_what_is_not() -> None:
    states, _, labels = _world()
    split = Split.of(GROUPS, seed=0)
    features = standardise(states, split.fit)
    bits, uniform = code_length(features, labels, GROUPS, probe(features, labels, split).penalties, seed=0)
    np.testing.assert_allclose(uniform, math.log2(3))
    assert bits[0] < 0.7 * uniform[0]
    assert abs(bits[2] - uniform[2]) < 0.06


def test_the_centre_lies_where_the_bits_are() -> None:
    np.testing.assert_allclose(centre_of_gravity(np.array([[2.0, 2.0, 0.5], [1.0, 2.0, 2.0]]), 2.0), [3.0, 1.0])
    assert np.isnan(centre_of_gravity(np.array([2.0, 2.5]), 2.0))
    np.testing.assert_allclose(centre_of_gravity(np.array([1.0, 1.0, 1.0]), 2.0), 2.0)


def _score() -> tuple[Score, Tensor, Tensor]:
    logits = torch.randn(60, 4, generator=_generator(7), dtype=torch.float64)
    labels = torch.randint(-1, 3, (60,), generator=_generator(8))
    return Score.of(logits.log_softmax(1), labels, np.arange(60) // 15, 5), logits.log_softmax(1), labels


def test_scores_equal_scikit_learns() -> None:
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    score, log_p, labels = _score()
    keep = labels >= 0
    truth, guess = labels[keep].numpy(), log_p[keep].argmax(1).numpy()
    np.testing.assert_allclose(score.accuracy(), accuracy_score(truth, guess))
    np.testing.assert_allclose(score.macro_f1(), f1_score(truth, guess, labels=np.unique(truth), average="macro"))
    expected = log_loss(truth, log_p[keep].double().exp().numpy(), labels=range(4)) / math.log(2)
    np.testing.assert_allclose(score.bits(), expected, rtol=1e-6)


def test_a_resample_counts_whole_files() -> None:
    score, log_p, labels = _score()
    second = (labels >= 0) & (torch.arange(60) // 15 == 1)
    alone = score.accuracy(np.array([[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 7.0, 0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(alone, (log_p[second].argmax(1) == labels[second]).double().mean().item())
    assert np.isnan(score.accuracy(np.array([0.0, 0.0, 0.0, 0.0, 1.0])))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        values = random.normal(size=40)
        found = interval(
            lambda w, v=values: v.mean() if w is None else (w @ v) / w.sum(1),
            resamples(40, 400, seed=trial),
        )
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.98


def test_an_interval_of_nothing_is_nan() -> None:
    empty = interval(lambda w: np.array(math.nan) if w is None else np.full(len(w), math.nan), resamples(3, 5, 0))
    assert isinstance(empty, Interval)
    assert math.isnan(empty.low)


def test_labels_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="classes 0 to 2, of 2"):
        Labels(("a",), (2,), torch.tensor([[0, 1, 2]]))
    with pytest.raises(ValueError, match="2 names"):
        Labels(("a", "b"), (2,), torch.tensor([[0, 1, 1]]))


def test_each_label_gets_the_penalty_that_it_would_get_alone() -> None:
    random = np.random.default_rng(0)
    states = torch.from_numpy(random.normal(size=(len(GROUPS), 20))).float()
    clear = (states[:, 0] > 0).long()
    noise = torch.from_numpy(random.integers(0, 3, len(GROUPS)))
    faint = (states[:, 1] + 2 * torch.from_numpy(random.normal(size=len(GROUPS))) > 0).long()
    labels = Labels(("clear", "noise", "faint"), (2, 3, 2), torch.stack([clear, noise, faint]))
    split = Split.of(GROUPS, seed=0)
    features = standardise(states, split.fit)
    together = probe(features, labels, split)
    assert together.penalties[0] < together.penalties[1]
    for index, (name, size) in enumerate(zip(labels.names, labels.sizes, strict=True)):
        alone = probe(features, Labels((name,), (size,), labels.values[index : index + 1]), split)
        assert float(together.penalties[index]) == float(alone.penalties[0])
        np.testing.assert_allclose(together.scores[index].bits(), alone.scores[0].bits(), atol=2e-3)
    # Where the path goes on, it is because the validation files cost fewer bits so.
    strongest = probe(features, labels, split, PENALTIES[:1])
    for index in range(3):
        cost = [
            -one.linear.log_probabilities(features.take(split.validate))[index]
            .gather(1, labels.values[index, split.validate][:, None])
            .sum()
            for one in (together, strongest)
        ]
        assert cost[0] < cost[1] or float(together.penalties[index]) == PENALTIES[0]
    assert float(together.penalties[0]) < PENALTIES[0]
