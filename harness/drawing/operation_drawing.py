"""Draws the operations of the clients, and when each begins."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.harness.drawing.member_drawing import draw_bound, draw_member
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.workloads.workload import Draft, Workload
from splitbrain.histories.random_stream import stream


def draw_operations(
    options: Options, seed: int, client: int, members: int, workload: Workload
) -> Iterator[ScheduledOperation]:
    """Yield the operations of one client that begin within the time limit.

    The times assume that each operation is answered at once. The times between operations have an
    exponential distribution, so that the operations of all clients together form a Poisson process
    with `rate` operations per second. Requests of many independent users also form a Poisson
    process.
    """
    drafts = workload.operations(stream(seed, "client", client), client)
    pace = stream(seed, "pace", client)
    target = stream(seed, "target", client)
    bound_to = draw_bound(stream(seed, "bound", client), members, options.bound_share)
    rate_per_us = options.rate / options.clients / 1e6
    limit_us = options.time_limit_s * 1e6
    due_us = 0.0
    for draft in drafts:
        if not isinstance(draft, Draft):
            raise BadArguments(
                f"the workload {options.workload} yielded {draft!r:.100} as an operation; "
                "expected a splitbrain.Draft"
            )
        gap_us = round(pace.expovariate(rate_per_us))
        due_us += gap_us
        if due_us >= limit_us:
            return
        to_follower, member = draw_member(target, members, options.follower_share)
        if bound_to is not None:
            to_follower, member = False, bound_to
        if draft.member is not None:
            to_follower, member = False, draft.member % members
        yield ScheduledOperation(
            think_us=gap_us,
            f=draft.f,
            request=draft.request,
            member=member,
            to_follower=to_follower,
            expect_last_seen=draft.expect_last_seen,
            revision_back=draft.revision_back,
            ranges_back=draft.ranges_back,
            after_ok=draft.after_ok,
            continue_list=draft.continue_list,
            user=draft.user,
            password=draft.password,
            append_to_seen=draft.append_to_seen,
        )
