"""The step search: finds what exists, admits what does not, and never breaks a ceiling."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarzip.pipeline.step_search import STEP_RANGE, Target, search_step


def size_of(scale: float, bend: float):
    """Bytes that fall with the step like a real rate curve: straight, then bending towards a floor."""
    return lambda step: 100 + scale * math.log2(1 + bend / step**2)


@given(st.floats(1e3, 1e9), st.floats(0.3, 200), st.floats(0.1, 40), st.floats(0.1, 40))
def test_finds_a_rate_that_exists(scale, bend, wanted_step, start):
    measure = size_of(scale, bend)
    found = search_step(measure, Target(measure(wanted_step), 0.02, rising=False), start)
    assert found.met and found.value == measure(found.step)


@given(st.floats(1e4, 1e9), st.floats(0.3, 200), st.floats(0.1, 40))
def test_a_ceiling_is_never_broken(scale, bend, wanted_step):
    measure = size_of(scale, bend)
    found = search_step(measure, Target(measure(wanted_step), 0.02, rising=False, ceiling=True), 2.5)
    assert found.met and found.value <= measure(wanted_step)


@given(st.floats(0.05, 10))
def test_finds_a_distortion(wanted):
    def measure(step: float) -> float:
        return 4 * math.tanh(step / 12) + 0.02

    found = search_step(measure, Target(wanted, 0.02, rising=True), 2.5)
    assert found.met == (measure(STEP_RANGE[0]) * 0.98 <= wanted <= measure(STEP_RANGE[1]) * 1.02)


def test_unreachable_gives_the_nearest():
    found = search_step(lambda step: 500 / step, Target(1e9, 0.02, rising=False), 2.5)
    assert not found.met and found.step == pytest.approx(STEP_RANGE[0])
    found = search_step(lambda step: 500 + step * 0, Target(100, 0.02, rising=False, ceiling=True), 2.5)
    assert not found.met and found.value == 500


def test_few_evaluations():
    calls = []

    def measure(step: float) -> float:
        calls.append(step)
        return size_of(1e6, 30)(step)

    assert search_step(measure, Target(5e5, 0.02, rising=False), 2.5).met
    assert len(calls) <= 6
