"""Two workers share the suite: everything that needs the real engine or a real broker stays together in one of them,
one test after another, while the other runs what needs only a processor."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.xdist_group("real"))
