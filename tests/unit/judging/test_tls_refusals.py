"""The verdict `tls` depends on the connections without a certificate that the harness tried."""

from __future__ import annotations

import pytest

from splitbrain.harness.judging.tls_verdict import tls_verdict
from splitbrain.harness.schedule.options import DEFAULTS
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.systems.tls.tls_probe import TlsProbe

GOOD = TlsProbe("n1", "client", "a certificate of the authority", accepted=True)
REFUSED = TlsProbe("n1", "peer", "no certificate", accepted=False)


def verdict_of(*probes: TlsProbe) -> tuple[bool | None, str, list[str]]:
    record = RunRecord(test="t", seed=1, options=DEFAULTS, started="now", tls_probes=probes)
    found = tls_verdict(record)
    assert found is not None
    return found.valid, found.why, [one.because for one in found.anomalies]


def test_a_run_without_tls_has_no_verdict() -> None:
    record = RunRecord(test="t", seed=1, options=DEFAULTS, started="now")
    assert tls_verdict(record) is None


def test_members_that_refuse_all_but_the_valid_certificate_are_valid() -> None:
    assert verdict_of(GOOD, REFUSED) == (True, "", [])


def test_an_accepted_stranger_is_an_anomaly() -> None:
    stranger = TlsProbe("n2", "peer", "a certificate of another authority", accepted=True)
    valid, _, (because,) = verdict_of(GOOD, REFUSED, stranger)
    assert valid is False
    assert because.startswith(
        "n2 accepted a connection to its URL for peers with a certificate of another authority"
    )


@pytest.mark.parametrize("accepted", [None, False])
def test_a_member_that_does_not_accept_the_valid_certificate_proves_nothing(
    *, accepted: bool | None
) -> None:
    deaf = TlsProbe("n1", "client", "a certificate of the authority", accepted=accepted)
    valid, why, _ = verdict_of(deaf, REFUSED)
    assert valid is None
    assert "its URL for clients with a certificate of the authority" in why
