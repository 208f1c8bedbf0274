"""A sample of `python -m tests.conformance.exhaustive`, in which hypothesis shrinks a failure."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.exhaustive import agree
from tests.conformance.small_objects import OBJECTS, histories


@pytest.mark.parametrize("name", OBJECTS)
def test_the_verdict_equals_that_of_trying_all_permutations(name: str) -> None:
    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        agree(OBJECTS[name], data.draw(histories(OBJECTS[name])))

    check()
