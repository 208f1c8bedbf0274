"""The texts in verdicts are short."""

from __future__ import annotations

from splitbrain.checkers import wording
from splitbrain.histories.kv import Put


def test_a_long_value_is_shown_by_its_beginning_and_its_length() -> None:
    assert wording.request(Put("k", "1.2")) == "put k='1.2'"
    assert wording.value("x" * wording.VALUE_SHOWN) == repr("x" * wording.VALUE_SHOWN)
    said = wording.request(Put("k", "3.14" + "~" * 3996))
    assert said == f"put k={'3.14' + '~' * 26!r}… (4,000 characters)"
