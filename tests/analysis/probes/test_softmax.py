"""The probes' solver, against scikit-learn and against what is known of its objective."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from deeprnn.analysis.probes.features import Concatenated, Dense, Features, OneHot
from deeprnn.analysis.probes.softmax import Blocks, fit

SIZES = (3, 5, 4)


def _correlated(rows: int = 900, width: int = 13) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, width, generator=generator) @ torch.randn(width, width, generator=generator)
    return (x - x.mean(0)) / x.std(0)


def _labels(x: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    noisy = [
        (x @ torch.randn(x.shape[1], k, generator=generator) + 2 * torch.randn(len(x), k, generator=generator)).argmax(
            1
        )
        for k in SIZES
    ]
    labels = torch.stack(noisy)
    labels[1, ::4] = -1
    return labels


@pytest.mark.parametrize("penalty", [0.5, 30.0])
def test_all_labels_in_one_fit_equal_scikit_learns_one_by_one(penalty: float) -> None:
    x = _correlated()
    labels = _labels(x)
    fitted = fit(Dense(x), labels, SIZES, penalty=penalty, tolerance=1e-6, iterations=500)
    for label, part, ours in zip(labels, fitted.blocks.slices, fitted.log_probabilities(Dense(x)), strict=True):
        scored = label >= 0
        theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=5000)
        theirs.fit(x[scored].double().numpy(), label[scored].numpy())
        # The classes' weights are determined up to a common vector, which the penalty puts to 0 in both.
        np.testing.assert_allclose(fitted.weight[:, part].T.numpy(), theirs.coef_, atol=2e-3)
        np.testing.assert_allclose(ours.exp().numpy(), theirs.predict_proba(x.double().numpy()), atol=5e-4)


def test_one_hot_windows_equal_scikit_learns_on_the_matrix_written_out() -> None:
    generator = torch.Generator().manual_seed(3)
    window = torch.randint(-1, 6, (700, 4), generator=generator)
    label = (window[:, 0] + 2 * window[:, 2]).clamp(0, 7) % 3
    features = OneHot(window, 6, scale=2.0)
    written_out = features.times(torch.eye(features.width))
    assert written_out.sum(1).unique().tolist() == [8.0]
    fitted = fit(features, label[None], [3], penalty=5.0, tolerance=1e-6, iterations=500)
    theirs = LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=5000).fit(written_out.double().numpy(), label.numpy())
    ours = fitted.log_probabilities(features)[0].exp()
    np.testing.assert_allclose(ours.numpy(), theirs.predict_proba(written_out.double().numpy()), atol=1e-3)


def _kinds() -> dict[str, Features]:
    generator = torch.Generator().manual_seed(4)
    window, dense = torch.randint(-1, 5, (31, 3), generator=generator), torch.randn(31, 7, generator=generator)
    return {"one-hot": OneHot(window, 5, 3.0), "beside": Concatenated(OneHot(window, 5), Dense(dense))}


@pytest.mark.parametrize("kind", ["one-hot", "beside"])
def test_products_are_those_of_the_matrix_written_out(kind: str) -> None:
    features = _kinds()[kind]
    matrix = features.times(torch.eye(features.width))
    assert matrix.shape == (features.rows, features.width)
    values = torch.randn(features.rows, 4, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(features.transposed_times(values), matrix.T @ values)
    rows = torch.tensor([3, 0, 30, 3])
    torch.testing.assert_close(features.take(rows).times(torch.eye(features.width)), matrix[rows])


def test_a_label_is_fitted_as_if_it_were_alone() -> None:
    x = _correlated()
    labels = _labels(x)
    together = fit(Dense(x), labels, SIZES, tolerance=1e-6, iterations=500)
    alone = fit(Dense(x), labels[1:2], SIZES[1:2], tolerance=1e-6, iterations=500)
    torch.testing.assert_close(together.weight[:, together.blocks.slices[1]], alone.weight, atol=1e-3, rtol=0)


def test_each_label_has_the_penalty_given_for_it() -> None:
    x = _correlated()
    labels = _labels(x)
    penalties = torch.tensor([1.0, 100.0, 10_000.0])
    mixed = fit(Dense(x), labels, SIZES, penalty=penalties, tolerance=1e-6, iterations=500)
    for part, penalty in zip(mixed.blocks.slices, penalties.tolist(), strict=True):
        one = fit(Dense(x), labels, SIZES, penalty=penalty, tolerance=1e-6, iterations=500)
        torch.testing.assert_close(mixed.weight[:, part], one.weight[:, part], atol=1e-3, rtol=0)


def test_a_start_elsewhere_ends_at_the_same_place() -> None:
    x = _correlated()
    labels = _labels(x)
    weak = fit(Dense(x), labels, SIZES, penalty=1000.0)
    from_zero = fit(Dense(x), labels, SIZES, penalty=3.0, tolerance=1e-6, iterations=500)
    from_weak = fit(Dense(x), labels, SIZES, penalty=3.0, tolerance=1e-6, iterations=500, start=weak)
    torch.testing.assert_close(from_zero.weight, from_weak.weight, atol=1e-3, rtol=0)


def test_few_iterations_are_enough_for_correlated_features() -> None:
    x = _correlated(width=60)
    fitted = fit(Dense(x), _labels(x), SIZES, penalty=100.0, tolerance=1e-4)
    assert fitted.gradient <= 1e-4
    assert fitted.iterations <= 40


def test_a_label_that_is_never_scored_harms_no_other() -> None:
    x = _correlated()
    labels = _labels(x)
    labels[0] = -1
    fitted = fit(Dense(x), labels, SIZES)
    assert torch.isfinite(fitted.weight).all()
    assert not fitted.weight[:, fitted.blocks.slices[0]].any()
    assert fitted.weight[:, fitted.blocks.slices[1]].any()


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="need \\(2, 5\\)"):
        fit(Dense(torch.zeros(5, 3)), torch.zeros(2, 6, dtype=torch.long), [2, 2])


def test_blocks_sum_their_own_columns() -> None:
    assert Blocks((2, 1)).sum(torch.tensor([1.0, 2.0, 4.0])).tolist() == [3.0, 4.0]
