"""The network of a cluster of processes: loopback with proxies, or network namespaces."""
