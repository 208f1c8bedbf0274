"""`auth`: a permitted operation is not refused, and an operation that is not permitted fails.

The checker follows each fact about users and roles as a register: whether authentication is
enabled, which users and roles exist, who has which role, and what each role permits
(`checkers/auth/fact_values.py`). It judges an answer only where the facts are certain during the
whole operation. If a permission changes meanwhile, or if a change has an unknown outcome, success
and refusal are both correct.

    granted       While authentication is certainly enabled, a request succeeds only with a valid
                  token of an existing user who may have the permission. A token ends when its user
                  gets a new password or is deleted, and when authentication is disabled.
    refused       A request is not refused for lack of permission if its user certainly has every
                  permission that the request needs, or if authentication is certainly disabled.
                  If the token of a request for keys has certainly ended, the error of the refusal
                  names the token, not the permission.
    administrator Only a user with the role root changes users and roles.
    conditions    A change of users or roles, or a login, succeeds only if its conditions are met,
                  for example that the user exists. No request is refused for a condition that is
                  met.
    queries       The answers to queries of users, roles and the status show each fact as it may
                  have been during the query. The auth revision does not decrease.
    members       At the end, all members give the same answers to the same queries.

Cost: n log n for each fact. The check is sound but not complete: an answer is not judged if
concurrent changes, or changes with an unknown outcome, make its facts uncertain. Source: etcd's
Auth service (server/auth/store.go), and its issue #14571, in which members disagree about
permissions.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from splitbrain.checkers.auth import wording
from splitbrain.checkers.auth.access_rules import check_access, check_authority
from splitbrain.checkers.auth.answer_rules import (
    check_conditions,
    check_query,
    check_revisions,
)
from splitbrain.checkers.auth.facts import gather
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.histories.auth import AuthChange, AuthEnable, AuthQuery, AuthRequest
from splitbrain.histories.service_operation import ServiceOperation, token_of

NAME = "auth"
FINAL = "final_read"
"""The function (`f`) of the queries at the end of a run."""


def check_auth(evidence: Evidence) -> Verdict:
    """An operation succeeds only if its user is permitted, and is refused only if the user is not.

    The checker applies only to histories with operations on users or roles.
    """
    history = evidence.history
    services = [op for op in history.services if isinstance(op.request, AuthRequest)]
    if not services:
        return not_applicable(NAME, "the history has no operation on users or roles")
    state, found = gather(services), Findings()
    judged = sum(check_access(state, op, found) for op in history.operations)
    for op in services:
        check_authority(state, op, found)
        check_conditions(state, op, found)
        check_query(state, op, found)
    check_revisions(services, found)
    _check_members(services, found)
    denied = [op for op in history.operations if "permission denied" in (op.error or "")]
    verdict = Verdict(
        checker=NAME, valid=found.valid, anomalies=tuple(found.anomalies),
        counts={
            "judged": judged,
            "with a token": sum(bool(token_of(op.request)) for op in history.operations),
            "denied": len(denied),
            "changes": sum(
                isinstance(op.request, AuthChange) and op.outcome == "ok" for op in services
            ),
            "anomalies": found.count,
        },
        kinds=found.by_kind,
    )
    enabled = any(isinstance(op.request, AuthEnable) and op.outcome == "ok" for op in services)
    return with_evidence(verdict, enabled, "authentication was never enabled")


def _check_members(services: Sequence[ServiceOperation], found: Findings) -> None:
    """Check that all members give the same answers to the queries at the end of the run.

    Nothing is compared if the outcome of a change is unknown, because this change may take effect
    between two of the answers.
    """
    if any(isinstance(op.request, AuthChange) and op.outcome == "info" for op in services):
        return
    first: dict[AuthQuery, ServiceOperation] = {}
    for op in services:
        if op.f != FINAL or op.outcome != "ok" or not isinstance(op.request, AuthQuery):
            continue
        query = msgspec.structs.replace(op.request, token="")
        other = first.setdefault(query, op)
        if _shown(op) != _shown(other):
            found.add(
                "members differ",
                f"at the end, {wording.operation(op)} returned {_shown(op)}, but "
                f"{wording.operation(other)} returned {_shown(other)}", op, other,
                members=tuple(one.node for one in (other, op) if one.node),
            )


def _shown(op: ServiceOperation) -> str:
    """Return the answer to `op` as text, without the header."""
    names = () if op.result is None else op.result.__struct_fields__
    return ", ".join(f"{name} {getattr(op.result, name)}" for name in names if name != "header")
