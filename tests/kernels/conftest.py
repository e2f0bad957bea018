"""What the kernels' tests share."""

from collections.abc import Generator

import pytest
import torch

from deeprnn.kernels import INSTRUCTION_SETS, info, instruction_set


@pytest.fixture(autouse=True)
def outputs_start_as_nan() -> Generator[None]:
    """torch.empty fills with NaN, so that an element which no kernel wrote shows."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    assert torch.zeros(()).new_empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(params=INSTRUCTION_SETS)
def isa(request: pytest.FixtureRequest) -> Generator[str]:
    """Every instruction set; those that this machine lacks are skipped."""
    if request.param not in info().available:
        pytest.skip(f"this processor has no {request.param}")
    with instruction_set(request.param):
        yield request.param


@pytest.fixture
def threads() -> Generator[None]:
    """Lets a test change the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not info().built:
        for item in items:
            if "kernels" in item.path.parts and "without_kernels" not in item.name:
                item.add_marker(pytest.mark.skip(reason="the package was installed without its compiled kernels"))
