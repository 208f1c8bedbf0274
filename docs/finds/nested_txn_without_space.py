"""etcd: a put inside a nested transaction is executed although the space quota is used up.

Usage: python nested_txn_without_space.py /path/to/etcd. It starts one member in a temporary folder.
"""
import base64, json, subprocess, sys, tempfile, time, urllib.error, urllib.request


def text(value):
    return base64.b64encode(value.encode()).decode()


def call(path, body):
    request = urllib.request.Request(f"http://127.0.0.1:23790/v3/{path}", json.dumps(body).encode())
    try:
        return json.load(urllib.request.urlopen(request, timeout=5))
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)


with tempfile.TemporaryDirectory() as folder:
    member = subprocess.Popen([
        sys.argv[1], "--data-dir", folder, "--log-level", "fatal", "--listen-peer-urls=http://127.0.0.1:23890",
        "--listen-client-urls=http://127.0.0.1:23790", "--advertise-client-urls=http://127.0.0.1:23790",
        "--quota-backend-bytes=1000000"])
    try:
        time.sleep(3)
        put = {"key": text("a"), "value": text("x" * 100_000)}
        while "code" not in (answer := call("kv/put", put)):
            pass
        print("a put:", answer["message"], call("maintenance/alarm", {"action": "GET"})["alarms"])
        print("a put in a transaction:", call("kv/txn", {"success": [{"requestPut": put}]})["message"])
        nested = {"success": [{"requestTxn": {"success": [{"requestPut": put}]}}]}
        sizes = []
        for _ in range(50):
            assert call("kv/txn", nested)["succeeded"]
            sizes.append(int(call("maintenance/status", {})["dbSize"]))
        print(f"50 puts in nested transactions succeed; the backend grows from {sizes[0]} to {sizes[-1]} bytes")
    finally:
        member.kill()
        member.wait()
