"""How the harness talks to a store: etcd's JSON gateway, and what became of each request."""
