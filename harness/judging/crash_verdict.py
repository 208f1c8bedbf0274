"""Judges whether members crashed: the verdict `crashed` is invalid if a member ended by itself.

A member ended by itself if its process crashed, panicked, aborted or exited, and the harness did
not send it a signal. Such an end is excused if an injected fault can be its reason. For example, a
correct member may have to stop when its disk fails. A user's system may also report a killed
process as one that ended by itself.

These faults excuse the end of a member that they hit:

- a kill, a power loss, a restart by the operator, an upgrade, a change of the membership, or a
  crash at a step of the write path or at a system call, if it was active when the member ended;
- a full or failing disk, a failing system call, too little memory, or too few files, if it was
  active when the member ended;
- bit rot, lost sectors, a lying disk, misdirected or torn writes, at any earlier time, because a
  store may find the damage later and must then stop.

The option `--allow-crash` excuses every end.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from splitbrain.checkers.verdict import Anomaly, Verdict, merge
from splitbrain.checkers.wording import seconds
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.systems.processes.crash import Crash
from splitbrain.histories.history import FaultWindow
from splitbrain.nemesis.disk_fault import BitRot, DiskFault, LostSectors
from splitbrain.nemesis.fault import (
    AtStep,
    Fault,
    FewFiles,
    Kill,
    LittleMemory,
    MembershipChange,
    NoSpace,
    OperatorAction,
    PowerLoss,
    SyscallFault,
    Upgrade,
)

CRASHED = "crashed"
NOTICED_LATE_NS = 2_000_000_000
"""On a busy machine, the harness may notice a crash this much later than it happened."""
LINES_SHOWN_MAX = 8
LINE_SHOWN_CHARACTERS_MAX = 240


def crash_verdict(record: RunRecord, faults: Sequence[FaultWindow]) -> Verdict | None:
    """Return the verdict `crashed`, or None if no member ended by itself.

    An end that no fault excuses makes the verdict invalid. If a member could not start again
    because another program took its port, the verdict is unknown instead.
    """
    if not record.crashes:
        return None
    excused = [
        crash for crash in record.crashes
        if record.options.allow_crash or any(lets_stop(one, crash) for one in faults)
    ]
    others = [crash for crash in record.crashes if crash not in excused]
    why = "; ".join(
        f"{crash.member} could not start again, because another program took its port"
        for crash in others if crash.port_lost
    )
    anomalies = tuple(_anomaly(crash) for crash in others if not crash.port_lost)
    counts = {"ended by themselves": len(record.crashes), "excused": len(excused)}
    valid = merge((not anomalies, None if why else True))
    return Verdict(CRASHED, valid, anomalies, counts, why=why)


def lets_stop(window: FaultWindow, crash: Crash) -> bool:
    """Return whether the fault in `window` is a possible reason for `crash`, and so excuses it."""
    if crash.member not in window.members or crash.at < window.begin:
        return False
    in_force = window.end is None or crash.at - NOTICED_LATE_NS <= window.end
    try:
        fault = msgspec.json.decode(window.detail, type=Fault)
    except msgspec.MsgspecError:  # The fault is defined by a user.
        return in_force and window.f in ("kill", "power", "disk")
    match fault:
        case Kill() | PowerLoss() | OperatorAction(do="restart") | Upgrade() | NoSpace():
            return in_force
        case AtStep(do=("crash" | "power")) | SyscallFault(do=("kill" | "error")):
            return in_force
        case FewFiles() | LittleMemory():
            return in_force
        case DiskFault():
            if fault.lying or fault.misdirect_percent or fault.torn_percent:
                return True
            fails = fault.full or fault.write_error_percent or fault.sync_error_percent
            return in_force and bool(fails)
        case BitRot() | LostSectors():
            return True
        case MembershipChange():
            return in_force
    return False


def _anomaly(crash: Crash) -> Anomaly:
    who = f"{crash.member} ended" if crash.member else "a member ended"
    because = f"{who} by itself with {crash.how}, noticed at {seconds(crash.at)}"
    if not crash.member:
        because = f"a member ended by itself: {crash.how}"
    if crash.how == "signal 9 (SIGKILL)":
        because += " (the harness did not send it; the kernel sends it when memory runs out)"
    if crash.panic:
        because += f". The panic begins:\n{_shown(crash.panic[:LINES_SHOWN_MAX])}"
    if crash.log_tail:
        because += f"\nIts log ({crash.log}) ends:\n{_shown(crash.log_tail[-LINES_SHOWN_MAX:])}"
    return Anomaly(
        CRASHED, because, members=(crash.member,) if crash.member else (),
        detail={
            "how": crash.how, "at_ns": crash.at, "panic": list(crash.panic),
            "log_tail": list(crash.log_tail),
        },
    )


def _shown(lines: Sequence[str]) -> str:
    return "\n".join(f"  {line[:LINE_SHOWN_CHARACTERS_MAX]}" for line in lines)
