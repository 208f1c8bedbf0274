"""TCP proxies between the members of a cluster of processes, which inject faults of links."""
