"""Defines the errors of the v3 API: gRPC codes and etcd's messages.

From the code and the message, a client decides whether a request certainly had no effect or may
have had an effect. Codes and messages are therefore exactly those of etcd 3.5.1.

Source: etcd 3.5.1, `api/v3rpc/rpctypes/error.go`; the HTTP statuses are those of grpc-gateway 1.16,
`runtime/errors.go`.
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """gRPC status codes."""

    OK = 0
    CANCELED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS: dict[Code, int] = {
    Code.OK: 200,
    Code.CANCELED: 408,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class RpcError(Exception):
    """A request was refused or failed. `code` is for programs, `message` for people.

    Errors with equal code and message are equal. The same error object can be raised more than
    once.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        return HTTP_STATUS[self.code]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RpcError):
            return NotImplemented
        return (self.code, self.message) == (other.code, other.message)

    def __hash__(self) -> int:
        return hash((int(self.code), self.message))

    def __repr__(self) -> str:
        return f"RpcError({self.code.name}, {self.message!r})"


def empty_key() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: key is not provided")


def key_not_found() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: key not found")


def value_provided() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: value is provided")


def lease_provided() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: lease is provided")


def too_many_operations() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: too many operations in txn request")


def duplicate_key() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request")


def invalid_sort_option() -> RpcError:
    """Return the error for an unknown sort target. etcd 3.5.1 crashes at such a request."""
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: invalid sort option")


def compacted() -> RpcError:
    return RpcError(Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")


def future_revision() -> RpcError:
    return RpcError(Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision")


def lease_not_found() -> RpcError:
    return RpcError(Code.NOT_FOUND, "etcdserver: requested lease not found")


def lease_exists() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: lease already exists")


def lease_ttl_too_large() -> RpcError:
    return RpcError(Code.OUT_OF_RANGE, "etcdserver: too large lease TTL")


def request_too_large() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: request is too large")


def message_too_large(size_bytes: int, bytes_max: int) -> RpcError:
    """Return the error with which gRPC itself refuses a message, before etcd reads it."""
    return RpcError(
        Code.RESOURCE_EXHAUSTED,
        f"grpc: received message larger than max ({size_bytes} vs. {bytes_max})",
    )


def too_many_requests() -> RpcError:
    return RpcError(Code.RESOURCE_EXHAUSTED, "etcdserver: too many requests")


def no_space() -> RpcError:
    return RpcError(Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")


def no_leader() -> RpcError:
    return RpcError(Code.UNAVAILABLE, "etcdserver: no leader")


def leader_changed() -> RpcError:
    return RpcError(Code.UNAVAILABLE, "etcdserver: leader changed")


def stopped() -> RpcError:
    return RpcError(Code.UNAVAILABLE, "etcdserver: server stopped")


def timed_out() -> RpcError:
    return RpcError(Code.UNAVAILABLE, "etcdserver: request timed out")


def corrupt() -> RpcError:
    return RpcError(Code.DATA_LOSS, "etcdserver: corrupt cluster")


def wrong_downgrade_version_format() -> RpcError:
    return RpcError(
        Code.INVALID_ARGUMENT, "etcdserver: wrong downgrade target version format"
    )


def invalid_downgrade_version() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: invalid downgrade target version")


def no_downgrade() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: no inflight downgrade job")


def unknown_method() -> RpcError:
    return RpcError(Code.UNKNOWN, "etcdserver: unknown method")


def watch_failed(problem: Exception) -> RpcError:
    """Return the error for a watch stream that ends because of an error in the member."""
    why = f"{type(problem).__name__}: {problem}"
    return RpcError(Code.INTERNAL, f"etcdserver: watch stream failed: {why}")


def unimplemented(method: str) -> RpcError:
    """Return gRPC's error for a method that the server does not implement."""
    service, _, name = method.rpartition("/")
    return RpcError(Code.UNIMPLEMENTED, f"unknown method {name} for service {service}")


def unknown_service(service: str) -> RpcError:
    """Return gRPC's error for a service that the server does not have."""
    return RpcError(Code.UNIMPLEMENTED, f"unknown service {service}")


def deadline() -> RpcError:
    """Return gRPC's error for a request that has exceeded the timeout of the client."""
    return RpcError(Code.DEADLINE_EXCEEDED, "context deadline exceeded")


def member_exists() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: member ID already exist")


def peer_url_exists() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: Peer URLs already exists")


def bad_member_urls() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: given member URLs are invalid")


def not_enough_started() -> RpcError:
    return RpcError(
        Code.FAILED_PRECONDITION,
        "etcdserver: re-configuration failed due to not enough started members",
    )


def unhealthy() -> RpcError:
    return RpcError(Code.UNAVAILABLE, "etcdserver: unhealthy cluster")


def member_not_found() -> RpcError:
    return RpcError(Code.NOT_FOUND, "etcdserver: member not found")


def member_not_learner() -> RpcError:
    return RpcError(
        Code.FAILED_PRECONDITION, "etcdserver: can only promote a learner member"
    )


def learner_not_ready() -> RpcError:
    return RpcError(
        Code.FAILED_PRECONDITION,
        "etcdserver: can only promote a learner member which is in sync with leader",
    )


def too_many_learners() -> RpcError:
    return RpcError(
        Code.FAILED_PRECONDITION, "etcdserver: too many learner members in cluster"
    )


def not_supported_for_learner() -> RpcError:
    return RpcError(Code.UNAVAILABLE, "etcdserver: rpc not supported for learner")


def not_leader() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: not leader")


def bad_transferee() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: bad leader transferee")


def transfer_timed_out() -> RpcError:
    return RpcError(
        Code.UNAVAILABLE, "etcdserver: request timed out, leader transfer took too long"
    )


def proposal_dropped() -> RpcError:
    """Return the error for a proposal that the leader drops, for example during a transfer."""
    return RpcError(Code.UNKNOWN, "raft proposal dropped")
