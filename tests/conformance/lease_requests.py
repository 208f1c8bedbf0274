"""Defines strategies for requests of the Lease, Lock and Election services, among KV requests.

No lease expires during a test, and no request waits for its turn: each lease has its own lock and
its own election.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.conformance import kv_requests
from tests.conformance.kv_requests import Call, flags, message, revisions, values
from tests.conformance.server_pair import encoded

GRANTED = (7, -8)
"""The leases that exist at the beginning of a sequence."""
LEASES = (*GRANTED, *GRANTED, *GRANTED, 9)
IDS = (*LEASES, 99, 0)
"""No request grants the lease 99. A grant with the id 0 leaves the choice to the member."""

ids = st.sampled_from(IDS).flatmap(lambda one: st.sampled_from([one, str(one)]))
own_ids = st.sampled_from(LEASES)
times_to_live = st.sampled_from([600, 3600, "86400", 9_000_000_000, 9_000_000_001])

grants = message({"TTL": times_to_live}, {"ID": ids})
granted = st.builds(
    lambda lease, ttl: {"ID": str(lease), "TTL": ttl}, own_ids, st.sampled_from([600, 3600])
)
revocations = message({"ID": ids}, {})
queries = message({"ID": ids}, {"keys": flags})
keep_alives = st.lists(revocations, min_size=1, max_size=2)

key_names = st.sampled_from(kv_requests.KEYS[:4]).map(encoded)
leased_puts = message({"key": key_names, "lease": ids}, {"value": values, "prev_kv": flags})
leased_txns = st.builds(
    lambda one, other, key: {
        "compare": [{"key": key, "target": "LEASE", "lease": "7"}],
        "success": [{"request_put": one}, {"request_delete_range": {"key": key}}],
        "failure": [{"request_put": other}],
    },
    leased_puts, leased_puts, key_names,
)  # fmt: skip


def _queue(lease: int) -> str:
    return encoded(f"q{lease}".encode())


def _queue_key(lease: int) -> str:
    return encoded(f"q{lease}/{lease:x}".encode())


locks = own_ids.map(lambda lease: {"name": _queue(lease), "lease": str(lease)})
unlocks = own_ids.map(lambda lease: {"key": _queue_key(lease)})
campaigns = st.builds(
    lambda lease, value: {"name": _queue(lease), "lease": lease, "value": value}, own_ids, values
)
leaders = own_ids.map(lambda lease: {"name": _queue(lease)})
leader_keys = st.builds(
    lambda lease, revision, other: {
        "name": _queue(lease), "key": _queue_key(lease), "rev": revision, "lease": other,
    },
    own_ids, revisions, st.sampled_from([7, -8, 9, 99]),
)  # fmt: skip
resignations = st.one_of(leader_keys.map(lambda leader: {"leader": leader}), st.just({}))
proclamations = st.one_of(
    st.builds(lambda leader, value: {"leader": leader, "value": value}, leader_keys, values),
    st.just({}),
)

coordination_calls = st.one_of(
    granted.map(lambda body: Call("/v3/lease/grant", body)),
    granted.map(lambda body: Call("/v3/lease/grant", body)),
    grants.map(lambda body: Call("/v3/lease/grant", body)),
    revocations.map(lambda body: Call("/v3/lease/revoke", body)),
    revocations.map(lambda body: Call("/v3/kv/lease/revoke", body)),
    queries.map(lambda body: Call("/v3/lease/timetolive", body)),
    queries.map(lambda body: Call("/v3/kv/lease/timetolive", body)),
    keep_alives.map(lambda bodies: Call("/v3/lease/keepalive", _stream(bodies))),
    st.sampled_from(["/v3/lease/leases", "/v3/kv/lease/leases"]).map(lambda at: Call(at, {})),
    leased_puts.map(lambda body: Call("/v3/kv/put", body)),
    leased_puts.map(lambda body: Call("/v3/kv/put", body)),
    leased_txns.map(lambda body: Call("/v3/kv/txn", body)),
    locks.map(lambda body: Call("/v3/lock/lock", body)),
    unlocks.map(lambda body: Call("/v3/lock/unlock", body)),
    campaigns.map(lambda body: Call("/v3/election/campaign", body)),
    leaders.map(lambda body: Call("/v3/election/leader", body)),
    proclamations.map(lambda body: Call("/v3/election/proclaim", body)),
    resignations.map(lambda body: Call("/v3/election/resign", body)),
)


def _stream(bodies: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, bodies)).encode()


# Not for locks and campaigns, which could wait for their turn.
wrong_types = st.builds(
    Call,
    path=st.sampled_from(
        ["/v3/lease/grant", "/v3/lease/revoke", "/v3/lease/timetolive", "/v3/lease/leases",
         "/v3/lock/unlock", "/v3/election/proclaim", "/v3/election/leader", "/v3/election/resign"]
    ),
    body=st.dictionaries(
        st.sampled_from(["ID", "TTL", "keys", "name", "leader", "value", "key"]),
        kv_requests.wrong_values, min_size=1, max_size=3,
    ),
)  # fmt: skip

calls = st.one_of(*[coordination_calls] * 5, kv_requests.valid_calls, wrong_types)
