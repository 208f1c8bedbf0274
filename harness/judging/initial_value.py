"""Reads the value of `--initial`: the state in which the objects of a history start."""

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
    "unique-ids": ((), "no --initial, because a generator of ids has no state"),
    "queue": ((list,), "a list of elements"),
    "list-append": ((), "no --initial, because lists start empty"),
    "rw-register": ((int, str, float, bool, list, dict), "a value"),
}
"""For each model the types of an initial value, and their description. A register has any."""


def initial_value(text: str | None, form: str, model: str) -> Any:
    """The value that `text` represents: EDN for files in EDN, JSON for others.

    Returns None for None, and for nil and null. Raises BadArguments for a value that the model
    cannot start with.
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
    """The value of `text` as that of a register of transactions.

    `raw` is for files in which strings are not replaced by their identity.
    """
    value = initial_value(text, form, "list-append" if of_lists else "rw-register")
    return value if raw and type(value) is str else identity(value)
