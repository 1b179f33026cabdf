"""Fixtures for the maneuvers of slots."""

import pytest

from tests.support.swap_lab import SwapLab


@pytest.fixture
def lab():
    """Makes boxes with a slot; they are closed at the end."""
    made = []

    def make(**more):
        made.append(SwapLab(**more))
        return made[-1]

    yield make
    for one in made:
        one.close()
