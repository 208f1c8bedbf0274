"""Judges TLS: a member with TLS must refuse every connection without a valid certificate.

After the set-up of a run with TLS, the harness tries four connections to each member: with a
certificate of the cluster's authority, without a certificate, with a certificate of another
authority, and without TLS. The verdict `tls` is unknown if a member does not answer in time, or
refuses the valid certificate.
"""

from __future__ import annotations

from splitbrain.checkers.verdict import Anomaly, Verdict, merge
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.systems.tls.tls_probe import VALID_IDENTITY, TlsProbe

TLS = "tls"


def tls_verdict(record: RunRecord) -> Verdict | None:
    """Return the verdict `tls`; None if the run had no TLS, so that no connections were tried."""
    probes = record.tls_probes
    if not probes:
        return None
    wrong = [one for one in probes if one.accepted and one.identity != VALID_IDENTITY]
    undecided = [
        one for one in probes
        if one.accepted is None or (one.identity == VALID_IDENTITY and not one.accepted)
    ]
    why = "; ".join(
        f"{one.member} {'did not answer' if one.accepted is None else 'refused'} a connection to"
        f" its URL for {_who(one)} with {one.identity}"
        for one in undecided
    )
    anomalies = tuple(
        Anomaly(
            "accepted connection",
            f"{one.member} accepted a connection to its URL for {_who(one)} with {one.identity},"
            " although it requires a certificate of the cluster's authority",
            members=(one.member,),
        )
        for one in wrong
    )
    counts = {"connections": len(probes), "accepted": sum(one.accepted is True for one in probes)}
    valid = merge((not anomalies, None if undecided else True))
    return Verdict(TLS, valid, anomalies, counts, why=why)


def _who(probe: TlsProbe) -> str:
    return "clients" if probe.url == "client" else "peers"
