"""Finds the attributes and structs in `splitbrain.node.messages` for the messages in `proto/`."""

from __future__ import annotations

import re
from typing import Any, get_args

_WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def attribute_name(field: str) -> str:
    """Return the attribute for a message's field: `peer_urls` for `peerURLs`, `ttl` for `TTL`."""
    return _WORD_END.sub("_", field).lower()


def struct_of(hint: Any) -> Any:
    """Return the struct that a type hint contains.

    For example, `Permission` for `tuple[Permission, ...]`, and `LeaderKey` for `LeaderKey | None`.
    """
    while True:
        inner = [one for one in get_args(hint) if one not in (type(None), Ellipsis)]
        if not inner:
            return hint
        hint = inner[0]
