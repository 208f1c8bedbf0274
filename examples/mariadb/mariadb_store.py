"""Starts MariaDB servers, with Galera or alone, and defines a client with transactions."""

import asyncio
import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.err import OperationalError

from splitbrain import Address, Kill, LocalMember, LocalProcesses, ScheduledFault, StoreClient

INSTALL = "mariadb-install-db --no-defaults --auth-root-authentication-method=normal"
SERVER = "mariadbd --no-defaults --datadir=$PWD/data --socket=$PWD/socket"
GALERA = "--wsrep-on=ON --wsrep-provider=/usr/lib/galera/libgalera_smm.so --binlog-format=ROW"
RECOVER = f"{SERVER} {GALERA} --skip-networking --wsrep-cluster-address=gcomm:// --wsrep-recover"


def connect(host: str, port: int) -> pymysql.Connection:
    return pymysql.connect(host=host, port=port, user="root", connect_timeout=2)


def all_crash(random, duration_ms, members):
    """Yield one fault: all members are killed at one moment, in the middle of the load."""
    yield ScheduledFault(duration_ms // 2, duration_ms // 2 + 1000, Kill("all"), 0)


class MariaDB(LocalProcesses):
    """One server. The system option `flush` sets InnoDB's `flush_log_at_trx_commit`."""

    name = "mariadb"
    user = "mysql"
    start_timeout_s = 180.0
    ready = "SELECT 1"
    version_command = ("mariadbd", "--version")

    def flags(self, member: LocalMember) -> str:
        return ""

    def command(self, member: LocalMember) -> Sequence[str]:
        flush = self.options.system_options.get("flush", 1)
        flags = f"--port={member.ports['client']} --innodb-flush-log-at-trx-commit={flush}"
        return ("/bin/sh", "-c", f"test -e data/mysql || {INSTALL} --datadir=$PWD/data >/dev/null; "
                f"exec {SERVER} --bind-address={member.host} {flags} {self.flags(member)}")

    def healthy(self, member: str) -> bool:
        place = self.places[member]
        with connect(place.host, place.ports["client"]) as connection:
            return connection.cursor().execute(self.ready) == 1


class Galera(MariaDB):
    """Servers with Galera. If all have crashed, the one with the newest state starts first."""

    name = "galera"
    ready = "SHOW STATUS WHERE variable_name = 'wsrep_ready' AND value = 'ON'"
    ports = ("client", "group", "state", "missing")
    one_at_a_time = True
    first = "n1"

    def flags(self, member: LocalMember) -> str:
        group, state, missing = (f"{member.host}:{member.ports[one]}" for one in self.ports[1:])
        peers = ",".join(f"{one.host}:{one.ports['group']}" for one in self.places.values())
        if member.name == self.first:
            peers = self.first = ""  # it starts a new cluster
        return (
            f"{GALERA} --innodb-autoinc-lock-mode=2 --wsrep-sst-method=rsync "
            f"--wsrep-cluster-address=gcomm://{peers} --wsrep-node-address={group} "
            f"--wsrep-sst-receive-address={state} --wsrep-provider-options="
            f"'gmcast.listen_addr=tcp://{group};ist.recv_addr={missing}'"
        )

    async def before_restart(self, member: str) -> None:
        if self.first or any(self.alive(one) for one in self.members):
            return
        tasks = [asyncio.to_thread(self._position, one) for one in self.members]
        self.first = max(zip(await asyncio.gather(*tasks), self.members, strict=True))[1]
        state = self.places[self.first].folder / "data" / "grastate.dat"
        state.write_text(state.read_text().replace("to_bootstrap: 0", "to_bootstrap: 1"))

    def _position(self, member: str) -> int:
        """Return the number of the last transaction that the server of `member` has on its disk."""
        output = subprocess.getoutput(f"cd {self.places[member].folder} && {RECOVER} --user=mysql")
        return int(re.findall(r"Recovered position: \S+:(-?\d+)", output)[-1])


class MariaDBClient(StoreClient):
    """Executes transactions at the isolation level `isolation`, such as "repeatable-read"."""

    # The transaction was rolled back, waited too long for a lock, or met no majority.
    definite = tuple((OperationalError, f"({code},") for code in (1213, 1205, 1047))

    def __init__(self, isolation: str = "serializable") -> None:
        self.isolation = isolation

    def open(self, member: Address) -> None:
        self.connection = connect(member.host, member.port)
        self.cursor = self.connection.cursor()
        self.cursor.execute("SET tx_isolation = %s", (self.isolation,))

    def close(self) -> None:
        self.connection.close()

    def setup(self, value: Any = None) -> None:
        self.cursor.execute("CREATE TABLE test.t (k INT PRIMARY KEY, v TEXT) ENGINE=InnoDB")

    def txn(self, operations: list[list[Any]]) -> list[list[Any]]:
        try:
            answers = [self._operation(*one) for one in operations]
            self.connection.commit()
            return answers
        finally:
            self.connection.rollback()  # does nothing after a commit

    def add(self, element: int) -> None:
        self.txn([["append", element, 0]])

    def read(self) -> list[int]:
        self.cursor.execute("SELECT k FROM test.t")
        return [row[0] for row in self.cursor.fetchall()]

    def _operation(self, f: str, key: int, value: Any) -> list[Any]:
        self.cursor.execute("SELECT v FROM test.t WHERE k = %s", (key,))
        read = next((json.loads(row[0]) for row in self.cursor.fetchall()), None)
        if f == "r":
            return [f, key, read]
        # The new list is made of what was read before, as many programs do.
        written = json.dumps([*(read or []), value])
        self.cursor.execute("REPLACE INTO test.t VALUES (%s, %s)", (key, written))
        return [f, key, value]
