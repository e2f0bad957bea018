"""The course of the learning rate, and how it is cut short."""

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
    assert 0 < course[-1] < 1e-4
    assert rates(Course(1)) == [0.5]


@given(st.integers(1, 500), st.lists(st.integers(0, 500), max_size=4))
def test_a_cut_changes_nothing_before_it_and_still_falls_to_nothing(planned: int, wanted: list[int]) -> None:
    course = Course(planned)
    for at in sorted(wanted):
        if course.steps - at >= 2 and (not course.cuts or at >= course.cuts[-1][0]):
            shorter = course.cut(at, at + (course.steps - at) // 2)
            assert rates(shorter)[: at + 1] == pytest.approx(rates(course)[: at + 1])
            assert rates(shorter)[:at] == rates(course)[:at]
            course = shorter
    parts = [course.part(step) for step in range(course.steps + 1)]
    assert parts[0] == 0
    assert parts[-1] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(parts))


@pytest.mark.parametrize(("planned", "cuts"), [(0, ()), (10, ((5, 10),)), (10, ((5, 5),)), (10, ((6, 8), (4, 7)))])
def test_an_impossible_course_is_refused(planned: int, cuts: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="course"):
        Course(planned, cuts)


@pytest.mark.parametrize("slower", [0.5, 1.0, 1.02, 1.05, 1.2, 3.0, 10.0])
def test_time_is_kept_on_a_machine_that_turns_slow(slower: float) -> None:
    course, keeper, passed, step = Course(1000), TimeKeeper(100.0, 0.0), 0.0, 0
    while step < course.steps:
        seconds = 0.1 * (slower if step >= 300 else 1.0)
        passed += seconds
        keeper.add(seconds)
        step += 1
        end = keeper.shorter_end(step, course)
        if end is not None:
            course = course.cut(step, end)
    assert passed <= 103
    if slower <= 1.02:  # late by 2 at most
        assert course.cuts == ()


def test_a_disturbance_that_is_over_cuts_nothing() -> None:
    course, keeper = Course(600), TimeKeeper(60.0, 0.0)
    for step in range(600):
        keeper.add(0.15 if 40 <= step < 60 else 0.1)  # a second is lost
        assert keeper.shorter_end(step + 1, course) is None


def test_steps_that_were_taken_before_are_not_cut_again() -> None:
    course, keeper = Course(1000, ((300, 400),)), TimeKeeper(100.0, 95.0)
    keeper.add(50.0)
    assert keeper.shorter_end(300, course) is None
    keeper.add(50.0)
    assert keeper.shorter_end(301, course) == 321
