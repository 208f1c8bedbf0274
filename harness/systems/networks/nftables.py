"""Writes nftables rules that cut links between addresses, or lose packets of links.

The functions are pure: they return text for `nft -f -`.

Source: nft(8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from splitbrain.nemesis.capabilities import NORMAL, LinkState

TABLE = "splitbrain"
SLOW_MARK = 1
"""The mark of packets that a process delays before they are passed on."""
SLOW_INTERFACE = "slow"
_PARTS_OF_ALL = 100_000
_NOT_DELAYED = f'iifname != "{SLOW_INTERFACE}"'
_CONDITIONS = {
    "forward": _NOT_DELAYED, "marks": _NOT_DELAYED, "input": 'iifname != "lo"',
    "output": 'oifname != "lo"',
}
"""Maps a chain to a condition. The rules of the chain apply only to packets that meet it.

In `forward` and `marks`, it excludes packets that come back from the slow interface, because they
were delayed already. In `input` and `output`, it excludes packets of the loopback interface. The
reset for a refused packet is such a packet, and must not be refused too."""

Link = tuple[str, str]
"""A directed link: the address of its source and the address of its target."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A TCP connection that one end has lost, with addresses and ports as this end sees them."""

    here: str
    here_port: int
    there: str
    there_port: int


def ruleset(
    hooks: Iterable[str],
    states: Mapping[Link, LinkState],
    lost_streams: Mapping[Link, Iterable[Stream]],
    table: str = TABLE,
) -> str:
    """Return an nftables table with the rules of all links.

    The rules are in the chains of `hooks`, such as `forward`. The rules replace those of an earlier
    table with this name. The counters, one for each link, keep their values.
    """
    rules = [
        rule
        for link, state in states.items() if state != NORMAL
        for rule in (*_stream_rules(link, lost_streams.get(link, ())), *_rules(link, states))
    ]
    marks = [
        f"ip saddr {link[0]} ip daddr {link[1]} meta mark set {SLOW_MARK}"
        for link, state in states.items() if is_slow(state)
    ]
    lines = [f"table ip {table} {{"]
    lines += [f"  counter {counter(link)} {{ }}" for link in states]
    for hook in hooks:
        lines += [f"  chain {hook} {{ type filter hook {hook} priority 0; }}"]
    lines += ["  chain marks { type filter hook prerouting priority -150; }", "}"]
    for hook in (*hooks, "marks"):
        lines.append(f"flush chain ip {table} {hook}")
    for hook in hooks:
        lines += [
            f"add rule ip {table} {hook} {_CONDITIONS[hook]} {rule}" for rule in rules
        ]
    lines += [
        f"add rule ip {table} marks {_CONDITIONS['marks']} {mark}" for mark in marks
    ]
    return "\n".join(lines) + "\n"


def streams_in(text: str, link: Link) -> tuple[Stream, ...]:
    """Return the connections between the ends of `link`.

    `text` is the output of `ss -tnHO state established`.
    """
    ends = [line.split()[2:4] for line in text.splitlines()]
    return tuple(
        Stream(link[0], int(here.rpartition(":")[2]), link[1], int(there.rpartition(":")[2]))
        for here, there in ends
    )


def counter(link: Link) -> str:
    """Return the name of the nftables counter of a link."""
    return "c_" + "_to_".join(address.replace(".", "_") for address in link)


def is_slow(state: LinkState) -> bool:
    """Return whether packets in this state are delayed or changed, which nftables cannot do."""
    return bool(
        state.delay_ms or state.jitter_ms or state.rate_bytes_per_s or state.corrupt_percent
    )


def is_broken(link: Link, states: Mapping[Link, LinkState]) -> bool:
    """Return whether the link and its opposite are both closed, so that connections break."""
    back = states.get((link[1], link[0]), NORMAL)
    return not states[link].open and not back.open


def _rules(link: Link, states: Mapping[Link, LinkState]) -> Iterator[str]:
    state = states[link]
    packets = f"ip saddr {link[0]} ip daddr {link[1]}"
    count = f"counter name {counter(link)}"
    if is_broken(link, states):
        yield f"{packets} meta l4proto tcp {count} reject with tcp reset"
        yield f"{packets} {count} reject"
    elif state.black_hole or not state.open or state.lost_percent >= 100:
        yield f"{packets} {count} drop"
    elif state.lost_percent:
        parts = min(max(round(state.lost_percent / 100 * _PARTS_OF_ALL), 1), _PARTS_OF_ALL - 1)
        yield f"{packets} numgen random mod {_PARTS_OF_ALL} < {parts} {count} drop"


def _stream_rules(link: Link, streams: Iterable[Stream]) -> Iterator[str]:
    """Yield rules for connections that the link's source has lost and the target still has."""
    count = f"counter name {counter(link)}"
    for one in streams:
        yield (
            f"ip saddr {one.here} tcp sport {one.here_port} ip daddr {one.there} "
            f"tcp dport {one.there_port} {count} reject with tcp reset"
        )
        yield (
            f"ip saddr {one.there} tcp sport {one.there_port} ip daddr {one.here} "
            f"tcp dport {one.here_port} {count} drop"
        )
