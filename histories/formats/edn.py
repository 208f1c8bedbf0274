"""Reads and writes EDN, as Clojure's `pr` writes it. EDN becomes these plain values:

    nil true false      None, True, False
    42 42N 4.2 4.2M 1/2 int, int, Float, Fraction, Fraction
    "text" \\c           str, Character
    :word word          str, Symbol; a keyword keeps its colon
    [1 2] (1 2) #{1 2}  list, list, EdnSet; in the order written
    {:a 1}              dict; keys that are lists become tuples
    #tag "text"         Tagged
    #tag value          any other value without its tag; the namespace of #:name{…} is dropped, too
    #"expression" #'x   str; they occur in printed exceptions and objects
    0x1f                int

The types with a capital are those of `splitbrain.histories.formats.value_identity`. Each is a
subclass of str, float or list.

The package edn_format 0.8.0, the maintained reader on PyPI, is too slow: it reads 2,500 lines
of a list-append history per second, so a million operations take 13 minutes.

Source: github.com/edn-format/edn.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.value_identity import (
    Character,
    EdnSet,
    Float,
    Fraction,
    Symbol,
    Tagged,
    Text,
)

DEPTH_MAX = 200
DIGITS_MAX = 4_000
"""The limit of the digits of a number. Python refuses to convert more than 4,300."""

_TOKEN = re.compile(
    r"""[\s,]+
    |;[^\n]*
    |(?P<string>\#?"(?:[^"\\]|\\.)*")
    |(?P<character>\\(?:newline|return|space|tab|formfeed|backspace|u[0-9a-fA-F]{4}|.))
    |(?P<open>\#\{|[\[({])
    |(?P<close>[\])}])
    |(?P<discard>\#_)
    |(?P<special>\#\#(?:Inf|-Inf|NaN))
    |(?P<tag>\#:{0,2}[A-Za-z][^\s,"\\;\[\](){}]*)
    |(?P<number>[+-]?\d[^\s,"\\;\[\](){}]*)
    |(?P<word>(?:\#')?[^\s,"\\;\[\](){}\#@^`~][^\s,"\\;\[\](){}]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(
    r"([+-]?\d+)N?|([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)M?|([+-]?\d+)/(\d+)|([+-]?0[xX][\da-fA-F]+)N?"
)
_ESCAPE = re.compile(
    r"\\(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{1,3}|.)",
    re.DOTALL,
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_CHARACTERS = {
    "newline": "\n", "return": "\r", "space": " ", "tab": "\t", "formfeed": "\f",
    "backspace": "\b",
}
_SPECIAL = {"##Inf": Float(math.inf), "##-Inf": Float(-math.inf), "##NaN": Float(math.nan)}
_WORDS: dict[str, Any] = {"nil": None, "true": True, "false": False}
_CLOSES = {"[": "]", "(": ")", "{": "}", "#{": "}"}


class EdnError(HistoryError):
    """Raised for text that is not EDN. `at` is the offset of the error in the text."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


class TruncatedError(EdnError):
    """Raised if the text ends inside a form, as in a file that was cut short."""


def read_edn(text: str) -> Any:
    """Return the single form in `text`. Raises EdnError."""
    forms = [form for _, form in read_forms(text)]
    if len(forms) != 1:
        raise EdnError(0, f"{len(forms)} forms where one is expected")
    return forms[0]


def read_forms(text: str, enter: bool = False) -> Iterator[tuple[int, Any]]:
    """Yield the forms of `text`, each with the number of its line, from 1.

    With `enter`, if the whole text is one vector or list, its elements are returned one by
    one. Raises EdnError, or TruncatedError if the text ends inside a form.
    """
    breaks = [place for place, letter in enumerate(text) if letter == "\n"]
    for at, form in _Reader(text, enter).forms():
        yield bisect_right(breaks, at) + 1, form


class _Reader:
    def __init__(self, text: str, enter: bool) -> None:
        self._text = text
        self._enter = enter
        self._tokens = (
            (found.lastgroup, found.group(), found.start())
            for found in _TOKEN.finditer(text)
            if found.lastgroup is not None
        )

    def forms(self) -> Iterator[tuple[int, Any]]:
        """Yield the forms of the text, each with the number of its line."""
        entered = ""
        first = True
        for kind, token, at in self._tokens:
            if first and self._enter and kind == "open" and token in "[(":
                entered, first = _CLOSES[token], False
                continue
            if kind == "discard":
                self._skip(at, 0)
                continue
            first = False
            if kind == "close":
                if token != entered:
                    raise EdnError(at, f"{token!r} without an opening bracket before it")
                entered = ""
                continue
            yield at, self._form(kind, token, at, 0)
        if entered:
            raise TruncatedError(len(self._text), f"the text ends without the closing {entered!r}")

    def _next(self, since: int) -> tuple[str | None, str, int]:
        token = next(self._tokens, None)
        if token is None:
            raise TruncatedError(since, "the text ends inside a form")
        return token

    def _skip(self, since: int, depth: int) -> None:
        _limit(depth, since)
        kind, token, at = self._next(since)
        while kind == "discard":
            self._skip(at, depth + 1)
            kind, token, at = self._next(since)
        self._form(kind, token, at, depth + 1)

    def _form(self, kind: str | None, token: str, at: int, depth: int) -> Any:
        _limit(depth, at)
        match kind:
            case "word":
                return token if token[0] == ":" else _WORDS[token] if token in _WORDS else Symbol(
                    token)
            case "number":
                return _number(token, at)
            case "string":
                text = _unescape(token.removeprefix("#")[1:-1], at)
                return Text(text) if text[:1] == ":" else text
            case "open":
                return self._collection(token, at, depth)
            case "tag":
                return self._tagged(token, at, depth)
            case "character":
                return Character(_character(token[1:], at))
            case "special":
                return _SPECIAL[token]
        if token == '"':
            raise TruncatedError(at, "the text ends inside a string")
        raise EdnError(at, f"{token!r} where a value is expected")

    def _tagged(self, tag: str, since: int, depth: int) -> Any:
        kind, token, at = self._next(since)
        while kind == "discard":
            self._skip(at, depth)
            kind, token, at = self._next(since)
        form = self._form(kind, token, at, depth + 1)
        if not isinstance(form, str):
            return form
        tagged = Tagged(form)
        tagged.tag = tag
        return tagged

    def _collection(self, opened: str, since: int, depth: int) -> Any:
        closes = _CLOSES[opened]
        found: list[Any] = []
        while True:
            kind, token, at = self._next(since)
            if kind == "close":
                if token != closes:
                    raise EdnError(at, f"{token!r} where {closes!r} is expected")
                break
            if kind == "discard":
                self._skip(at, depth)
            else:
                found.append(self._form(kind, token, at, depth + 1))
        if opened != "{":
            return EdnSet(found) if opened == "#{" else found
        if len(found) % 2:
            raise EdnError(since, "a map with a key that has no value")
        made = {_key(key): value for key, value in zip(found[::2], found[1::2], strict=True)}
        if len(made) * 2 != len(found):
            raise EdnError(since, "a map with the same key twice")
        return made


def _limit(depth: int, at: int) -> None:
    if depth > DEPTH_MAX:
        raise EdnError(at, f"forms are nested deeper than {DEPTH_MAX} levels")


def _key(form: Any) -> Any:
    if isinstance(form, list):
        return tuple(_key(one) for one in form)
    return tuple(form.items()) if isinstance(form, dict) else form


def _number(token: str, at: int) -> int | float:
    found = _NUMBER.fullmatch(token)
    if found is None:
        raise EdnError(at, f"{token[:80]!r} is not a number")
    if len(token) > DIGITS_MAX:
        raise EdnError(at, f"a number of {len(token):,} digits: expected at most {DIGITS_MAX:,}")
    if found[1]:
        return int(found[1])
    if found[2]:
        return _decimal(found[2], at) if token[-1] == "M" else Float(found[2])
    if found[5]:
        return int(found[5], 16)
    if not int(found[4]):
        raise EdnError(at, f"{token!r} is not a number")
    try:
        return Fraction.ratio(int(found[3]), int(found[4]))
    except OverflowError:
        raise EdnError(at, f"{token[:80]!r} is too large for a ratio") from None


def _decimal(text: str, at: int) -> Fraction:
    try:
        return Fraction.decimal(text)
    except ArithmeticError:
        raise EdnError(at, f"{text[:80]!r}M is too large for a decimal") from None


def _character(name: str, at: int) -> str:
    if len(name) == 5 and name[0] == "u":
        return _whole(chr(int(name[1:], 16)), at)
    return _CHARACTERS.get(name, name)


def _unescape(text: str, at: int) -> str:
    if "\\" not in text:
        return text
    return _whole(_ESCAPE.sub(_escaped, text), at)


def _whole(text: str, at: int) -> str:
    """Return `text` unchanged. Raises EdnError if `text` contains half of a surrogate pair.

    `at` is the offset of `text` in the file, for the error.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EdnError(at, "a \\u escape of half a surrogate pair: expected both halves") from None
    return text


def _escaped(found: re.Match[str]) -> str:
    name = found[1]
    if len(name) == 11:
        return (chr(int(name[1:5], 16)) + chr(int(name[7:], 16))).encode(
            "utf-16", "surrogatepass").decode("utf-16")
    if name[0] == "u" and len(name) == 5:
        return chr(int(name[1:], 16))
    if name.isdigit() and name[0] in "01234567":
        return chr(int(name, 8))
    return _ESCAPED.get(name, name)


# --- writing -------------------------------------------------------------------


def write_edn(value: Any) -> str:
    """Return the plain value `value` as EDN text.

    A str such as ":word" becomes a keyword. Any other str becomes a string. Raises TypeError for a
    value of a type that EDN does not have.
    """
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            if math.isnan(value):
                return "##NaN"
            return repr(value) if math.isfinite(value) else "##Inf" if value > 0 else "##-Inf"
        case Text():
            return _text(value)
        case str():
            return value if _KEYWORD.fullmatch(value) else _text(value)
        case dict():
            pairs = (f"{write_edn(key)} {write_edn(one)}" for key, one in value.items())
            return "{" + ", ".join(pairs) + "}"
        case list() | tuple():
            return "[" + " ".join(write_edn(one) for one in value) + "]"
    raise TypeError(f"a value of the type {type(value).__name__} cannot be written as EDN")


_KEYWORD = re.compile(r":[A-Za-z*!?_<>=+.-][A-Za-z0-9*!?_<>=+.#/-]*")
_WRITTEN = {
    **{chr(code): f"\\u{code:04x}" for code in (*range(32), 127)},
    "\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\",
}
"""Control characters are written as \\u escapes, which Clojure reads; raw ones would make the
file unreadable as text."""


def _text(value: str) -> str:
    return '"' + "".join(_WRITTEN.get(letter, letter) for letter in value) + '"'
