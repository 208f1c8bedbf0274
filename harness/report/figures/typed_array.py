"""Encodes numbers as typed arrays in base64, which plotly.js reads without parsing.

The encoded form takes a fifth of the space of decimal numbers, and plotly does not validate it.
"""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Iterable
from typing import Literal

TypedArray = dict[str, str]
"""Plotly's form of a typed array, with the keys `dtype` and `bdata`."""

GAP = float("nan")
"""A value that ends one segment of a line; the next value begins a new segment."""


def floats(numbers: Iterable[float]) -> TypedArray:
    """Encode numbers in single precision.

    Single precision has 24 bits, so a time of 100 s is exact to 8 µs.
    """
    return _typed("f", "f4", array("f", numbers))


def doubles(numbers: Iterable[float]) -> TypedArray:
    """Encode numbers in double precision."""
    return _typed("d", "f8", array("d", numbers))


def integers(numbers: Iterable[int]) -> TypedArray:
    """Encode numbers as signed integers of 32 bits."""
    return _typed("i", "i4", array("i", numbers))


def times(seconds: Iterable[float]) -> TypedArray:
    """Encode times in s since the start of the run.

    The numbers have single precision if that is exact to 10 µs, and double precision otherwise.
    """
    numbers = array("d", seconds)
    longest = max((number for number in numbers if number == number), default=0.0)
    return floats(numbers) if longest < 128 else doubles(numbers)


def _typed(
    code: Literal["f", "d", "i"], dtype: str, numbers: array[float] | array[int]
) -> TypedArray:
    if sys.byteorder == "big":
        numbers = array(code, numbers)
        numbers.byteswap()
    return {"dtype": dtype, "bdata": base64.b64encode(numbers.tobytes()).decode()}
