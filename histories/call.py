"""An operation of a store that is tested through a client of the user.

In the file of a history, the value of such an operation is only the field `value`, as in Jepsen. In
a schedule, the struct `Call` represents the operation, next to the requests of a v3 store.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Call(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="call"):
    """Calls a function of a client. `value` is plain JSON, such as `["x", 3]` for a write."""

    value: Any = None
