"""The systems that can be tested: this project's own members, etcd, and those of users."""
