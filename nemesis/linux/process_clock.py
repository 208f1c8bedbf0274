"""The wall clock of a running process, changed by patching its vDSO.

The vDSO is code that the kernel maps into each process, to read clocks without a system call.
Programs in C, Go, Rust, Java and Python use it. This module replaces the first bytes of the vDSO's
functions for the wall clock by jumps to code that adds an offset and a drift (`wall_clock.S`).
That code is written into the unused end of the vDSO's last page. The monotonic clock does not
change. The kernel copies a page before it is changed, so other processes are not affected. A child
process has a normal clock after its `exec`.

Programs that ask the kernel for the time by a system call are not affected.
"""

from __future__ import annotations

import asyncio
import os
import platform
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.linux.ptrace_permission import tracing_refused
from splitbrain.nemesis.linux.stop_process import instruction_pointers, stopped
from splitbrain.nemesis.linux.wall_clock_code import CODE, ENTRIES, SIZE, with_variables

REQUIRES = "x86-64 processes that this user may trace"
TRIES_MAX = 100
START_S = 1.0
JUMP_BYTES = 5
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC_SYMBOLS = 11
"""SHT_DYNSYM, the type of the section with the exported symbols."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write into the memory of a process: the address, the new bytes and the old bytes."""

    address: int
    new: bytes
    old: bytes


class WallClock:
    """The wall clock of one process, which can be changed. `open_clock` creates an object."""

    def __init__(self, pid: int, code_address: int, changes: tuple[Change, ...]) -> None:
        self.pid = pid
        self._code_address = code_address
        self.changes = changes
        """The writes that replace functions by jumps. Writing the old bytes undoes them."""

    async def set(
        self, *, ahead_ns: int, ppm: int, begin_ns: int, may_resume: Callable[[], bool]
    ) -> None:
        """Set the clock `ahead_ns` ahead at the true time `begin_ns`.

        From then on, it drifts by `ppm`. Stops the process for about a millisecond. Raises
        FaultError if the clock cannot be changed.
        """
        code = with_variables(begin_ns, ppm, ahead_ns)
        await self._write(
            [(self._code_address, code), *((one.address, one.new) for one in self.changes)],
            may_resume,
        )

    async def restore(self, may_resume: Callable[[], bool]) -> None:
        """Write the old bytes. The process's clock shows the true time again."""
        # A thread may be inside the new code, so the code stays in the process. Nothing jumps to it
        # any more.
        await self._write([(one.address, one.old) for one in self.changes], may_resume)

    async def _write(
        self, parts: list[tuple[int, bytes]], may_resume: Callable[[], bool]
    ) -> None:
        for _ in range(TRIES_MAX):
            async with stopped(self.pid, may_resume):
                if not self._is_thread_in_changes():
                    write_memory(self.pid, parts)
                    return
            await asyncio.sleep(0.001)
        raise FaultError(f"a thread of process {self.pid} does not leave the vDSO")

    def _is_thread_in_changes(self) -> bool:
        """Return whether a thread will continue inside the bytes that are replaced."""
        return any(
            one.address < pointer < one.address + JUMP_BYTES
            for pointer in instruction_pointers(self.pid) for one in self.changes
        )


def open_clock(pid: int) -> WallClock:
    """Return the clock of a process, without changing it.

    Raises FaultError if that is impossible.
    """
    begin, image = _image(pid, time.monotonic() + START_S)
    functions = _functions(image)
    room = (len(image) - SIZE) & ~0xF
    # The new code stays in a process whose clock was restored, and is used again.
    if not functions or (any(image[room:]) and not image[room:].startswith(CODE)):
        raise FaultError(f"the vDSO of process {pid} cannot be patched: it has an unknown form")
    changes = []
    for name, at in functions.items():
        jump = b"\xe9" + struct.pack("<i", room + ENTRIES[name] - (at + JUMP_BYTES))
        old = image[at : at + JUMP_BYTES]
        if old == jump:
            raise FaultError(f"the clock of process {pid} is already changed by another run")
        changes.append(Change(begin + at, jump, old))
    return WallClock(pid, begin + room, tuple(changes))


def write_memory(pid: int, parts: list[tuple[int, bytes]]) -> None:
    """Write pairs of address and bytes to the memory of `pid`. Raises FaultError if it fails."""
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_WRONLY)
        try:
            for address, data in parts:
                os.pwrite(memory, data, address)
        finally:
            os.close(memory)
    except OSError as problem:
        raise FaultError(
            f"the memory of process {pid} cannot be written: {problem.strerror}"
        ) from problem


def true_ns() -> int:
    """Return the time of this process's wall clock in ns. Its vDSO is not patched."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


def missing() -> str:
    """Return why the clocks of processes cannot be changed on this machine; "" if they can."""
    if platform.machine() != "x86_64":
        return f"clocks of processes need an x86-64 machine, and this is {platform.machine()}"
    if "[vdso]" not in Path("/proc/self/maps").read_text():
        return "clocks of processes need a kernel with a vDSO (it was started with vdso=0)"
    refused = tracing_refused()
    return f"clocks of processes need the right to trace processes: {refused}" if refused else ""


def _image(pid: int, give_up_s: float) -> tuple[int, bytes]:
    """Return the address and the bytes of the process's vDSO.

    While a process starts its program, it has no vDSO for a moment. The function waits for the vDSO
    until the monotonic clock shows `give_up_s`.
    """
    try:
        while True:
            maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
            found = [one for one in maps if one.endswith("[vdso]")]
            if found or time.monotonic() > give_up_s:
                break
            time.sleep(0.005)
        (line,) = found
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        try:
            return begin, os.pread(memory, end - begin, begin)
        finally:
            os.close(memory)
    except ValueError:
        raise FaultError(f"process {pid} has no vDSO") from None
    except OSError as problem:
        raise FaultError(
            f"the memory of process {pid} cannot be read: {problem.strerror}"
        ) from problem


def _functions(image: bytes) -> dict[str, int]:
    """Return the offsets of the vDSO's functions that read the wall clock, by name.

    The offsets come from the ELF symbols of the vDSO.
    """
    (sections_at,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [_SECTION.unpack_from(image, sections_at + n * size) for n in range(count)]
    found = {}
    for section in sections:
        if section[1] != _DYNAMIC_SYMBOLS:
            continue
        names_at = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], _SYMBOL.size):
            name_at, _, _, _, value, _ = _SYMBOL.unpack_from(image, at)
            begin = names_at + name_at
            name = image[begin : image.index(b"\0", begin)].decode()
            if name in ENTRIES:
                found[name] = value
    return found if len(found) == len(ENTRIES) else {}
