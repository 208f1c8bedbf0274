"""Declares what the v3 services need: interfaces to the member, its failpoints and its log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from splitbrain.node.auth.authenticator import Authenticator
from splitbrain.node.backend import Backend
from splitbrain.node.messages.internal_request import ClientWrite, OperationResponse
from splitbrain.node.messages.lease import LeaseTimeToLiveResponse
from splitbrain.node.messages.rpc import Member, ResponseHeader, StatusResponse
from splitbrain.node.mvcc.store import Store


class LeasePort(Protocol):
    """Handles keep-alives and queries of leases, which need no entry in the log."""

    @property
    def ttl_s_min(self) -> int:
        """The shortest time to live of a lease."""
        ...

    def new_id(self) -> int:
        """Return an id for a new lease."""
        ...

    async def keep_alive(self, lease_id: int) -> int:
        """Renew a lease, and return its time to live in seconds, or 0 if the lease does not exist.

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
    """Changes the members of the cluster, and transfers leadership. All methods raise RpcError."""

    async def add(self, peer_urls: Sequence[str], *, learner: bool) -> Member:
        """Add a member with these peer URLs, as a learner or voter, and return it."""
        ...

    async def remove(self, member: int) -> None:
        """Remove a member."""
        ...

    async def update(self, member: int, peer_urls: Sequence[str]) -> None:
        """Change the peer URLs of a member."""
        ...

    async def promote(self, member: int) -> None:
        """Promote a learner to a voter."""
        ...

    async def move_leader(self, target: int) -> None:
        """Transfer the leadership of this member to the voter `target`."""
        ...


class MemberPort(Protocol):
    """The methods and settings of a member that the services use."""

    @property
    def store(self) -> Store:
        """The multi-version store."""
        ...

    @property
    def leases(self) -> LeasePort:
        """Handles keep-alives and queries of leases, which need no entry in the log."""
        ...

    @property
    def cluster(self) -> ClusterPort:
        """Changes the members of the cluster."""
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
        """The time between two progress notifications to one watcher, in milliseconds."""
        ...

    @property
    def watch_buffer_bytes(self) -> int:
        """The maximal size of the events that are buffered for one watcher, in bytes.

        If the buffer is full, the watcher reads later events from the backend.
        """
        ...

    @property
    def watch_queue_max(self) -> int:
        """The maximal number of responses that wait for a slow client of a watch stream."""
        ...

    @property
    def watch_revisions_at_once(self) -> int:
        """How many revisions a watcher reads from the backend before it lets other tasks run."""
        ...

    @property
    def watch_fragment_bytes(self) -> int:
        """The size in bytes above which a watch response is split, if the client allows this."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, measured by the member's own clock."""
        ...

    @property
    def pause_watcher(self) -> Callable[[], Awaitable[None]]:
        """Wait before a watcher takes its next events. Returns at once except in simulation."""
        ...

    def header(self) -> ResponseHeader:
        """Return the ids of cluster and member, the store's revision and the Raft term."""
        ...

    async def propose(self, operation: ClientWrite) -> OperationResponse:
        """Replicate `operation`, and return its response after this member has applied it.

        The header of the response contains only the revision. Raises RpcError if the request is
        refused, if it times out, or if it cannot be applied.
        """
        ...

    async def linearizable_read(self) -> None:
        """Return once the store contains all entries that were committed at the time of the call.

        Raises RpcError if no leader confirms the commit index in time.
        """
        ...

    def status(self) -> StatusResponse:
        """Return this member's status. Other members are not asked."""
        ...

    def members(self) -> list[Member]:
        """Return the members of the cluster that this member knows."""
        ...

    def spawn(self, work: Awaitable[None], name: str) -> None:
        """Run `work` as a task of the member. The task continues when the current request ends.

        `name` is the name of the task.
        """
        ...

    def failed(self, what: str, problem: Exception) -> None:
        """Log that `what`, such as "a watch stream", failed.

        If the disk has failed, the member stops.
        """
        ...

    def health(self, ignored_alarms: Collection[str] = ()) -> tuple[bool, str]:
        """Return whether the member can serve requests, and the reason if it cannot (otherwise "").

        The alarms whose names are in `ignored_alarms` do not count.
        """
        ...


class AdminPort(Protocol):
    """Sets the failpoints of a member under test."""

    def set(self, name: str, term: str) -> None:
        """Activate the failpoint `name`. `term` describes what happens there, as in gofail.

        Raises ValueError if the name or the term is unknown.
        """
        ...

    def clear(self, name: str) -> None:
        """Deactivate the failpoint `name`. Raises ValueError if the name is unknown."""
        ...

    def list(self) -> dict[str, str]:
        """Return the terms of the active failpoints, by the failpoints' names."""
        ...


class Log(Protocol):
    """Writes one line of the member's log, as `World.log` does."""

    def __call__(self, level: str, message: str, **fields: object) -> None: ...
