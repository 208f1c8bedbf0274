"""Bug: the member accepts every record of the log without a check of its CRC."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage import wal_record

MUTANT = Mutant(
    what="a torn record at the end of the log is accepted",
    source="etcd-io/etcd issue 14098 (records in lost sectors are accepted); Alagappan et al.,"
    " FAST 2018",
    found_by=("invariants",),
)


def plant() -> None:
    wal_record.crc_matches = lambda found, computed: True
