"""etcd: a member accepts the former password of a user, after the password of another user was changed.

Usage: python former_password_accepted.py /path/to/etcd. It starts one member in a temporary folder.
"""
import json, subprocess, sys, tempfile, time, urllib.error, urllib.request

HEADERS = {}


def call(path, **body):
    request = urllib.request.Request(f"http://127.0.0.1:23790/v3/auth/{path}", json.dumps(body).encode(), HEADERS)
    try:
        return json.load(urllib.request.urlopen(request, timeout=5))
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)


def log_in(password):
    answer = call("authenticate", name="bob", password=password)
    print(f"  bob logs in with the {password} password:", answer.get("message", "accepted"))


with tempfile.TemporaryDirectory() as folder:
    member = subprocess.Popen([
        sys.argv[1], "--data-dir", folder, "--log-level", "fatal", "--listen-peer-urls=http://127.0.0.1:23890",
        "--listen-client-urls=http://127.0.0.1:23790", "--advertise-client-urls=http://127.0.0.1:23790", "--bcrypt-cost=4"])
    try:
        time.sleep(3)
        for name in ("alice", "bob", "root"):
            call("user/add", name=name, password="first")
        call("role/add", name="root"), call("user/grant", user="root", role="root"), call("enable")
        HEADERS["Authorization"] = call("authenticate", name="root", password="first")["token"]
        for passwords in ({"alice": "a", "bob": "old"}, {"bob": "new"}, {}, {"alice": "b"}):
            for name, password in passwords.items():
                call("user/changepw", name=name, password=password)
            print("changed the password of", " and ".join(passwords) or "nobody")
            log_in("old"), log_in("new"), time.sleep(1)
    finally:
        member.kill()
        member.wait()
