"""Defines strategies for requests of the Auth service, and of the services that it protects.

Tokens differ between two clusters. A call therefore names the user whose last token is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.conformance.server_pair import encoded


@dataclass(frozen=True)
class AuthCall:
    path: str
    body: Any
    user: str = ""
    """The user whose last token is sent. Empty: no token. "nobody": a token that is not valid."""


ROOT, PASSWORDS = "root", {"root": "r", "u1": "p1", "u2": "p2"}
names = st.sampled_from(["u1", "u2", "root", "u3", ""])
roles = st.sampled_from(["r1", "r2", "root", "r3", ""])
keys = st.sampled_from([b"a", b"b", b"c", b"d"]).map(encoded)
ends = st.sampled_from([b"", b"", b"b", b"c", b"e", b"\0"]).map(encoded)
senders = st.sampled_from(["root", "root", "u1", "u1", "u2", "", "nobody"])
ranges = st.fixed_dictionaries({"key": keys}, optional={"range_end": ends})
flags = st.booleans()

permissions = st.fixed_dictionaries(
    {"key": keys},
    optional={
        "range_end": ends,
        "permType": st.sampled_from(["READ", "WRITE", "READWRITE", 0, 1, 2]),
    },
)
puts = st.fixed_dictionaries({"key": keys}, optional={"value": keys})
txns = st.fixed_dictionaries(
    {},
    optional={
        "compare": st.lists(st.fixed_dictionaries({"key": keys}), max_size=1),
        "success": st.lists(
            st.one_of(
                puts.map(lambda one: {"request_put": one}),
                ranges.map(lambda one: {"request_range": one}),
                ranges.map(lambda one: {"request_delete_range": {**one, "prev_kv": True}}),
            ),
            max_size=2,
        ),
    },
)


def bodies() -> dict[str, st.SearchStrategy[Any]]:
    user, role = {"name": names}, {"role": roles}
    return {
        "/v3/auth/user/add": st.fixed_dictionaries(user, optional={"password": st.just("p1")}),
        "/v3/auth/user/get": st.fixed_dictionaries(user),
        "/v3/auth/user/list": st.just({}),
        "/v3/auth/user/delete": st.fixed_dictionaries(user),
        "/v3/auth/user/changepw": st.fixed_dictionaries(
            {"name": st.sampled_from(["u1", "u3", ""]), "password": st.just("p1")}
        ),
        "/v3/auth/user/grant": st.fixed_dictionaries({"user": names, "role": roles}),
        "/v3/auth/user/revoke": st.fixed_dictionaries({"name": names, "role": roles}),
        "/v3/auth/role/add": st.fixed_dictionaries({"name": roles}),
        "/v3/auth/role/get": st.fixed_dictionaries(role),
        "/v3/auth/role/list": st.just({}),
        "/v3/auth/role/delete": st.fixed_dictionaries(role),
        "/v3/auth/role/grant": st.fixed_dictionaries(
            {"name": roles}, optional={"perm": permissions}
        ),
        "/v3/auth/role/revoke": st.fixed_dictionaries({**role, "key": keys}),
        "/v3/auth/status": st.just({}),
        "/v3/auth/enable": st.just({}),
        "/v3/maintenance/hash": st.just({}),
        "/v3/lease/grant": st.just({"ID": "0", "TTL": "100"}),
        "/v3/kv/compaction": st.just({"revision": "1"}),
    }


calls = st.one_of(
    st.one_of(
        [
            st.builds(AuthCall, st.just(path), body, senders)
            for path, body in bodies().items()
            if path != "/v3/lease/grant"
        ]
    ),
    st.one_of(
        st.builds(AuthCall, st.just("/v3/kv/put"), puts, senders),
        st.builds(AuthCall, st.just("/v3/kv/range"), ranges, senders),
        st.builds(AuthCall, st.just("/v3/kv/deleterange"), ranges, senders),
        st.builds(AuthCall, st.just("/v3/kv/txn"), txns, senders),
    ),
    st.builds(
        AuthCall,
        st.just("/v3/auth/authenticate"),
        st.sampled_from([{"name": name, "password": word} for name, word in PASSWORDS.items()]),
        st.just(""),
    ),
)
