r"""Decides which values in the histories of other tools are equal.

Python treats 1, 1.0 and True as equal, but other tools distinguish some of them. `identity` maps a
value to an int, a str or None. Values have different identities if the tool that wrote the file
treats them as different:

    true, 1, "1"            are different
    1 and 1.0               are equal in JSON and different in EDN
    :a, "a", a, \a          (a keyword, a string, a symbol, a character) are different
    4.2, 4.2M, 21/5         (a float, a decimal, a ratio) are different
    [1 2] and (1 2)         are equal
    #{1 2}                  differs from [1 2] and equals #{2 1}
    {"a": 1, "b": 2}        equals {"b": 2, "a": 1}

The readers of EDN return the marker types of this module for values that plain types cannot
express. A marker is equal to the plain value; only `identity` and `value_text` distinguish them.

Source: Clojure's `=`; JSON has one type of number.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import msgspec


class Text(str):
    """An EDN string that looks like a keyword, such as ":a"."""

    __slots__ = ()


class Symbol(str):
    """An EDN symbol, such as foo."""

    __slots__ = ()


class Character(str):
    """An EDN character, such as \\a."""

    __slots__ = ()


class Tagged(str):
    """An EDN string with a tag, such as #inst "2026-01-01". `tag` starts with #."""

    __slots__ = ("tag",)
    tag: str


class Float(float):
    """An EDN floating-point number. It differs from every integer."""

    __slots__ = ()


class Fraction(float):
    """An EDN ratio or decimal, such as 1/2 or 4.2M. `text` is its canonical form."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def ratio(cls, above: int, below: int) -> Fraction | int:
        """Return the ratio `above`/`below`; an int if it is a whole number."""
        if above % below == 0:
            return above // below
        common = math.gcd(above, below)
        made = cls(above / below)
        made.text = f"{above // common}/{below // common}"
        return made

    @classmethod
    def decimal(cls, text: str) -> Fraction:
        """Return the EDN decimal whose text, without the final M, is `text`."""
        sign, digits, exponent = Decimal(text).as_tuple()
        plain = "".join(map(str, digits)).lstrip("0")
        zeros = len(plain) - len(plain.rstrip("0"))
        made = cls(text)
        made.text = f"{'-' * sign}{plain.rstrip('0')}e{int(exponent) + zeros}M" if plain else "0M"
        return made


class EdnSet(list[Any]):
    """The elements of an EDN set in the order written. The order has no meaning."""

    __slots__ = ()


_UNAMBIGUOUS = re.compile(r"[^\W\d][^\"\\]*|:[^\"\\]*|[/@$%&*=?!<>~^|][^\"\\]*")
"""Strings that are written without quotes, because no other value has such a text."""
_KEYWORD = re.compile(r":[^\s,;\"\\\[\]{}()]*")
_WORDS = frozenset(("true", "false", "null", "nan", "inf"))


def identity(value: Any) -> int | str | None:
    """Return `value` as an int, a str or None. Different values have different identities."""
    if value is None or type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    return value_text(value)


def value_text(value: Any) -> str:
    """Return `value` as text. Different values have different texts.

    A string is written without quotes unless the text could be confused with that of another
    value.
    """
    if isinstance(value, str):
        if type(value) is str and value not in _WORDS and _UNAMBIGUOUS.fullmatch(value):
            return value
        return _string(value)
    return _other(value)


def _string(value: str) -> str:
    if type(value) is Symbol:
        return f"'{value}"
    if type(value) is Character:
        return f"\\{value}"
    if type(value) is str and _KEYWORD.fullmatch(value):
        return value
    quoted = msgspec.json.encode(str(value)).decode()
    if type(value) is Tagged:
        return f"{value.tag} {quoted}"
    return f"#{quoted}" if type(value) is str and value.startswith(":") else quoted


def _other(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Fraction):
        return value.text
    if isinstance(value, float):
        return _float(value)
    # One call for each level of nesting. The readers limit the nesting, so Python's limit of
    # recursion is not reached.
    if isinstance(value, list | tuple):
        texts = []
        for one in value:
            texts.append(_string(one) if isinstance(one, str) else _other(one))
        if isinstance(value, EdnSet):
            return f"#{{{', '.join(sorted(texts))}}}"
        return f"[{', '.join(texts)}]"
    if isinstance(value, dict):
        pairs = []
        for key, one in value.items():
            text = _string(one) if isinstance(one, str) else _other(one)
            pairs.append(f"{_string(key) if isinstance(key, str) else _other(key)}: {text}")
        return f"{{{', '.join(sorted(pairs))}}}"
    return str(value)


def _float(value: float) -> str:
    """Return the text of a float. A JSON float that equals an integer has the integer's text."""
    if type(value) is not Float and value.is_integer():
        return str(int(value))
    return repr(value + 0.0)
