"""A host on which a member runs, and how it is reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from splitbrain.harness.errors import BadArguments

_TEXT = re.compile(r"(?:(?P<user>[^@:]+)@)?(?P<address>[^@:]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host: the address at which its member listens, and how the harness logs in."""

    address: str
    ssh_port: int = 22
    user: str = ""
    """The user who logs in. Empty: the user of the harness, or the one in the SSH configuration."""
    key: str = ""
    """The path of a private key. Empty: the keys of the user and of the SSH agent."""
    known_hosts: str = ""
    """The path of a file of known hosts. "none": every host key is accepted. Empty: the user's
    file."""
    sudo: bool = False
    """Whether nftables is called by `sudo -n`, because `user` is not root."""


def hosts_of(options: Mapping[str, int | str]) -> tuple[Host, ...]:
    """Return the hosts that the user's options of a system name.

    `options` are the values of `--system-option`. Its key `hosts` is a list such as
    `root@10.0.0.1:22,root@10.0.0.2`. The keys `ssh_key`, `known_hosts` and `sudo` apply to all
    hosts. Raises BadArguments.
    """
    text = str(options.get("hosts", ""))
    if not text:
        raise BadArguments(
            "no hosts are given: expected --system-option hosts=USER@ADDRESS[:PORT],…"
        )
    hosts = []
    for word in text.split(","):
        found = _TEXT.fullmatch(word.strip())
        if found is None:
            raise BadArguments(f"hosts={text}: {word!r} is not USER@ADDRESS[:PORT]")
        hosts.append(Host(
            address=found["address"], ssh_port=int(found["port"] or 22),
            user=found["user"] or "", key=str(options.get("ssh_key", "")),
            known_hosts=str(options.get("known_hosts", "")),
            sudo=bool(int(options.get("sudo", 0))),
        ))
    return tuple(hosts)
