"""etcd: a transaction that writes and reads at a future revision makes the members differ.

Usage: python txn_range_at_revision.py /path/to/etcd. It starts three members in a temporary folder.
"""
import base64, json, subprocess, sys, tempfile, time, urllib.error, urllib.request

PORTS = (23790, 23791, 23792)
CLUSTER = ",".join(f"n{port}=http://127.0.0.1:{port + 100}" for port in PORTS)


def text(value):
    return base64.b64encode(value.encode()).decode()


def call(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/{path}", json.dumps(body).encode())
    try:
        return json.load(urllib.request.urlopen(request, timeout=5))
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)


with tempfile.TemporaryDirectory() as folder:
    members = [subprocess.Popen([
        sys.argv[1], "--name", f"n{port}", "--data-dir", f"{folder}/{port}", "--log-level", "error",
        f"--listen-client-urls=http://127.0.0.1:{port}", f"--advertise-client-urls=http://127.0.0.1:{port}",
        f"--listen-peer-urls=http://127.0.0.1:{port + 100}", "--initial-cluster", CLUSTER,
        f"--initial-advertise-peer-urls=http://127.0.0.1:{port + 100}"]) for port in PORTS]
    try:
        time.sleep(5)
        put = {"requestPut": {"key": text("a"), "value": text("1")}}
        future = {"requestRange": {"key": text("a"), "revision": "1000"}}
        print("n1 answers:", call(PORTS[0], "kv/txn", {"success": [put, future]}))
        time.sleep(1)
        for port in PORTS:
            print(port, call(port, "kv/range", {"key": text("a"), "serializable": True}))
    finally:
        for member in members:
            member.kill()
            member.wait()
