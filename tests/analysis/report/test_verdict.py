"""The verdict must be able to come out each way."""

import math

import numpy as np
import pytest
import torch

from deeprnn.analysis.probes.examples import Labels, Split, standardise
from deeprnn.analysis.probes.probe import centre_of_gravity, marginal_bits, probe
from deeprnn.analysis.report.verdict import FEWEST, judge, spearman

N, LAYERS, SEEDS = 12, 3, 3
NAMES = [f"label {index}" for index in range(N)]
NEED = np.linspace(0, 30, N)


def _centres(slope: float, noise: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 2 + slope * (NEED / 30 - 0.5) + noise * random.normal(size=(SEEDS, N))


def test_a_net_built_to_support_it() -> None:
    verdict = judge(NAMES, NEED, _centres(1, 0.1, 0), untrained=_centres(0, 0.1, 1), layers=LAYERS)
    assert verdict.finding == "supported"
    assert verdict.trained.low > 0
    assert (verdict.n, verdict.seeds) == (N, SEEDS)
    assert verdict.paragraph.startswith("Supported")
    assert "12 labels" in verdict.paragraph
    assert "3 seeds" in verdict.paragraph


def test_a_net_built_to_contradict_it() -> None:
    verdict = judge(NAMES, NEED, _centres(-1, 0.1, 0), untrained=_centres(0, 0.1, 1), layers=LAYERS)
    assert verdict.finding == "contradicted"
    assert verdict.trained.high < 0
    assert verdict.paragraph.startswith("Contradicted")


def test_nets_built_to_say_nothing_say_nothing_nearly_always() -> None:
    findings = [
        judge(NAMES, NEED, np.tile(_centres(0, 0.3, seed)[:1], (SEEDS, 1)), layers=LAYERS, seed=seed).finding
        for seed in range(40)
    ]
    # A 95 % interval over twelve labels is wrong now and then, as it says.
    assert findings.count("not supported") >= 34


def test_what_depth_alone_gives_is_no_support() -> None:
    verdict = judge(NAMES, NEED, _centres(1, 0.1, 0), untrained=_centres(1, 0.1, 1), layers=LAYERS)
    assert verdict.finding == "not supported"
    assert "depth alone" in verdict.paragraph
    assert verdict.trained.low > 0


def test_what_depth_alone_may_give_is_no_support_either() -> None:
    # Untrained, the order is there but for two labels, so that its interval holds 0 and nearly 1.
    bare = _centres(1, 0.1, 1)
    bare[:, [0, 1]] += 1.2
    verdict = judge(NAMES, NEED, _centres(1, 0.1, 0), untrained=bare, layers=LAYERS)
    assert verdict.untrained is not None
    assert verdict.shift is not None
    assert verdict.untrained.low < 0 < verdict.trained.rho <= verdict.untrained.high
    assert verdict.shift.low < 0
    assert verdict.finding == "not supported"
    assert "depth alone, in the same net untrained, may give such an order too" in verdict.paragraph


def test_training_may_add_to_what_depth_gives() -> None:
    # Depth alone orders the labels as well as can be, but closely: no rho could exceed its rho.
    verdict = judge(NAMES, NEED, _centres(1, 0.1, 0), untrained=_centres(0.1, 0.001, 1), layers=LAYERS)
    assert verdict.untrained is not None
    assert verdict.untrained.low > 0.9
    assert verdict.shift is not None
    assert verdict.shift.low > 0
    assert verdict.finding == "supported"


def test_a_label_that_is_seldom_read_is_left_out_and_named() -> None:
    centres = np.repeat(_centres(1, 0.1, 0)[:, None], 10, axis=1)
    centres[:, :6, 0] = np.nan  # in most samples
    centres[:, :4, 1] = np.nan  # in some
    verdict = judge(NAMES, NEED, centres, layers=LAYERS)
    assert (verdict.n, verdict.unread) == (N - 1, ("label 0",))
    assert "Left out, since a linear probe can't read them off any layer: label 0." in verdict.paragraph
    assert verdict.finding == "supported"


def test_labels_that_only_the_trained_net_knows_still_count() -> None:
    untrained = _centres(1, 0.1, 1)
    untrained[:, 6:] = np.nan
    verdict = judge(NAMES, NEED, _centres(1, 0.1, 0), untrained=untrained, layers=LAYERS)
    assert verdict.n == N
    assert verdict.trained.rho == judge(NAMES, NEED, _centres(1, 0.1, 0), layers=LAYERS).trained.rho


def test_rank_correlation_leaves_out_pairs_without_a_value() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, np.nan, 9.0, 4.0])
    assert spearman(first, second) == spearman(first[[0, 2, 3]], second[[0, 2, 3]]) == 0.5


def test_an_exception_is_named() -> None:
    centres = _centres(1, 0.0, 0)
    centres[:, 0] = 3.4
    verdict = judge(NAMES, NEED, centres, layers=LAYERS)
    assert verdict.exceptions == ("label 0",)
    assert "Exceptions: label 0." in verdict.paragraph


def test_one_layer_few_labels_or_equal_centres_say_nothing() -> None:
    assert judge(NAMES, NEED, np.ones((1, N)), layers=1).finding == "not supported"
    few = judge(NAMES[:4], NEED[:4], _centres(1, 0, 0)[:, :4], layers=LAYERS)
    assert few.finding == "not supported"
    assert str(FEWEST) in few.paragraph
    flat = judge(NAMES, NEED, np.full((1, N), 2.0), layers=LAYERS)
    assert flat.finding == "not supported"
    assert math.isnan(flat.trained.rho)


def test_spearman_equals_scipys() -> None:
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    first, second = random.integers(0, 5, 20).astype(float), random.normal(size=20)
    np.testing.assert_allclose(spearman(first, second), spearmanr(first, second).statistic)
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


@pytest.mark.parametrize(
    ("turn", "finding"), [(1, "supported"), (-1, "contradicted"), (0, "not supported")], ids=["up", "down", "level"]
)
def test_from_synthetic_recordings_to_the_verdict(turn: int, finding: str) -> None:
    """Three layers of states into which ten labels were written, clearly here and faintly there, then probed."""
    generator = torch.Generator().manual_seed(0)
    rows, count = 3000, 10
    groups = np.arange(rows) // 100
    values = torch.randint(0, 2, (count, rows), generator=generator)
    need = np.arange(count, dtype=float)
    # turn=0: which layer holds a label has nothing to do with its number.
    place = torch.tensor([4, 9, 1, 6, 3, 8, 0, 5, 7, 2]) if turn == 0 else torch.arange(count)
    height = (place / (count - 1) * 2 - 1) * (turn or 1)
    states = []
    for layer in (-1, 0, 1):
        clear = 1.0 + 0.7 * height * layer
        states.append(clear * (2.0 * values.T - 1) + torch.randn(rows, count, generator=generator))
    labels = Labels(tuple(map(str, range(count))), (2,) * count, values)
    centres = []
    for seed in (0, 1):
        split = Split.of(groups, seed)
        scores = [probe(standardise(layer, split.fit), labels, split).scores for layer in states]
        bits = np.array([[layer[m].bits() for layer in scores] for m in range(count)])
        marginal = np.array([marginal_bits(labels, split, scores[0][m], m) for m in range(count)])
        centres.append(centre_of_gravity(bits, marginal))
    assert judge(labels.names, need, np.array(centres), layers=LAYERS).finding == finding
