"""The benchmark of watchers runs with small numbers, and no event is lost."""

from __future__ import annotations

import pytest

from tests.benchmarks import watchers

pytestmark = pytest.mark.cluster


def test_no_event_is_lost_or_out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("WATCHERS", 100), ("BUSY", 3), ("EVENTS_PER_S", 200), ("SECONDS", 2), ("END_S", 30.0),
    ):  # fmt: skip
        monkeypatch.setattr(watchers, name, value)
    lost, _delay = watchers.run()
    assert "of 400 to each of 3 watchers" in lost.name
    assert lost.value == 0
