"""The schedule of the learning rate, and how its end is moved to keep the time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprnn.training.schedule import Schedule, TimeBudget


def rates(schedule: Schedule, warm_up: int = 10) -> list[float]:
    return [schedule.learning_rate(step, peak=0.5, warm_up=warm_up) for step in range(schedule.steps)]


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    schedule = rates(Schedule(200))
    assert schedule[:10] == pytest.approx([0.05 * (step + 1) for step in range(10)])
    assert max(schedule) == 0.5
    assert all(a >= b for a, b in pairwise(schedule[10:]))
    assert schedule[105] == pytest.approx(0.25)
    assert schedule[-1] == pytest.approx(0.5 / 190)
    assert rates(Schedule(1)) == [0.5]


@given(st.integers(1, 500), st.lists(st.tuples(st.integers(0, 500), st.integers(1, 900)), max_size=4))
def test_a_change_touches_nothing_before_it_and_the_rate_still_falls_to_nothing(
    planned: int, wanted: list[tuple[int, int]]
) -> None:
    schedule = Schedule(planned)
    for at, left in sorted(wanted):
        if at < schedule.steps and (not schedule.changes or at >= schedule.changes[-1][0]):
            moved = schedule.change(at, at + left)
            assert moved.steps == at + left
            assert rates(moved)[: at + 1] == pytest.approx(rates(schedule)[: at + 1])
            assert rates(moved)[:at] == rates(schedule)[:at]
            schedule = moved
    parts = [schedule.progress(step) for step in range(schedule.steps + 1)]
    assert parts[0] == 0
    assert parts[-1] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(parts))


@pytest.mark.parametrize(
    ("planned", "changes"),
    [(0, ()), (10, ((10, 12),)), (10, ((5, 5),)), (10, ((-1, 5),)), (10, ((6, 8), (4, 7))), (10, ((6, 8), (8, 9)))],
)
def test_an_impossible_schedule_is_refused(planned: int, changes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="schedule"):
        Schedule(planned, changes)


@pytest.mark.parametrize("slower", [0.3, 0.5, 0.9, 0.98, 1.0, 1.02, 1.05, 1.2, 3.0, 10.0])
def test_time_is_kept_on_a_machine_that_turns_slow_or_fast(slower: float) -> None:
    schedule, budget, passed, step = Schedule(1000), TimeBudget(100.0, 0.0), 0.0, 0
    while step < schedule.steps:
        seconds = 0.1 * (slower if step >= 300 else 1.0)
        passed += seconds
        budget.add(seconds)
        step += 1
        end = budget.revised_end(step, schedule)
        if end is not None:
            schedule = schedule.change(step, end)
    assert 97 <= passed <= 103
    if 0.98 <= slower <= 1.02:  # off by 2 at most
        assert schedule.changes == ()


def test_no_end_is_moved_to_where_it_is_or_after_the_last_step() -> None:
    schedule, budget = Schedule(13), TimeBudget(40.4, 0.0)
    for step in range(1, 14):
        budget.add(3.0)
        assert budget.revised_end(step, schedule) is None


def test_a_rise_that_is_cut_short_is_followed_by_its_fall() -> None:
    schedule = rates(Schedule(1000).change(20, 100), warm_up=100)
    assert max(schedule) == pytest.approx(0.5, rel=0.05)
    assert 20 < schedule.index(max(schedule)) < 40
    assert schedule[-1] < 0.02


def test_a_disturbance_that_is_over_moves_nothing() -> None:
    schedule, budget = Schedule(600), TimeBudget(60.0, 0.0)
    for step in range(600):
        budget.add(0.15 if 40 <= step < 60 else 0.1)  # a second is lost
        assert budget.revised_end(step + 1, schedule) is None


def test_steps_that_were_taken_before_are_not_judged_again() -> None:
    schedule, budget = Schedule(1000, ((300, 400),)), TimeBudget(100.0, 95.0)
    budget.add(50.0)
    assert budget.revised_end(300, schedule) is None
    budget.add(50.0)
    assert budget.revised_end(301, schedule) == 321
