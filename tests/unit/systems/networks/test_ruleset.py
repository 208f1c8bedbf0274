"""The nftables rules that close, break and slow the links between network namespaces."""

from __future__ import annotations

from splitbrain.harness.systems.networks.nftables import Stream, ruleset
from splitbrain.nemesis.capabilities import NORMAL, LinkState

A, B, C = "198.18.0.11", "198.18.0.12", "198.18.0.1"


def rules(**states: LinkState) -> list[str]:
    """The rules of the links in `states`, such as AB, without what all of them contain."""
    names = {"A": A, "B": B, "C": C}
    links = {(names[a], names[b]): NORMAL for a in names for b in names if a != b}
    links |= {(names[key[0]], names[key[1]]): state for key, state in states.items()}
    lost = {(A, B): (Stream(A, 7002, B, 40000),)} if states.get("AB", NORMAL).half_open else {}
    text = ruleset(("forward",), links, lost)
    short = text.replace(A, "A").replace(B, "B").replace("198_18_0_11", "A")
    short = short.replace("198_18_0_12", "B").replace(' iifname != "slow"', "")
    return [
        line.removeprefix("add rule ip splitbrain ")
        for line in short.splitlines() if line.startswith("add rule")
    ]


def test_a_link_is_closed_as_its_opposite_is() -> None:
    cut = LinkState(open=False)
    assert rules() == []
    assert rules(AB=cut) == ["forward ip saddr A ip daddr B counter name c_A_to_B drop"]
    assert rules(AB=LinkState(black_hole=True)) == rules(AB=cut)
    assert rules(AB=cut, BA=cut)[:2] == [
        "forward ip saddr A ip daddr B meta l4proto tcp counter name c_A_to_B "
        "reject with tcp reset",
        "forward ip saddr A ip daddr B counter name c_A_to_B reject",
    ]


def test_packets_are_lost_at_random_and_slow_ones_are_marked() -> None:
    assert rules(AB=LinkState(lost_percent=2.5)) == [
        "forward ip saddr A ip daddr B numgen random mod 100000 < 2500 counter name c_A_to_B drop"
    ]
    assert rules(AB=LinkState(lost_percent=100)) == rules(AB=LinkState(black_hole=True))
    assert "< 99999 " in rules(AB=LinkState(lost_percent=99.9999))[0]
    assert rules(AB=LinkState(delay_ms=1)) == ["marks ip saddr A ip daddr B meta mark set 1"]
    assert rules(AB=LinkState(corrupt_percent=1)) == rules(AB=LinkState(delay_ms=1))


def test_a_lost_connection_is_refused_to_one_end_and_silent_to_the_other() -> None:
    assert rules(AB=LinkState(half_open=True)) == [
        "forward ip saddr A tcp sport 7002 ip daddr B tcp dport 40000 counter name c_A_to_B "
        "reject with tcp reset",
        "forward ip saddr B tcp sport 40000 ip daddr A tcp dport 7002 counter name c_A_to_B drop",
    ]
