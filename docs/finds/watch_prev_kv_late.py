"""etcd: the first events of a watch with prev_kv come without prev_kv.

Usage: python watch_prev_kv_late.py /path/to/etcd. It starts one member in a temporary folder.
"""
import base64, http.client, json, subprocess, sys, tempfile, time

KEY = base64.b64encode(b"a").decode()
CREATE = {"create_request": {"key": KEY, "start_revision": "1", "prev_kv": True}}


def post(connection, path, body):
    connection.request("POST", f"/v3/{path}", json.dumps(body))
    return connection


def events_of(lines):
    """Return the first events of a watch."""
    while not (events := json.loads(lines.readline())["result"].get("events")):
        pass
    return events


with tempfile.TemporaryDirectory() as folder:
    member = subprocess.Popen([
        sys.argv[1], "--data-dir", folder, "--log-level", "fatal", "--listen-peer-urls=http://127.0.0.1:23890",
        "--listen-client-urls=http://127.0.0.1:23790", "--advertise-client-urls=http://127.0.0.1:23790"])
    try:
        time.sleep(3)
        for _ in range(50):
            post(http.client.HTTPConnection("127.0.0.1", 23790), "kv/put", {"key": KEY, "value": KEY}).getresponse()
        for number in range(1, 201):
            watches = [http.client.HTTPConnection("127.0.0.1", 23790) for _ in range(100)]
            for watch in [post(one, "watch", CREATE) for one in watches]:
                events = events_of(watch.getresponse())
                late = [one["kv"] for one in events if one["kv"]["version"] != "1" and "prev_kv" not in one]
                if late:
                    sys.exit(f"round {number}: {len(late)} events without prev_kv, such as {late[0]}")
    finally:
        member.kill()
        member.wait()
