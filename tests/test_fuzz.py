"""The first 500 of the 10,000 hostile inputs of `bench/fuzz.py`."""

import pytest

from bench import fuzz


@pytest.mark.parametrize("start", range(0, 500, 50))
def test_hostile_input_is_accepted_or_refused_in_one_line(start):
    problems = [outcome for outcome in map(fuzz.attempt, range(start, start + 50)) if "PROBLEM" in outcome.result]
    assert not problems


def test_an_input_is_the_same_each_time():
    assert [fuzz.attempt(index).result for index in range(20)] == [fuzz.attempt(index).result for index in range(20)]
