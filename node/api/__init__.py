"""etcd's v3 services for clients, as handlers of values and as JSON over HTTP."""
