"""Serves one disk as a mounted file system: `python -m splitbrain.harness.disk`.

The arguments are the number of an open file descriptor, the mount point, the seed of the random
draws, and the areas of the disk as JSON. The harness sends one JSON line for each command over the
file descriptor, and waits for the answer, which is one JSON line. The process ends when the harness
closes its end of the descriptor, or exits.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path
from random import Random

import msgspec

from splitbrain.harness.disk.commands import (
    Answer,
    Command,
    LosePower,
    LoseSectors,
    PowerOn,
    Rot,
    Save,
    SetState,
)
from splitbrain.harness.disk.faulty_disk import FaultyVolume
from splitbrain.harness.disk.fuse_operations import FuseOperations


def main() -> None:
    """Mount the disk, serve it, and execute the harness's commands, until the process ends."""
    import mfusepy

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness handles a Ctrl-C
    handle, mount_point, seed, areas = sys.argv[1:]
    control = socket.socket(fileno=int(handle))
    volume = FaultyVolume(Random(int(seed)), msgspec.json.decode(areas))
    threading.Thread(target=_serve, args=(control, volume), daemon=True).start()
    options: dict[str, object] = {"big_writes": True} if mfusepy.fuse_version_major == 2 else {}
    mfusepy.FUSE(
        FuseOperations(volume), mount_point, foreground=True, fsname="splitbrain",
        attr_timeout=0, entry_timeout=0, negative_timeout=0, **options,
    )


def _serve(control: socket.socket, volume: FaultyVolume) -> None:
    decoder = msgspec.json.Decoder(Command)
    with control.makefile("rwb") as stream:
        for line in stream:
            try:
                answer = Answer(text=_execute(volume, decoder.decode(line)))
            except OSError as problem:
                answer = Answer(error=str(problem))
            stream.write(msgspec.json.encode(answer) + b"\n")
            stream.flush()
    os._exit(0)


def _execute(volume: FaultyVolume, command: Command) -> str:
    match command:
        case SetState(state):
            volume.state = state
        case LosePower():
            volume.lose_power()
        case PowerOn():
            volume.powered = True
        case Rot(area, bits):
            return volume.rot(area, bits)
        case LoseSectors(area, sectors):
            return volume.lose_sectors(area, sectors)
        case Save(folder):
            _save(volume, Path(folder))
    return ""


def _save(volume: FaultyVolume, folder: Path) -> None:
    """Write all files to a folder outside of the disk. Zeros at the end of a file become a hole."""
    for path, inode in volume.all_files():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.write(inode.cached)
            file.truncate(inode.size)


if __name__ == "__main__":
    main()
