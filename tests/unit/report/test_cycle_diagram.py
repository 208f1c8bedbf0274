"""The SVG diagram of a cycle has a box for each transaction and an arrow for each step."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from splitbrain.checkers.transactions import check_transactions
from splitbrain.harness.report.anomaly.cycle_diagram import BOXES_MAX, cycle_diagram
from splitbrain.histories.transaction import Append, Read, Transaction
from tests.unit.checkers.transaction_notation import concurrent

SVG = "{http://www.w3.org/2000/svg}"


def cycle_of(transactions: list[Transaction]) -> dict[str, Any]:
    (found,) = check_transactions(transactions, "serializable").anomalies
    cycle: dict[str, Any] = found.detail["cycle"]
    return cycle


def ring(count: int) -> list[Transaction]:
    """Each appends to a key that the one before it read as empty."""
    return [
        Transaction(
            place, "ok", (Read(f"k{place}", ()), Append(f"k{(place + 1) % count}", 1)),
            place, count + place,
        )
        for place in range(count)
    ]


@pytest.mark.parametrize("count", [2, 3, 5, 8, 12, BOXES_MAX])
def test_each_transaction_has_a_box_and_each_step_an_arrow(count: int) -> None:
    drawn = ElementTree.fromstring(cycle_diagram(cycle_of(ring(count))))
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    boxes = [
        tuple(float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        for box in drawn.iter(f"{SVG}rect")
    ]
    assert len(boxes) == count
    assert len(list(drawn.iter(f"{SVG}path"))) == count
    for x, y, wide, high in boxes:
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
    for one in range(count):
        for x, y, _, _ in boxes[:one]:
            apart_x = abs(boxes[one][0] - x) >= boxes[one][2]
            apart_y = abs(boxes[one][1] - y) >= boxes[one][3]
            assert apart_x or apart_y


def test_what_a_transaction_did_stands_as_text_whatever_it_says() -> None:
    made = concurrent("rxay1", "ryax1")
    hostile = "<script>alert(1)</script>"
    made = [
        Transaction(
            one.process, "ok",
            tuple(
                Append(hostile, 1) if isinstance(two, Append) and two.key == "x"
                else Read(hostile, ()) if two.key == "x" else two
                for two in one.operations
            ),
            one.invoked, one.returned,
        )
        for one in made
    ]
    svg = cycle_diagram(cycle_of(made))
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    ElementTree.fromstring(svg)


def test_a_cycle_that_is_too_long_is_not_drawn() -> None:
    assert cycle_diagram(cycle_of(ring(BOXES_MAX + 1))) == ""


def test_the_long_list_that_a_transaction_read_is_wrapped_not_cut() -> None:
    (found,) = check_transactions(concurrent("rxay1", "ryax1"), "serializable").anomalies
    cycle = found.detail["cycle"]
    elements = [f"{number}.{number}" for number in range(40)]
    cycle["transactions"][0]["operations"] = [f"read x = [{' '.join(elements)}]"]
    drawn = ElementTree.fromstring(cycle_diagram(cycle))
    text = " ".join(one.text or "" for one in drawn.iter(f"{SVG}text"))
    assert all(element in text for element in elements)
