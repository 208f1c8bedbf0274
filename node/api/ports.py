"""The interfaces through which the v3 services use the member, its failpoints and its log."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

from splitbrain.node.auth.authenticator import Authenticator
from splitbrain.node.backend import Backend
from splitbrain.node.messages.internal_request import ClientWrite, OperationResponse
from splitbrain.node.messages.lease import LeaseTimeToLiveResponse
from splitbrain.node.messages.rpc import Member, ResponseHeader, StatusResponse
from splitbrain.node.mvcc.store import Store


class LeasePort(Protocol):
    """The requests about leases that are not writes. The leader answers them."""

    @property
    def ttl_s_min(self) -> int:
        """The shortest time to live of a lease."""
        ...

    def new_id(self) -> int:
        """Return an id for a new lease."""
        ...

    async def keep_alive(self, lease_id: int) -> int:
        """Renew a lease. Returns its time to live in s, or 0 if it does not exist.

        Raises RpcError.
        """
        ...

    async def time_to_live(self, lease_id: int, *, keys: bool) -> LeaseTimeToLiveResponse:
        """Return the remaining time of a lease, without a header. Raises RpcError."""
        ...

    def leases(self) -> list[int]:
        """Return the ids of the leases in this member's store."""
        ...


class ClusterPort(Protocol):
    """The requests that change the members, and leadership transfer. They raise RpcError."""

    async def add(self, peer_urls: Sequence[str], *, learner: bool) -> Member:
        """Add a member, and return it."""
        ...

    async def remove(self, member: int) -> None:
        """Remove a member."""
        ...

    async def update(self, member: int, peer_urls: Sequence[str]) -> None:
        """Change the peer URLs of a member."""
        ...

    async def promote(self, member: int) -> None:
        """Make a learner a voter."""
        ...

    async def move_leader(self, target: int) -> None:
        """Transfer the leadership of this member to the voter `target`."""
        ...


class MemberPort(Protocol):
    """The part of a member that the services use."""

    @property
    def store(self) -> Store:
        """The multi-version store."""
        ...

    @property
    def leases(self) -> LeasePort:
        """The requests about leases that are not writes."""
        ...

    @property
    def cluster(self) -> ClusterPort:
        """The requests that change the members."""
        ...

    @property
    def auth(self) -> Authenticator:
        """Identifies the client of the current request, and checks its permissions."""
        ...

    @property
    def backend(self) -> Backend:
        """The backend of the store."""
        ...

    async def flush_backend(self) -> None:
        """Wait until all applied entries are in the backend's file."""
        ...

    @property
    def cluster_id(self) -> int: ...

    @property
    def member_id(self) -> int: ...

    @property
    def request_bytes_max(self) -> int:
        """The maximal size of a request in protobuf, in bytes."""
        ...

    @property
    def txn_operations_max(self) -> int:
        """The maximal number of operations of a transaction."""
        ...

    @property
    def election_timeout_s(self) -> float: ...

    @property
    def watch_progress_interval_ms(self) -> int:
        """The time between two progress notifications to a watcher that requested them."""
        ...

    @property
    def watch_buffer_bytes(self) -> int:
        """The size of a watcher's event buffer in bytes.

        If the buffer is full, the watcher reads later events from the backend.
        """
        ...

    @property
    def watch_queue_max(self) -> int:
        """The number of responses that wait for a slow client of a watch stream."""
        ...

    @property
    def watch_revisions_at_once(self) -> int:
        """The number of revisions that a watcher reads from the backend before other tasks run."""
        ...

    @property
    def watch_fragment_bytes(self) -> int:
        """The size above which a watch response is split, if the client requested fragments."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep by the member's own clock."""
        ...

    def header(self) -> ResponseHeader:
        """Return the ids of cluster and member, the store's revision and the Raft term."""
        ...

    async def propose(self, operation: ClientWrite) -> OperationResponse:
        """Replicate `operation`, and return its response when this member has applied it.

        The header of the response contains only the revision. Raises RpcError if the request is not
        accepted, if it times out, or if applying it results in an error.
        """
        ...

    async def linearizable_read(self) -> None:
        """Return once the store contains all entries that were committed at the time of the call.

        Raises RpcError if no leader confirms the commit index in time.
        """
        ...

    def status(self) -> StatusResponse:
        """Return the status of this member, without asking other members."""
        ...

    def members(self) -> list[Member]:
        """Return all members, as this member knows them."""
        ...

    def spawn(self, work: Awaitable[None], name: str) -> None:
        """Run `work` as a task of the member, also after the request that began it has ended."""
        ...

    def failed(self, what: str, problem: Exception) -> None:
        """Log that `what` failed. If the disk has failed, the member stops."""
        ...

    def health(self, ignored_alarms: Collection[str] = ()) -> tuple[bool, str]:
        """Return whether the member can serve requests, and the reason if it cannot.

        The alarms whose names are in `ignored_alarms` do not count.
        """
        ...


class AdminPort(Protocol):
    """The failpoints of a member under test."""

    def set(self, name: str, term: str) -> None:
        """Arm a failpoint. Raises ValueError if the name or the term is unknown."""
        ...

    def clear(self, name: str) -> None:
        """Disarm a failpoint. Raises ValueError if the name is unknown."""
        ...

    def list(self) -> dict[str, str]:
        """Return the armed failpoints and their terms."""
        ...


class Log(Protocol):
    """Writes one line of the member's log, as `World.log` does."""

    def __call__(self, level: str, message: str, **fields: object) -> None: ...
