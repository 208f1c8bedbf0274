"""The variants of faults at steps of the write path: which step, what happens there, and when.

`fault_drawing.py` draws the faults of a run from all variants.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from splitbrain.nemesis.fault import AtStep, StepAction
from splitbrain.nemesis.fault_target import Target
from splitbrain.nemesis.fault_variants import Variant

_LEADER_STEPS = (
    "leader_receive", "leader_wal", "replicate", "quorum_ack", "leader_commit", "apply_notify",
    "apply_mvcc", "backend_flush", "respond",
)
_FOLLOWER_STEPS = (
    "follower_forward", "follower_wal", "follower_commit", "apply_notify", "apply_mvcc",
    "backend_flush", "respond",
)
STEPS_DRAWN = (*_LEADER_STEPS, *_FOLLOWER_STEPS)
"""The steps of the write path at which faults are drawn, if members have all failpoints."""

_RECEIVE_STEPS = ("snapshot_receive", "snapshot_commit", "snapshot_restore")
_TAKE_STEPS = ("snapshot_take",)
_SNAPSHOT_ACTIONS: tuple[StepAction, ...] = ("crash", "crash", "power", "isolate", "sleep")
_STEP_ACTIONS: tuple[StepAction, ...] = ("crash", "crash", "power", "pause", "isolate", "sleep")


def step_deck(steps: Collection[str], *, snapshots: bool) -> Callable[[int], list[Variant]]:
    """Return a function that returns the variants of faults at `steps`, given a member count.

    Each fault hits one member just before or after a step of the write path.
    """

    def deck(member_count: int) -> list[Variant]:
        leading = [name for name in _LEADER_STEPS if name in steps]
        following = [name for name in _FOLLOWER_STEPS if name in steps]
        # A member takes its own snapshots often. A fault does most harm after some of them, because
        # the first segments of its log are then removed.
        taken = _step("any", _TAKE_STEPS, _SNAPSHOT_ACTIONS, visits=(1, 2, 3, 5))
        if member_count == 1:
            return [_step("all", leading), _step("all", leading), *([taken] if snapshots else ())]
        leader, follower = _step("leader", leading), _step("follower", following)
        # Received snapshots are rare, and a member that leads when the failpoints are set may
        # receive one later. So the failpoint is set on all members, and the fault hits the first
        # visit.
        received = _step("all", _RECEIVE_STEPS, _SNAPSHOT_ACTIONS, visits=(1,))
        of_snapshots = [received, received, taken] if snapshots else []
        return [leader, leader, leader, follower, follower, *of_snapshots]

    return deck


def _step(
    target: Target,
    names: Sequence[str],
    actions: Sequence[StepAction] = _STEP_ACTIONS,
    visits: Sequence[int] = (1, 1, 2, 5, 20),
) -> Variant:
    return lambda random: AtStep(
        f"{random.choice(('before', 'after'))}_{random.choice(names)}",
        random.choice(actions),
        visit=random.choice(visits),
        target=target,
    )
