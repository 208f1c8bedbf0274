"""The test suites of clients that others wrote for etcd, run against this project's members."""
