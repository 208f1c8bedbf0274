"""Checks fragments. A fragment is a part of an answer of a watch, and the next answer continues it.

A member splits an answer only if the watch asked for fragments. All fragments of one answer have
the same header, and the last part is not a fragment. Nothing else comes between the parts, except a
notification for the whole connection.

Source: etcd's server/etcdserver/api/v3rpc/watch.go (`sendFragments`).
"""

from __future__ import annotations

from splitbrain.checkers import wording
from splitbrain.checkers.watch.report import Report
from splitbrain.histories.watch import Answer, Events, Progress, WatchStream


def check_fragments(stream: WatchStream, name: str, report: Report) -> None:
    """Report the first fragment of `stream` that is wrong. `name` describes the stream."""
    answers = [one for one in stream.answers if not _is_of_the_connection(one)]
    for number, answer in enumerate(answers):
        if not isinstance(answer, Events) or not answer.fragment:
            continue
        why = _why_wrong(stream, answer, answers[number + 1 : number + 2])
        if why:
            revision = answer.changes[-1].revision if answer.changes else answer.revision
            report(
                "wrong fragment",
                f"{name} received a fragment at {wording.seconds(answer.time)}, {why}", revision,
            )
            return


def _why_wrong(stream: WatchStream, answer: Events, following: list[Answer]) -> str:
    if not stream.request.fragment:
        return "although it did not ask for fragments"
    if not following:
        settled = stream.closed is not None and stream.closed.settled
        return "and nothing more to the end of the run" if settled else ""
    (rest,) = following
    if isinstance(rest, Progress):
        return "and then a progress notification in place of the rest"
    if isinstance(rest, Events) and rest.revision != answer.revision:
        return (
            f"with the revision {answer.revision} in its header; the header of the next part has "
            f"{rest.revision}"
        )
    return ""


def _is_of_the_connection(answer: Answer) -> bool:
    return isinstance(answer, Progress) and answer.whole
