"""Decides which users, roles and permissions existed during a period of a run.

The functions with `may` return whether a fact may have been true at some time of the period. The
functions with `surely` return whether it was certainly true during the whole period.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from splitbrain.checkers import wording
from splitbrain.checkers.auth.facts import ROOT, AuthState
from splitbrain.checkers.auth.intervals import Interval, covers
from splitbrain.histories.kv import Delete, Put, Range, Request, Txn
from splitbrain.histories.service_operation import ServiceOperation


class Access(NamedTuple):
    """One access that a request needs: to read or to write the keys of an interval."""

    kind: Literal["READ", "WRITE"]
    keys: Interval

    def __str__(self) -> str:
        return f"{self.kind.lower()} {wording.interval(*self.keys)}"


def accesses(request: Request) -> Iterator[Access]:
    """Yield every access, to read or to write keys, that `request` needs.

    A transaction needs the accesses of both branches.
    """
    match request:
        case Range(key=key, range_end=end):
            yield Access("READ", (key, end))
        case Put(key=key, prev_kv=previous):
            yield Access("WRITE", (key, ""))
            if previous:
                yield Access("READ", (key, ""))
        case Delete(key=key, range_end=end, prev_kv=previous):
            yield Access("WRITE", (key, end))
            if previous:
                yield Access("READ", (key, end))
        case Txn():
            for compare in request.compare:
                yield Access("READ", (compare.key, compare.range_end))
            for one in (*request.success, *request.failure):
                yield from accesses(one)


@dataclass(frozen=True, slots=True)
class Period:
    """The users, roles and permissions in a period of a run, from `begin` to `end`.

    The times are in ns since the start of the run. If the operation `without` changes users or
    roles, its change is left out, so that the period can be used to judge this operation itself.
    """

    state: AuthState
    begin: int
    end: int
    without: ServiceOperation | None = None

    def _certain(self, register: object, value: object) -> bool:
        return self._possible(register) == {value}

    def _possible(self, register: object) -> frozenset[object]:
        possible: frozenset[object] = register.possible(  # type: ignore[attr-defined]
            self.begin, self.end, self.without
        )
        return possible

    @property
    def surely_enabled(self) -> bool:
        return self._certain(self.state.enabled, True)

    @property
    def surely_disabled(self) -> bool:
        return self._certain(self.state.enabled, False)

    def may_exist(self, user: str) -> bool:
        register = self.state.users.get(user)
        return register is not None and True in self._possible(register)

    def surely_exists(self, user: str) -> bool:
        register = self.state.users.get(user)
        return register is not None and self._certain(register, True)

    def may_be_root(self, user: str) -> bool:
        return self.may_exist(user) and ROOT in self.possible_roles(user)

    def surely_root(self, user: str) -> bool:
        register = self.state.granted.get((user, ROOT))
        return (
            register is not None and self.surely_exists(user) and self._certain(register, True)
        )

    def possible_roles(self, user: str) -> list[str]:
        """Return the roles, including root, that the user may have had during the period."""
        return [
            role for role in self.state.roles_of(user)
            if True in self._possible(self.state.granted[user, role])
        ]

    def may_access(self, user: str, access: Access) -> bool:
        """Return whether `user` may have been permitted `access` at some time of the period."""
        if not self.may_exist(user):
            return False
        roles = self.possible_roles(user)
        if ROOT in roles:
            return True
        return covers(
            (
                keys for role in roles for keys, register in self.state.permissions[role].items()
                if self._possible(register) & {access.kind, "READWRITE"}
            ),
            access.keys,
        )

    def surely_may_access(self, user: str, access: Access) -> bool:
        """Return whether `user` was certainly permitted `access` during the whole period."""
        if self.surely_root(user):
            return True
        roles = [
            role for role in self.state.roles_of(user)
            if role != ROOT and self._certain(self.state.granted[user, role], True)
        ]
        return self.surely_exists(user) and covers(
            (
                keys for role in roles for keys, register in self.state.permissions[role].items()
                if self._possible(register) <= {access.kind, "READWRITE"}
            ),
            access.keys,
        )

    def ended(self, login: ServiceOperation, user: str) -> ServiceOperation | None:
        """Return an operation that certainly ended the token of `login` before the period began.

        Returns None if no operation certainly did so. `user` is the user of the login.
        """
        login_end = login.ret or login.call
        return next((
            op for op in self.state.token_ends.get(user, ())
            if op.call > login_end and op.ret is not None and op.ret < self.begin
        ), None)
