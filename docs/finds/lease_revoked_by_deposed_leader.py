"""etcd: a leader that was deposed while it was paused revokes leases that are kept alive.

Usage: python lease_revoked_by_deposed_leader.py /path/to/etcd. It starts three members.
"""
import contextlib, http.client, json, signal, subprocess, sys, tempfile, time

PORTS, LEASES, TTL_S = (23790, 23791, 23792), range(1, 61), 5
CLUSTER = ",".join(f"n{port}=http://127.0.0.1:{port + 100}" for port in PORTS)

def call(port, path, body):
    with contextlib.suppress(OSError, http.client.HTTPException):  # no answer: no leader at this time
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("POST", f"/v3/{path}", json.dumps(body))
        return json.loads(connection.getresponse().read())
    return {}

with tempfile.TemporaryDirectory() as folder:
    members = {port: subprocess.Popen([
        sys.argv[1], "--name", f"n{port}", "--data-dir", f"{folder}/{port}", "--log-level", "fatal",
        f"--listen-client-urls=http://127.0.0.1:{port}", f"--advertise-client-urls=http://127.0.0.1:{port}",
        f"--listen-peer-urls=http://127.0.0.1:{port + 100}", "--initial-cluster", CLUSTER,
        f"--initial-advertise-peer-urls=http://127.0.0.1:{port + 100}"]) for port in PORTS}
    try:
        time.sleep(5)
        kept = {lease: time.time() for lease in LEASES if call(PORTS[0], "lease/grant", {"ID": lease, "TTL": TTL_S})}
        for number in range(1, 41):
            statuses = {port: call(port, "maintenance/status", {}) for port in PORTS}
            leader = next(port for port, one in statuses.items() if one and one["leader"] == one["header"]["member_id"])
            members[leader].send_signal(signal.SIGSTOP)
            begin, others = time.time(), [port for port in PORTS if port != leader]
            while time.time() < begin + TTL_S + 5:
                if time.time() > begin + TTL_S + 3:
                    members[leader].send_signal(signal.SIGCONT)
                for lease in kept:
                    answer = call(others[lease % 2], "lease/keepalive", {"ID": lease}).get("result", {})
                    if answer and "TTL" not in answer:
                        sys.exit(f"round {number}: lease {lease} is gone, kept alive {time.time() - kept[lease]:.1f} s ago")
                    kept[lease] = time.time() if answer else kept[lease]
    finally:
        [member.kill() for member in members.values()]
