"""Formats operations and reasons of the checker `auth` for messages."""

from __future__ import annotations

import msgspec

from splitbrain.checkers import wording
from splitbrain.checkers.auth.facts import ROOT
from splitbrain.checkers.auth.facts_in_period import Period
from splitbrain.histories.operation import Operation
from splitbrain.histories.service_operation import ServiceOperation


def operation(op: Operation | ServiceOperation) -> str:
    """Describe an operation: `process 3's user_delete (name 'bob') on n2`."""
    if isinstance(op, Operation):
        return wording.operation(op)
    fields = {
        name: value for name, value in msgspec.to_builtins(op.request).items()
        if name not in ("op", "token") and value != ""
    }
    shown = ", ".join(f"{name} {value!r}" for name, value in fields.items())
    where = f" on {op.node}" if op.node else ""
    return f"process {op.process}'s {op.f}{f' ({shown})' if shown else ''}{where}"


def succeeded(op: Operation | ServiceOperation) -> str:
    """Describe an operation that succeeded, with its times."""
    return f"{operation(op)} succeeded between {_span(op)}"


def was_refused(op: Operation | ServiceOperation) -> str:
    """Describe an operation that was refused, with its times and its error."""
    return f"{operation(op)} was refused between {_span(op)} ({op.error})"


def _span(op: Operation | ServiceOperation) -> str:
    return f"{wording.seconds(op.call)} and {wording.seconds(op.ret or op.call)}"


def permissions(period: Period, user: str) -> str:
    """Describe the roles that `user` may have had in `period`, with the permissions of each role.

    A role or a permission is described if the user may have had it at any time of `period`.
    """
    roles = period.possible_roles(user)
    if not roles:
        return f"{user} certainly had no role"
    listed = []
    for role in roles:
        if role == ROOT:
            continue
        held = [
            f"{'/'.join(sorted(kinds))} {wording.interval(*keys)}"
            for keys, register in period.state.permissions[role].items()
            if (kinds := register.possible(period.begin, period.end) - {""})
        ]
        listed.append(f"{role}: {', '.join(held) or 'nothing'}")
    return f"{user} had at most the roles {'; '.join(listed)}"
