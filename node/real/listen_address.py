"""Parses the address at which a member listens, and explains why it cannot listen there."""

from __future__ import annotations

import errno
from urllib.parse import urlsplit

from splitbrain.node.world import AddressInUse


def host_and_port(url: str) -> tuple[str, int]:
    """Return the host and the port of `url`, such as "http://127.0.0.1:2379"."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"{url!r} is not a usable address; expected http://HOST:PORT")
    return parts.hostname, parts.port


def address_error(url: str, problem: OSError) -> AddressInUse:
    """Return the error for a member that cannot listen at `url` because of `problem`."""
    if problem.errno == errno.EADDRINUSE:
        return AddressInUse(f"something else listens on {url}; give the member another address")
    return AddressInUse(f"cannot listen on {url}: {problem.strerror or problem}")
