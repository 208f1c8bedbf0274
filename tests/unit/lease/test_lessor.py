"""Only the primary lessor lets leases expire, and it never does so early."""

from __future__ import annotations

from splitbrain.node.lease.lessor import EXPIRIES_AT_ONCE, Lessor
from splitbrain.node.messages.lease import (
    LeaseCheckpoint,
    LeaseCheckpointRequest,
    LeaseExpireRequest,
    LessorRequest,
)
from splitbrain.node.metrics import Metrics
from splitbrain.node.mvcc.lease_table import LeaseTable
from splitbrain.node.raft.errors import DropReason, ProposalDropped
from splitbrain.node.storage.memory_backend import MemoryBackend
from tests.unit.lease.manual_clock import ManualClock

EXTENSION_S = 1.0
INTERVAL_S = 300


class LessorOfTests:
    """A lessor, its clock, and the requests that it has proposed."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.table = LeaseTable(MemoryBackend())
        self.term = 0
        self.drops = False
        self.proposed: list[LessorRequest] = []
        self.lessor = Lessor(
            clock=self.clock, table=self.table, leading_term=lambda: self.term,
            propose=self._propose, extension_s=EXTENSION_S, checkpoint_interval_s=INTERVAL_S,
        )

    def _propose(self, request: LessorRequest) -> None:
        if self.drops:
            raise ProposalDropped(DropReason.NO_LEADER)
        self.proposed.append(request)

    def lead(self, term: int) -> None:
        self.term = term
        self.lessor.first_entry_applied(term)

    def depose(self) -> None:
        self.term = 0
        self.lessor.role_changed()

    def ends(self) -> list[int]:
        return [one.id for one in self.proposed if isinstance(one, LeaseExpireRequest)]

    def checkpoints(self) -> list[LeaseCheckpoint]:
        return [
            part for one in self.proposed if isinstance(one, LeaseCheckpointRequest)
            for part in one.checkpoints
        ]


def test_a_lease_ends_at_the_first_tick_after_its_time() -> None:
    given = LessorOfTests()
    given.lead(3)
    given.table.grant(7, 2)
    given.clock.advance(1.99)
    assert not given.proposed
    given.clock.advance(0.51)
    assert given.proposed == [LeaseExpireRequest(7, 3)]


def test_the_end_is_proposed_again_until_it_is_applied() -> None:
    given = LessorOfTests()
    given.lead(3)
    given.table.grant(7, 2)
    given.clock.advance(6)
    assert given.ends() == [7, 7]
    given.table.remove(7)
    given.clock.advance(20)
    assert given.ends() == [7, 7]


def test_a_proposal_that_raft_drops_is_made_again() -> None:
    given = LessorOfTests()
    given.lead(3)
    given.table.grant(7, 2)
    given.drops = True
    given.clock.advance(3)
    given.drops = False
    given.clock.advance(3)
    assert given.ends() == [7]


def test_a_renewal_starts_the_time_again() -> None:
    given = LessorOfTests()
    given.lead(3)
    lease = given.table.grant(7, 2)
    for _ in range(5):
        given.clock.advance(1.9)
        given.lessor.renew(lease)
    assert not given.proposed
    assert given.lessor.remaining_s(lease) == 2


def test_a_member_that_is_not_primary_lets_no_lease_expire() -> None:
    given = LessorOfTests()
    given.table.grant(7, 2)
    given.clock.advance(100)
    assert not given.proposed
    assert given.lessor.primary_term == 0


def test_a_leader_is_primary_only_after_the_first_entry_of_its_term() -> None:
    given = LessorOfTests()
    given.term = 4
    given.lessor.first_entry_applied(3)
    assert given.lessor.primary_term == 0
    given.lessor.first_entry_applied(4)
    assert given.lessor.primary_term == 4


def test_a_new_primary_starts_each_lease_again_with_one_election_timeout_more() -> None:
    given = LessorOfTests()
    given.table.grant(7, 2)
    given.clock.advance(50)
    given.lead(3)
    given.clock.advance(2.9)
    assert not given.proposed
    given.clock.advance(0.6)
    assert given.ends() == [7]


def test_further_empty_entries_of_the_same_term_do_not_start_leases_again() -> None:
    given = LessorOfTests()
    given.lead(3)
    given.table.grant(7, 2)
    given.clock.advance(1.5)
    given.lessor.first_entry_applied(3)
    given.clock.advance(1)
    assert given.ends() == [7]


def test_a_deposed_primary_proposes_nothing_even_before_it_notices() -> None:
    given = LessorOfTests()
    given.lead(3)
    given.table.grant(7, 2)
    given.term = 0
    given.clock.advance(10)
    assert not given.proposed


def test_remaining_times_are_recorded_at_each_interval_while_more_than_one_remains() -> None:
    given = LessorOfTests()
    given.lead(3)
    given.table.grant(7, 1000)
    given.table.grant(8, INTERVAL_S)
    for number in (1, 2, 3):
        given.clock.advance(INTERVAL_S + 0.5)
        assert len(given.checkpoints()) == number
        given.table.record_remaining(7, given.checkpoints()[-1].remaining_s)
    assert [one.id for one in given.checkpoints()] == [7, 7, 7]
    assert [one.remaining_s for one in given.checkpoints()] == [700, 400, 99]


def test_a_new_primary_continues_with_the_recorded_time() -> None:
    given = LessorOfTests()
    given.table.grant(7, 1000)
    given.table.record_remaining(7, 5)
    given.lead(3)
    given.clock.advance(5.9)
    assert not given.ends()
    given.clock.advance(0.6)
    assert given.ends() == [7]


def test_a_renewal_must_wait_while_a_checkpoint_is_proposed_or_recorded() -> None:
    given = LessorOfTests()
    given.lead(3)
    lease = given.table.grant(7, 1000)
    assert not given.lessor.is_recorded(lease)
    given.clock.advance(INTERVAL_S + 0.5)
    assert given.lessor.is_recorded(lease)
    given.table.record_remaining(7, 700)
    assert given.lessor.is_recorded(lease)
    given.table.record_remaining(7, 0)
    assert not given.lessor.is_recorded(lease)


def test_a_renewal_waits_for_a_checkpoint_that_was_proposed_while_it_forgot_the_time() -> None:
    given = LessorOfTests()
    given.lead(1)
    lease = given.table.grant(7, 3 * INTERVAL_S)
    given.clock.advance(INTERVAL_S + 0.5)
    (first,) = given.checkpoints()
    given.table.record_remaining(7, first.remaining_s)
    given.clock.advance(INTERVAL_S + 0.5)
    _, second = given.checkpoints()
    given.table.record_remaining(7, 0)  # a renewal proposed this before the second checkpoint
    assert given.lessor.is_recorded(lease), "a new leader may still apply the second checkpoint"
    given.table.record_remaining(7, second.remaining_s)
    given.table.record_remaining(7, 0)
    assert not given.lessor.is_recorded(lease)


def test_many_leases_end_over_several_ticks() -> None:
    given = LessorOfTests()
    given.lead(3)
    for lease_id in range(1, EXPIRIES_AT_ONCE + 11):
        given.table.grant(lease_id, 1)
    given.clock.advance(1)
    assert len(given.ends()) == EXPIRIES_AT_ONCE
    given.clock.advance(0.5)
    assert sorted(given.ends()) == list(range(1, EXPIRIES_AT_ONCE + 11))


def test_the_lessor_counts_what_happens_to_leases() -> None:
    given = LessorOfTests()
    given.lead(3)
    lease = given.table.grant(1, 2)
    given.table.grant(2, 2)
    given.lessor.renew(lease)
    given.clock.advance(10)
    given.table.remove(1)
    counts = given.lessor.counts
    assert (counts.granted, counts.renewed, counts.expired, counts.revoked) == (2, 1, 2, 1)
    metrics = Metrics()
    metrics.export_leases(counts)
    lines = metrics.render().decode().splitlines()
    assert "etcd_debugging_lease_granted_total 2.0" in lines
    assert "etcd_debugging_server_lease_expired_total 2.0" in lines
    assert 'etcd_debugging_lease_ttl_total_bucket{le="1.0"} 0.0' in lines
    assert 'etcd_debugging_lease_ttl_total_bucket{le="2.0"} 2.0' in lines
