"""Lines that are appended through memory are in the file, and nothing else is after `close`."""

from __future__ import annotations

import errno
import mmap
from pathlib import Path

import pytest

from splitbrain.histories import mapped_file, recorder
from splitbrain.histories.history import read_events
from splitbrain.histories.kv import Put
from splitbrain.histories.mapped_file import MappedFile
from splitbrain.histories.recorder import Recorder


@pytest.mark.parametrize("before", [b"", b"an older line\n", b"x" * 9_999 + b"\n"])
def test_lines_follow_what_the_file_contains_in_windows_of_any_length(
    tmp_path: Path, before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_file, "WINDOW_BYTES", 100)
    path = tmp_path / "lines"
    path.write_bytes(before)
    lines = [bytes([65 + number % 26]) * (number * 37 % 5_000) for number in range(300)]
    file = MappedFile(path)
    for line in lines:
        file.append(line)
        assert path.read_bytes().rstrip(b" ").endswith(line + b"\n")
    file.close()
    file.close()
    assert path.read_bytes() == before + b"".join(line + b"\n" for line in lines)


def test_a_line_that_fills_the_window_exactly_is_whole(tmp_path: Path) -> None:
    size = mapped_file.WINDOW_BYTES + mmap.ALLOCATIONGRANULARITY
    lines = [b"a" * (size - 1), b"b", b"c" * size, b"d"]
    file = MappedFile(tmp_path / "lines")
    for line in lines:
        file.append(line)
    file.close()
    assert (tmp_path / "lines").read_bytes().splitlines() == lines


def test_nothing_can_be_appended_after_close(tmp_path: Path) -> None:
    file = MappedFile(tmp_path / "lines")
    file.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.append(b"late")
    assert (tmp_path / "lines").read_bytes() == b""


def test_an_open_history_is_read_and_a_line_that_a_kill_cut_short_is_dropped(
    tmp_path: Path,
) -> None:
    path = tmp_path / "h.jsonl"
    with Recorder(path) as open_recorder:
        for number in range(3):
            open_recorder.invoke(number, "put", Put("a"), "n1")
        assert len(list(read_events(path))) == 3
        whole = path.read_bytes()
    cut = whole.rstrip(b" \n")[:-5]
    path.write_bytes(cut.ljust(len(whole)))
    assert len(list(read_events(path))) == 2


def test_without_maps_of_files_the_history_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, "no maps")

    monkeypatch.setattr(mmap, "mmap", refuse)
    path = tmp_path / "h.jsonl"
    with Recorder(path) as written:
        assert isinstance(written._file, recorder._WrittenFile)
        written.invoke(0, "put", Put("a"), "n1")
        assert path.read_bytes().endswith(b"}\n")
    assert len(list(read_events(path))) == 1
