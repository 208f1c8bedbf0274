"""The reader and the writer of EDN, the format of Jepsen's histories."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.histories.formats.edn import (
    EdnError,
    TruncatedError,
    read_edn,
    read_forms,
    write_edn,
)

WORDS = st.from_regex(r":[a-z][a-z-]{0,6}", fullmatch=True)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | WORDS
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_reading_returns_the_value_that_was_written(value: object) -> None:
    assert read_edn(write_edn(value)) == value


@pytest.mark.parametrize(("text", "value"), [
    ("nil", None),
    ("42N", 42),
    ("-1.5e3", -1500.0),
    ("2.50M", 2.5),
    ("1/2", 0.5),
    ("##Inf", math.inf),
    (r'"a\n\"b\" \u00e9"', 'a\n"b" é'),
    (r"\newline", "\n"),
    (r"[\a \u0041]", ["a", "A"]),
    ("(1 2 ; a comment\n 3)", [1, 2, 3]),
    ("#{3 1 2}", [3, 1, 2]),
    ("{:a 1, [2 3] nil}", {":a": 1, (2, 3): None}),
    ('#inst "2026-01-01"', "2026-01-01"),
    ("#jepsen.history.Op{:f :read}", {":f": ":read"}),
    ("[1 #_ 2 #_ #_ 3 4 5]", [1, 5]),
    ("foo/bar?", "foo/bar?"),
    ('#object[java.lang.Object 0x1aF "java.lang.Object@1af"]',
     ["java.lang.Object", 0x1AF, "java.lang.Object@1af"]),
    ('#error {:via [{:type java.io.IOException, :at [a.b$c__1 invoke "b.clj" 7]}]}',
     {":via": [{":type": "java.io.IOException", ":at": ["a.b$c__1", "invoke", "b.clj", 7]}]}),
    ('[#"a+" #\'clojure.core/map #:jepsen{:a 1}]', ["a+", "#'clojure.core/map", {":a": 1}]),
])
def test_a_form_is_read(text: str, value: object) -> None:
    assert read_edn(text) == value


@pytest.mark.parametrize("text", ["]", "[1 }", "{:a}", "1x", "#_", "1 2", "", "1/0", "@"])
def test_text_that_is_not_edn_is_refused(text: str) -> None:
    with pytest.raises(EdnError):
        read_edn(text)


@pytest.mark.parametrize("text", ["[1 2", '"abc', "{:a [1}"[:5], "#tag"])
def test_text_that_ends_inside_a_form_raises_an_error_of_its_own_type(text: str) -> None:
    with pytest.raises(TruncatedError):
        read_edn(text)


def test_the_depth_of_forms_is_limited() -> None:
    with pytest.raises(EdnError, match="nested deeper"):
        read_edn("[" * 5000)


def test_forms_have_line_numbers_and_an_outer_vector_is_read_by_element() -> None:
    assert list(read_forms("1\n\n{:a\n 2}\n3")) == [(1, 1), (3, {":a": 2}), (5, 3)]
    assert list(read_forms("[1\n2]\n", enter=True)) == [(1, 1), (2, 2)]
