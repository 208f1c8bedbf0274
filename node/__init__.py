"""One member of an etcd-like replicated store: the server, its Raft, its storage and its API."""
