"""Parses the options of the command add-nodes of an interaction test."""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.node.raft.config import Config
from splitbrain.node.raft.message import ConfState, MemberId, SnapshotMetadata
from tests.conformance.raft.datadriven import Command
from tests.conformance.raft.node import CommandFailed

UNLIMITED = 2**63
TRUE = ("true",)


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """The settings of new nodes, and the snapshot from which they start."""

    template: Config
    snapshot: SnapshotMetadata
    async_storage_writes: bool

    def config(self, member: MemberId) -> Config:
        given = self.template
        return Config(
            id=member,
            voters=(),
            election_ticks=3,
            heartbeat_ticks=1,
            pre_vote=given.pre_vote,
            check_quorum=given.check_quorum,
            message_bytes_max=UNLIMITED,
            inflight_messages_max=given.inflight_messages_max,
            inflight_bytes_max=UNLIMITED,
            uncommitted_bytes_max=UNLIMITED,
            committed_bytes_max=given.committed_bytes_max,
            lease_based_reads=given.lease_based_reads,
            step_down_on_removal=given.step_down_on_removal,
            validate_conf_changes=given.validate_conf_changes,
            merge_messages=False,
        )


def node_options(command: Command) -> NodeOptions:
    """Raises CommandFailed, ConfigInvalid."""
    snapshot = _snapshot(command)
    return NodeOptions(
        Config(
            id=1,
            voters=(),
            pre_vote=command.values("prevote") == TRUE,
            check_quorum=command.values("checkquorum") == TRUE,
            inflight_messages_max=_number(command, "inflight"),
            committed_bytes_max=_number(command, "max-committed-size-per-ready"),
            lease_based_reads=_lease_based(command),
            step_down_on_removal=command.values("step-down-on-removal") == TRUE,
            validate_conf_changes=command.values("disable-conf-change-validation") != TRUE,
        ),
        snapshot,
        command.values("async-storage-writes") == TRUE,
    )


def _number(command: Command, key: str) -> int:
    return int((command.values(key) or (str(UNLIMITED),))[0])


def _lease_based(command: Command) -> bool:
    for value in command.values("read-only"):
        if value not in ("safe", "lease-based"):
            raise CommandFailed(f'invalid read-only option "{value}"')
    return command.values("read-only") == ("lease-based",)


def _snapshot(command: Command) -> SnapshotMetadata:
    voters = tuple(int(value) for value in command.values("voters"))
    learners = tuple(int(value) for value in command.values("learners"))
    index = int((command.values("index") or ("0",))[0])
    if not (voters or learners or index or command.values("content")):
        return SnapshotMetadata()
    if index <= 1:
        raise CommandFailed("index must be specified as > 1 due to bootstrap")
    return SnapshotMetadata(index, 1, ConfState(voters, learners))
