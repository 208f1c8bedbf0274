"""The etcdctl commands whose output must be the same with a member of this project and with etcd.

A group is run in order, on the same data. `{lease}` and `{second}` are replaced by the ids of two
leases of 5,000 s, in hexadecimal digits.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """The arguments of etcdctl, separated by spaces, and its standard input."""

    arguments: str
    given: str = ""


def commands(*lines: str) -> tuple[Command, ...]:
    return tuple(map(Command, lines))


DUPLICATE_KEY = 'value("t") = "2"\n\nput t 3\nget t\ndel t\n\nget t\n\n'

KEYS = commands(
    "put a/1 one", "put a/2 two --prev-kv", "put a/2 zwei --prev-kv -w json", "put a/3 ''",
    "put a/1 --ignore-value", "put a/9 --ignore-value", "put a/1 v --ignore-lease",
    "put a/9 v --ignore-lease", "put a/9 v --lease=123", "put '' v", "put b/1 k", "put b/1 l",
    "get a/1", "get a/1 -w json", "get a/1 -w fields", "get a/1 -w simple --hex",
    "get a/ --prefix --sort-by=VALUE --order=DESCEND", "get a/ --prefix --sort-by=CREATE",
    "get a/ --prefix --sort-by=CREATE --order=DESCEND",
    "get a/ --prefix --sort-by=MODIFY --order=ASCEND",
    "get a/ --prefix --sort-by=VERSION --order=ASCEND",
    "get a/ --prefix --sort-by=KEY --order=DESCEND", "get a/ --prefix --keys-only --limit=1",
    "get a/ --prefix --count-only -w fields", "get a/ b/ --limit=2", "get --from-key a/2",
    "get --from-key '' --keys-only", "get '' --prefix --print-value-only", "get a/1 --rev=2",
    "get a/1 --rev=100000", "get a/1 --consistency=s", "get a/ a/2", "get nothere",
    "get nothere -w json", "del a/ --prefix --prev-kv", "del nothere", "del b/1 --prev-kv -w json",
    "del --from-key a --prev-kv", "del a/1 b/2 -w fields", "compaction 3", "compaction 3",
    "compaction 100000", "get a/1 --rev=2", "compaction 4 --physical",
)  # fmt: skip

TRANSACTIONS = (
    Command("put t 1"),
    Command("txn", 'value("t") = "1"\n\nput t 2\nget t\n\nget t\n\n'),
    Command("txn", 'value("t") = "1"\n\nput t 2\nget t\n\nget t\n\n'),
    Command("txn -w json", 'mod("t") > "0"\nver("t") < "9"\n\nput u 3\nget t\n\nget t\n\n'),
    Command("txn --interactive", 'create("t") > "0"\n\ndel t --prev-kv\n\nget t\n\n'),
    Command("txn", DUPLICATE_KEY),
    Command("txn", "\nput t 3\nfoo t 4\n\n\n"),
)

LEASES = commands(
    "lease grant 600", "lease grant 1", "lease grant 0", "lease grant 10000000000",
    "put l/1 v --lease={lease}", "get l/1 -w fields",
    "put l/1 w --ignore-lease -w json", "lease timetolive {lease} --keys",
    "lease timetolive {lease} --keys -w fields", "lease timetolive 999",
    "lease keep-alive {lease} --once", "lease keep-alive 999 --once", "lease list",
    "lease revoke {lease}", "lease revoke {lease}", "get l/ --prefix",
    "lock door /bin/echo inside", "lock door --ttl=5 -- /bin/sh -c 'exit 3'", "lock",
    "lock door --ttl=5 -- /bin/false", "elect",
)  # fmt: skip

MEMBER = commands(
    "member list", "member list -w json", "member list -w table", "member remove 1234",
    "member update 1234 --peer-urls=http://127.0.0.1:9", "member promote 1234",
    "member add x --peer-urls=bad", "member remove zz", "endpoint health",
    "endpoint health --cluster", "endpoint status -w json", "endpoint hashkv --rev=1",
    "endpoint hashkv --rev=100000", "move-leader 1234", "defrag", "defrag --cluster", "alarm list",
    "alarm disarm", "version",
)  # fmt: skip

AUTH = (*commands(
    "user list", "user add root:secret", "user add root:secret", "user add alice:pw",
    "user add guest --no-password", "user get alice", "user get nobody", "role add root",
    "role add reader", "role add reader", "role grant-permission reader read a b",
    "role grant-permission reader readwrite x --prefix",
    "role grant-permission reader write y --from-key", "role grant-permission nothere read y",
    "role get reader", "role get nothere", "role list", "user grant-role alice reader",
    "user grant-role alice nothere", "user grant-role nobody reader", "user get alice --detail",
    "user revoke-role alice nothere", "auth status", "auth enable", "user grant-role root root",
    "put q 1 --lease={second}",
    "auth enable", "auth status", "--user root:secret auth status", "put a 1",
    "--user root:secret put a 1", "--user root:wrong put a 1", "--user guest: get a",
    "--user alice:pw get a", "--user alice:pw put a 1", "--user alice:pw put x1 1",
    "--user alice:pw get a c", "--user alice:pw get '' --prefix", "--user alice:pw put z 1",
    "--user alice:pw get z", "--user alice:pw del x --prefix --prev-kv",
    "--user alice:pw user list", "--user alice:pw user get alice", "--user alice:pw role get root",
    "--user alice:pw member list", "--user alice:pw defrag", "--user alice:pw compaction 1",
    "--user alice:pw move-leader 1", "--user alice:pw lock x1 /bin/echo inside",
    "--user alice:pw endpoint hashkv", "endpoint health", "--user alice:pw lease revoke {second}",
    "--user alice:pw lease timetolive {second} --keys", "lease list",
    "--user alice:pw lease keep-alive {second} --once", "lease keep-alive {second} --once",
    "--user alice:pw put x2 1 --lease={second}", "--user alice:pw alarm disarm",
    "--user alice:pw member add x --peer-urls=http://127.0.0.1:5", "--user alice:pw auth disable",
    "--user alice:pw role list", "--user alice:pw user passwd alice --interactive=false",
), *(
    Command("--user alice:pw txn", 'val("q") = "1"\n\nput x1 2\n\nget a\n\n'),
    Command("--user alice:pw txn", 'val("a") = "1"\n\nput q 2\n\nget a\n\n'),
    Command("--user alice:pw txn", 'val("a") = "1"\n\nput x1 2\n\nget a\n\n'),
), *commands(
    "--user root:secret role revoke-permission reader a b",
    "--user root:secret role revoke-permission reader q", "--user root:secret role get reader",
    "--user root:secret user revoke-role alice reader",
    "--user root:secret user revoke-role root root", "--user root:secret user delete root",
    "--user root:secret role delete root", "--user root:secret role delete reader",
    "--user root:secret user delete alice", "--user root:secret auth disable",
))  # fmt: skip

GROUPS = {
    "keys": KEYS, "transactions": TRANSACTIONS, "leases": LEASES, "member": MEMBER, "auth": AUTH,
}  # fmt: skip
