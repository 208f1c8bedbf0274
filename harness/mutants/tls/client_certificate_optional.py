"""Bug: a member with TLS serves clients that have no certificate."""

from __future__ import annotations

import ssl

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.real.tls import Tls

MUTANT = Mutant(
    what="a client without a certificate is served, although certificates are required",
    source="etcd's transport security model: --client-cert-auth; CWE-306, missing authentication",
    found_by=("tls",),
    run={"tls": True, "nodes": (1,), "nemesis": (), "time_limit_s": 1.0},
    simulated=False,
)


def plant() -> None:
    make = Tls._server_context

    def without_certificate(self: Tls) -> ssl.SSLContext:
        context = make(self)
        if self.settings.flag_prefix == "--":
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    Tls._server_context = without_certificate  # type: ignore[method-assign]
