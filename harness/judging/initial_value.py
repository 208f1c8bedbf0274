"""Decodes the value of `--initial`, which is the state in which the objects of a history start."""

from __future__ import annotations

from typing import Any

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.histories.formats.edn import EdnError, read_edn
from splitbrain.histories.formats.value_identity import Symbol, identity

EDN_FORMATS = ("jepsen-edn", "jepsen-text", "jepsen-log", "porcupine-kv")
EXPECTED: dict[str, tuple[tuple[type, ...], str]] = {
    "kv": ((str,), "a string in quotes"),
    "mutex": ((bool,), "true (held) or false (free)"),
    "set": ((list,), "a list of elements"),
    "counter": ((int,), "a whole number"),
    "bank": ((int,), "the total of all accounts, a whole number"),
    "unique-ids": ((), "no --initial, because a generator of ids has no state"),
    "queue": ((list,), "a list of elements"),
    "list-append": ((), "no --initial, because lists start empty"),
    "rw-register": ((int, str, float, bool, list, dict), "a value"),
}
"""For each model, the types of its initial value, and their description. Other models accept any
value."""


def initial_value(text: str | None, form: str, model: str) -> Any:
    """Decode `text`, the value of `--initial`.

    It is EDN if `form` is a format of EDN, and JSON otherwise. Returns None if `text` is None, nil
    or null. Raises BadArguments if `text` cannot be decoded, or if objects of the model cannot
    start with the value.
    """
    if text is None:
        return None
    language = "EDN" if form in EDN_FORMATS else "JSON"
    try:
        value = read_edn(text) if language == "EDN" else msgspec.json.decode(text)
    except (EdnError, msgspec.MsgspecError, RecursionError, UnicodeError) as problem:
        raise BadArguments(
            f"--initial {text}: not {language}: {problem}. Write a string in quotes"
        ) from None
    if isinstance(value, Symbol):
        raise BadArguments(f"--initial {text}: a symbol. Write a string in quotes")
    types, expected = EXPECTED.get(model, ((object,), ""))
    number_expected = int in types and bool not in types
    if value is not None and (
        not isinstance(value, types) or (number_expected and isinstance(value, bool))
    ):
        raise BadArguments(f"--initial {text}: for the model {model}, expected {expected}")
    return value


def initial_register(text: str | None, form: str, of_lists: bool, raw: bool) -> int | str | None:
    """Decode `text` to the initial value of the registers that transactions read and write.

    The readers of most formats convert each value to an int or a str (`value_identity.identity`).
    Equal values become equal ints or strings, and different values become different ones. This
    function converts the initial value in the same way. If `raw` is True, it does not convert
    strings.
    """
    value = initial_value(text, form, "list-append" if of_lists else "rw-register")
    return value if raw and type(value) is str else identity(value)
