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
"""Separates two segments of one line."""


def floats(numbers: Iterable[float]) -> TypedArray:
    """Numbers in single precision. With its 24 bits, a time of 100 s is exact to 8 µs."""
    return _typed("f", "f4", array("f", numbers))


def doubles(numbers: Iterable[float]) -> TypedArray:
    """Numbers in double precision."""
    return _typed("d", "f8", array("d", numbers))


def integers(numbers: Iterable[int]) -> TypedArray:
    """Signed integers of 32 bits."""
    return _typed("i", "i4", array("i", numbers))


def times(seconds: Iterable[float]) -> TypedArray:
    """Seconds of a run, in single precision if that is exact to 10 µs, else in double."""
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
