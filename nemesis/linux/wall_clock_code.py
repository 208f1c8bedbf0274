"""The machine code of `wall_clock.S`, which replaces functions of a process's vDSO.

The bytes were assembled by `as --64`. A test assembles the source again and compares.
"""

from __future__ import annotations

import struct

CODE = bytes.fromhex(
    "b8e40000000f0585c0754c85ff740583ff05754348690600ca9a3b480346084889c1482b05b700000048f72d"
    "b800000041b840420f0049f7f84801c8480305ad000000489941b800ca9a3b49f7f84889064889560831c0c3"
    "0f1f8400000000004883ec184989f94989f231ff4889e6e88cffffff4d85c9741a488b0424498901488b4424"
    "0831d2b9e803000048f7f1498941084d85d2740749c7020000000031c04883c418c3662e0f1f840000000000"
    "4883ec184989f931ff4889e6e83fffffff488b04244d85c974034989014883c418c366662e0f1f8400000000"
    "000f1f00"
)
ENTRIES = {"__vdso_clock_gettime": 0, "__vdso_gettimeofday": 0x60, "__vdso_time": 0xB0}
"""Maps a function of the vDSO to the offset of its replacement in the code."""
_VARIABLES = struct.Struct("<qqq")
SIZE = len(CODE) + _VARIABLES.size


def with_variables(begin_ns: int, ppm: int, ahead_ns: int) -> bytes:
    """Return the bytes of the code, followed by its variables.

    The code changes a wall clock: when the true time is T, the clock shows `T + ahead_ns + (T -
    begin_ns) * ppm / 1e6`.
    """
    return CODE + _VARIABLES.pack(begin_ns, ppm, ahead_ns)
