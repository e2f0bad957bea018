"""The course of the learning rate, and how its end is moved to keep the time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprnn.training.schedule import Course, TimeKeeper


def rates(course: Course, warm_up: int = 10) -> list[float]:
    return [course.learning_rate(step, highest=0.5, warm_up=warm_up) for step in range(course.steps)]


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    course = rates(Course(200))
    assert course[:10] == pytest.approx([0.05 * (step + 1) for step in range(10)])
    assert max(course) == 0.5
    assert all(a >= b for a, b in pairwise(course[10:]))
    assert course[105] == pytest.approx(0.25)
    assert course[-1] == pytest.approx(0.5 / 190)
    assert rates(Course(1)) == [0.5]


@given(st.integers(1, 500), st.lists(st.tuples(st.integers(0, 500), st.integers(1, 900)), max_size=4))
def test_a_change_touches_nothing_before_it_and_the_rate_still_falls_to_nothing(
    planned: int, wanted: list[tuple[int, int]]
) -> None:
    course = Course(planned)
    for at, left in sorted(wanted):
        if at < course.steps and (not course.changes or at >= course.changes[-1][0]):
            moved = course.change(at, at + left)
            assert moved.steps == at + left
            assert rates(moved)[: at + 1] == pytest.approx(rates(course)[: at + 1])
            assert rates(moved)[:at] == rates(course)[:at]
            course = moved
    parts = [course.part(step) for step in range(course.steps + 1)]
    assert parts[0] == 0
    assert parts[-1] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(parts))


@pytest.mark.parametrize(
    ("planned", "changes"),
    [(0, ()), (10, ((10, 12),)), (10, ((5, 5),)), (10, ((-1, 5),)), (10, ((6, 8), (4, 7))), (10, ((6, 8), (8, 9)))],
)
def test_an_impossible_course_is_refused(planned: int, changes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="course"):
        Course(planned, changes)


@pytest.mark.parametrize("slower", [0.3, 0.5, 0.9, 0.98, 1.0, 1.02, 1.05, 1.2, 3.0, 10.0])
def test_time_is_kept_on_a_machine_that_turns_slow_or_fast(slower: float) -> None:
    course, keeper, passed, step = Course(1000), TimeKeeper(100.0, 0.0), 0.0, 0
    while step < course.steps:
        seconds = 0.1 * (slower if step >= 300 else 1.0)
        passed += seconds
        keeper.add(seconds)
        step += 1
        end = keeper.better_end(step, course)
        if end is not None:
            course = course.change(step, end)
    assert 97 <= passed <= 103
    if 0.98 <= slower <= 1.02:  # off by 2 at most
        assert course.changes == ()


def test_no_end_is_moved_to_where_it_is_or_after_the_last_step() -> None:
    course, keeper = Course(13), TimeKeeper(40.4, 0.0)
    for step in range(1, 14):
        keeper.add(3.0)
        assert keeper.better_end(step, course) is None


def test_a_rise_that_is_cut_short_is_followed_by_its_fall() -> None:
    course = rates(Course(1000).change(20, 100), warm_up=100)
    assert max(course) == pytest.approx(0.5, rel=0.05)
    assert 20 < course.index(max(course)) < 40
    assert course[-1] < 0.02


def test_a_disturbance_that_is_over_moves_nothing() -> None:
    course, keeper = Course(600), TimeKeeper(60.0, 0.0)
    for step in range(600):
        keeper.add(0.15 if 40 <= step < 60 else 0.1)  # a second is lost
        assert keeper.better_end(step + 1, course) is None


def test_steps_that_were_taken_before_are_not_judged_again() -> None:
    course, keeper = Course(1000, ((300, 400),)), TimeKeeper(100.0, 95.0)
    keeper.add(50.0)
    assert keeper.better_end(300, course) is None
    keeper.add(50.0)
    assert keeper.better_end(301, course) == 321
