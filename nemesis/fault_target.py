"""The members that a fault hits, as a value."""

from __future__ import annotations

from typing import Literal

MemberName = str

CLIENTS = "clients"
"""The name of the clients as an end of a link, if the network has links to clients."""

Target = Literal["any", "leader", "follower", "minority", "majority", "all"]
"""The members that a fault hits. any: one member at random. leader: the leader. follower: a
member that is not leader. minority: fewer than half. majority: more than half. all: every
member. `splitbrain.nemesis.target.choose_targets` describes each in full."""

TARGETS: tuple[Target, ...] = ("any", "leader", "follower", "minority", "majority", "all")
