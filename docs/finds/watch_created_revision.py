"""etcd 3.5.22 and later: a watch without a start revision receives events of the revision that it
was created at, or of earlier ones.

Usage: python watch_created_revision.py /path/to/etcd. It starts one member in a temporary folder.
"""
import base64, http.client, json, subprocess, sys, tempfile, threading, time

KEY = base64.b64encode(b"a").decode()


def post(path, body, connection=None):
    connection = connection or http.client.HTTPConnection("127.0.0.1", 23790)
    connection.request("POST", f"/v3/{path}", json.dumps(body))
    return connection


def write():
    connection = http.client.HTTPConnection("127.0.0.1", 23790)
    while True:
        post("kv/put", {"key": KEY, "value": KEY}, connection).getresponse().read()


with tempfile.TemporaryDirectory() as folder:
    member = subprocess.Popen([
        sys.argv[1], "--data-dir", folder, "--log-level", "fatal", "--listen-peer-urls=http://127.0.0.1:23890",
        "--listen-client-urls=http://127.0.0.1:23790", "--advertise-client-urls=http://127.0.0.1:23790"])
    try:
        time.sleep(3)
        for _ in range(8):
            threading.Thread(target=write, daemon=True).start()
        for number in range(1, 1001):
            for watch in [post("watch", {"create_request": {"key": KEY}}) for _ in range(50)]:
                lines = watch.getresponse()
                created, first = (json.loads(lines.readline())["result"] for _ in range(2))
                event = first["events"][0]["kv"]["mod_revision"]
                if int(event) <= int(created["header"]["revision"]):
                    sys.exit(f"round {number}: created at revision {created['header']['revision']}, event {event}")
    finally:
        member.kill()
        member.wait()
