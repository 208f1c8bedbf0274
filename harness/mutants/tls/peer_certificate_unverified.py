"""Bug: a member with TLS does not verify the certificates of the peers that connect."""

from __future__ import annotations

import ssl

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.real.tls import Tls

MUTANT = Mutant(
    what="a member accepts a peer whose certificate is of another authority, or missing",
    source="etcd's transport security model: --peer-client-cert-auth; CWE-295, improper validation",
    found_by=("tls",),
    run={"tls": True, "nodes": (1,), "nemesis": (), "time_limit_s": 1.0},
    simulated=False,
)


def plant() -> None:
    make = Tls._server_context

    def unverified(self: Tls) -> ssl.SSLContext:
        context = make(self)
        if self.settings.flag_prefix == "--peer-":
            context.verify_mode = ssl.CERT_NONE
        return context

    Tls._server_context = unverified  # type: ignore[method-assign]
