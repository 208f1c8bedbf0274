"""etcd's v3 services for clients, and their carrier, JSON over HTTP."""
