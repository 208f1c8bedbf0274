"""Members on other hosts, which are reached over SSH."""
