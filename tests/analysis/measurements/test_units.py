"""Single units, against scikit-learn's AUC and against processes of known time scales."""

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from deeprnn.analysis.measurements.units import auc, autocorrelation_time, best_units, saturation
from deeprnn.analysis.probes.examples import Labels, Split

FILES, PER_FILE, WIDTH = 10, 200, 9
GROUPS = np.arange(FILES * PER_FILE) // PER_FILE


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_auc_equals_scikit_learns_with_ties_and_unscored_rows() -> None:
    states = torch.randint(0, 6, (80, 4), generator=_generator(0)).float()
    classes = torch.randint(0, 3, (80,), generator=_generator(1))
    positive = torch.nn.functional.one_hot(classes, 3).bool()
    scored = torch.ones(80, 3, dtype=torch.bool)
    scored[::3, 1] = False
    positive[~scored] = False
    found = auc(states, positive, scored)
    for c in range(3):
        for unit in range(4):
            kept = scored[:, c]
            expected = roc_auc_score(positive[kept, c].numpy(), states[kept, unit].numpy())
            np.testing.assert_allclose(found[c, unit], expected)


def test_a_class_of_no_rows_has_no_auc() -> None:
    assert torch.isnan(auc(torch.randn(5, 2), torch.zeros(5, 1).bool(), torch.ones(5, 1).bool())).all()


def _runs(seed: int) -> Tensor:
    """A label that stays the same for 25 rows at a time, as labels of a text do."""
    return torch.randint(0, 2, (FILES * PER_FILE // 25,), generator=_generator(seed)).repeat_interleave(25)


def test_the_unit_that_tells_a_class_is_found_and_a_label_of_nothing_is_not() -> None:
    told, untold = _runs(0), _runs(1)
    states = torch.randn(len(GROUPS), WIDTH, generator=_generator(2))
    # Units change slowly too: by chance alone such a unit can go with such a label.
    states = states.cumsum(0) - torch.cat([torch.zeros(25, WIDTH), states.cumsum(0)[:-25]])
    states[:, 6] = -2.0 * told + 0.5 * torch.randn(len(GROUPS), generator=_generator(3))
    labels = Labels(("told", "untold"), (2, 2), torch.stack([told, untold]))
    found = best_units(states, labels, Split.of(GROUPS, seed=0), shifts=99)
    by_class = {(one.label, one.label_class): one for one in found}
    assert len(found) == 4
    assert by_class["told", 1].unit == 6
    assert by_class["told", 1].auc < 0.02
    np.testing.assert_allclose(by_class["told", 0].auc, 1 - by_class["told", 1].auc)
    assert by_class["told", 1].p == 0.01
    assert by_class["untold", 1].p > 0.05


def test_chance_is_found_as_often_as_p_says() -> None:
    ps: list[float] = []
    for seed in range(40):
        states = torch.randn(len(GROUPS), WIDTH, generator=_generator(100 + seed))
        labels = Labels(("nothing",), (2,), _runs(200 + seed)[None])
        ps.append(best_units(states, labels, Split.of(GROUPS, seed=0), shifts=19, seed=seed)[0].p)
    assert sum(p <= 0.05 for p in ps) <= 7
    assert 0.3 < np.mean(ps) < 0.7


def test_saturation_counts_both_ends() -> None:
    gate = torch.tensor([[0.95, 0.5], [0.99, 0.05], [0.2, 0.01], [0.91, 0.5]])
    opened, shut = saturation(gate.reshape(2, 2, 2))
    assert (opened.tolist(), shut.tolist()) == ([0.75, 0.0], [0.0, 0.5])


def test_the_autocorrelation_time_of_a_known_process() -> None:
    steps, batch = 4000, 8
    noise = torch.randn(steps, batch, 2, generator=_generator(0))
    states = torch.zeros(steps, batch, 2)
    keep = torch.tensor([0.5, 0.9])
    for t in range(1, steps):
        states[t] = keep * states[t - 1] + noise[t]
    found = autocorrelation_time(states, torch.full((batch,), steps))
    np.testing.assert_allclose(found, -1 / np.log(keep.numpy()), rtol=0.12)


def test_what_lies_beyond_a_files_end_does_not_count() -> None:
    states = torch.randn(300, 3, 2, generator=_generator(0)).cumsum(0)
    lengths = torch.tensor([300, 200, 250])
    dirty = states.clone()
    for column, length in enumerate(lengths.tolist()):
        dirty[length:, column] = 1e6
    np.testing.assert_allclose(autocorrelation_time(dirty, lengths), autocorrelation_time(states, lengths))


def test_a_unit_that_is_still_has_no_time() -> None:
    assert np.isnan(autocorrelation_time(torch.full((50, 2, 1), 0.3), torch.tensor([50, 50]))).all()
