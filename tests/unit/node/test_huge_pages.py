"""A process asks for huge pages for its code and its objects, and works on afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.systems.etcd_like.python_node import HUGE_PAGES, member_env
from splitbrain.node.real.huge_pages import HUGE_BYTES, regions

MAPS = """\
561460b00000-561461200000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000400000 rw-p 00000000 00:00 0
7f0000500000-7f0000600000 rw-p 00000000 00:00 0
7f0001000000-7f0001400000 r-xp 00028000 fe:00 4242                       /lib/libc.so.6
7f0002000000-7f0002400000 rw-p 00000000 fe:00 4243                       /a file
7f0003000000-7f0003400000 rw-s 00000000 00:01 77                         /dev/shm/shared
7f0004000000-7f0004400000 rw-p 00000000 00:00 0                          [stack]
"""
PROBE = """
import re, sys
from splitbrain.node.real.huge_pages import HUGE_BYTES, use_huge_pages
kept = [bytes(1000) + b"%d" % number for number in range(40_000)]
moved = use_huge_pages()
assert all(one.endswith(b"%d" % number) for number, one in enumerate(kept))
rollup = open("/proc/self/smaps_rollup").read()
print(moved, 1024 * sum(map(int, re.findall("(?:AnonHuge|FilePmd).*?([0-9]+) kB", rollup))))
"""


def test_code_and_objects_are_selected_in_whole_huge_pages() -> None:
    assert list(regions(MAPS)) == [
        (0x561460C00000, 0x561461200000),
        (0x7F0000000000, 0x7F0000400000),
        (0x7F0001000000, 0x7F0001400000),
    ]


def test_the_memory_of_a_process_is_moved_and_keeps_its_content() -> None:
    done = subprocess.run(
        (sys.executable, "-c", PROBE), env=member_env(), capture_output=True, text=True, check=True
    )
    moved, huge = map(int, done.stdout.split())
    mode = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not mode.exists() or "[never]" in mode.read_text():
        pytest.skip("the kernel has no huge pages")
    assert moved % HUGE_BYTES == 0
    assert huge >= min(moved, HUGE_BYTES)


def test_what_the_user_has_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    assert member_env()["PYTHONMALLOC"] == "debug"
    assert member_env()["GLIBC_TUNABLES"] == HUGE_PAGES["GLIBC_TUNABLES"]
