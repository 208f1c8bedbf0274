"""Creates the network of members on this machine, by the name that a run gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from splitbrain.harness.systems.networks.namespaces import Namespaces
from splitbrain.harness.systems.networks.network import NAMESPACES, Loopback, MemberNetwork


def local_network(
    name: str, *, seed: int, proxied: Sequence[str], folder: Path
) -> MemberNetwork:
    """Create the network `name`, which is one of `NETWORKS`. Nothing is started yet.

    On loopback, the ports in `proxied` have proxies. The logs of helper processes are in `folder`.
    """
    if name == NAMESPACES:
        return Namespaces(seed=seed, log=folder / "slow_links.log")
    return Loopback(seed=seed, proxied=proxied, log=folder / "proxies.log")
