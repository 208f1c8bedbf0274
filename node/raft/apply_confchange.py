"""Puts a change of the configuration into effect when its entry is applied.

Source: Raft thesis, chapter 4; etcd-io/raft, `switchToConfig`. As in etcd-io/raft, a change
takes effect when it is applied, not when it is appended.
"""

from __future__ import annotations

from splitbrain.node.raft import commit, confchange, election, replication
from splitbrain.node.raft.confchange import ConfChange
from splitbrain.node.raft.message import NONE, ConfState, Index
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role


def refusal(raft: RaftState, change: ConfChange) -> str:
    """Return the reason why this leader cannot append `change` now, or "" if it can.

    The check depends on the applied configuration. No change is accepted while the log may contain
    an earlier change that is not applied.
    """
    if not raft.config.validate_conf_changes:
        return ""
    if raft.pending_conf_index > raft.log.applied:
        return (
            f"entry {raft.pending_conf_index} may contain another change and is not applied yet"
            f" (applied: {raft.log.applied})"
        )
    if raft.conf_state.is_joint and not change.leaves_joint:
        return "the joint configuration must be left first"
    if not raft.conf_state.is_joint and change.leaves_joint:
        return "the configuration is not joint"
    return ""


def apply(raft: RaftState, change: ConfChange, index: Index) -> ConfState:
    """Put `change` into effect. `index` is the index of its entry. Raises ConfChangeInvalid."""
    conf_state = confchange.changed(raft.conf_state, change)
    raft.adopt_configuration(conf_state, index)
    if raft.role is Role.LEADER:
        _update_progress(raft)
        _lead_on(raft)
    return conf_state


def _update_progress(raft: RaftState) -> None:
    """Create the progress of new members, and remove the progress of removed ones."""
    known = raft.progress
    progress = {}
    for member in raft.conf_state.members:
        one = known.get(member)
        if one is None:
            one = raft.new_progress(member, max(raft.log.last_index, 1))
            # A new member has not had the time to answer. It must not be treated as inactive at
            # the next check.
            one.recent_active = True
        one.is_learner = member in raft.learners
        progress[member] = one
    raft.set_progress(progress)


def _lead_on(raft: RaftState) -> None:
    if raft.id not in raft.conf_state.all_voters:
        if raft.config.step_down_on_removal:
            election.become_follower(raft, raft.term, NONE)
        return
    # The majority may be smaller now, and may have acknowledged more entries than the former one.
    if not commit.maybe_commit(raft):
        for progress in raft.peers:
            replication.append_to(raft, progress, even_if_empty=False)
    if raft.transferee not in raft.conf_state.all_voters:
        raft.transferee = NONE
