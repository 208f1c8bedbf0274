"""The disk below a mounted file system keeps, after a power loss, what a model allows."""

from __future__ import annotations

import errno
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.harness.disk.faulty_disk import FaultyVolume
from splitbrain.harness.disk.simulated_disk import SECTOR_BYTES
from splitbrain.nemesis.disk_fault import DiskState

NAMES = ("a", "b", "c")
writes = st.tuples(
    st.just("write"), st.sampled_from(NAMES), st.integers(0, 2_000), st.binary(min_size=1,
                                                                              max_size=1_500)
)
steps = st.one_of(
    writes, writes, writes,
    st.tuples(st.just("sync"), st.sampled_from(NAMES)),
    st.tuples(st.just("resize"), st.sampled_from(NAMES), st.integers(0, 3_000)),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("remove"), st.sampled_from(NAMES)),
)


class Model:
    """Files by name: the contents that each has had since its last sync, the newest last."""

    def __init__(self) -> None:
        self.files: dict[str, list[bytes]] = {}
        self.names: list[dict[str, list[bytes]]] = [{}]
        """The names that a power loss may leave: those of the last sync, and all later ones."""

    def changed(self, name: str, content: bytes) -> None:
        self.files[name].append(content)

    def names_changed(self) -> None:
        self.names.append(dict(self.files))


def execute(step: tuple[Any, ...], volume: FaultyVolume, model: Model) -> None:
    do, name, *rest = step
    if do in ("write", "resize") and name not in model.files:
        volume.create(name)
        model.files[name] = [b""]
        model.names_changed()
    if name not in model.files:
        with pytest.raises(FileNotFoundError):
            volume.at(name)
        return
    now = model.files[name][-1]
    match do, rest:
        case "write", [offset, data]:
            volume.write(name, offset, data)
            padded = now.ljust(offset, b"\0")
            model.changed(name, padded[:offset] + data + padded[offset + len(data):])
        case "resize", [size]:
            volume.resize(name, size)
            model.changed(name, now[:size].ljust(size, b"\0"))
        case "sync", []:
            volume.sync(name)
            del model.files[name][:-1]
            model.names = [dict(model.files)]
        case "rename", [new] if new != name:
            volume.rename(name, new)
            model.files[new] = model.files.pop(name)
            model.names_changed()
        case "remove", []:
            volume.remove(name)
            del model.files[name]
            model.names_changed()


@given(st.lists(steps, max_size=12), st.integers(0, 1_000))
def test_without_faults_the_disk_is_a_file_system_and_a_power_loss_keeps_what_was_synced(
    done: list[tuple[Any, ...]], seed: int
) -> None:
    volume, model = FaultyVolume(Random(seed)), Model()
    for step in done:
        execute(step, volume, model)
    for name, contents in model.files.items():
        assert volume.read(name, 0, 10_000) == contents[-1]
    volume.lose_power()
    with pytest.raises(OSError, match="Input/output error"):
        volume.names("/")
    volume.powered = True
    left = {path: volume.read(path, 0, 10_000) for path, _ in volume.all_files()}
    assert list(left) in [sorted(names) for names in model.names]
    possible = [names for names in model.names if sorted(names) == list(left)]
    for name, content in left.items():
        versions = [one for names in possible for one in names[name]]
        assert len(content) in {len(version) for version in versions}
        for at in range(0, len(content), SECTOR_BYTES):
            size = min(SECTOR_BYTES, len(content) - at)
            sectors = {v[at : at + size].ljust(size, b"\0") for v in versions}
            assert content[at : at + size] in sectors


@pytest.mark.parametrize(("state", "call", "code"), [
    (DiskState(full=True), lambda volume: volume.write("a", 0, b"1"), errno.ENOSPC),
    (DiskState(full=True), lambda volume: volume.create("b"), errno.ENOSPC),
    (DiskState(write_error_percent=100), lambda volume: volume.write("a", 0, b"1"), errno.EIO),
    (DiskState(sync_error_percent=100), lambda volume: volume.sync("a"), errno.EIO),
    (DiskState(read_error_percent=100), lambda volume: volume.read("a", 0, 1), errno.EIO),
    (DiskState(), lambda volume: volume.read("x", 0, 1), errno.ENOENT),
    (DiskState(), lambda volume: volume.remove_directory("/d"), errno.ENOTEMPTY),
    (DiskState(), lambda volume: volume.make_directory("a"), errno.EEXIST),
    (DiskState(), lambda volume: volume.read("d", 0, 1), errno.EISDIR),
    (DiskState(), lambda volume: volume.names("a"), errno.ENOTDIR),
])
def test_a_refused_call_has_the_error_of_the_system_call(
    state: DiskState, call: Any, code: int
) -> None:
    volume = FaultyVolume(Random(1))
    volume.create("a")
    volume.make_directory("d")
    volume.create("d/c")
    volume.state = state
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number is checked
        call(volume)
    assert raised.value.errno == code
