"""Opens the clients of the user, one for each session, and decides the outcomes of their calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from splitbrain.harness.clients.address import Address
from splitbrain.harness.clients.any_store.opened_client import OpenedClient, open_client
from splitbrain.harness.clients.any_store.outcome import of_answer, of_error
from splitbrain.harness.clients.any_store.store_client import DefiniteError, Invocation
from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.clients.session import Session
from splitbrain.histories.client_call import Call, only_reads
from splitbrain.histories.service_operation import AnyRequest

MakeClient = Callable[[], Any]


class StoreClients:
    """Opens clients of the user, which the function `make` creates. Operations are `Call`s.

    If `keyed` is True, the value of each operation is a pair [key, value].
    """

    def __init__(self, make: MakeClient, timeout_ms: int, *, keyed: bool) -> None:
        self._make = make
        self._timeout_s = timeout_ms / 1000
        self._keyed = keyed
        self._definite = tuple(getattr(getattr(make, "func", make), "definite", ()))

    async def open(self, member: Address, /) -> Session:
        opened = await open_client(self._make, member, self._timeout_s)
        return _StoreSession(opened, self._definite, keyed=self._keyed)


class _StoreSession:
    def __init__(
        self, client: OpenedClient, definite: tuple[DefiniteError, ...], *, keyed: bool
    ) -> None:
        self._client = client
        self._definite = definite
        self._keyed = keyed

    async def invoke(self, f: str, request: AnyRequest, /) -> Completion:
        assert isinstance(request, Call)
        key, argument = request.value if self._keyed else (None, request.value)
        try:
            answer = await self._client.invoke(Invocation(f, argument, key))
        except Exception as problem:
            return of_error(problem, self._definite, only_reads=only_reads(f, argument))
        completion = of_answer(f, argument, answer)
        if self._keyed and completion.outcome == "ok":
            return Completion("ok", [key, completion.result])
        return completion

    async def close(self) -> None:
        await self._client.close()
