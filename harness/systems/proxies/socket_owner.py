"""Finds the process that owns the other end of a loopback connection.

A proxy must know which member dialled it, independent of the members' protocol. The search has two
steps. First, Netlink's sock_diag returns the inode of the socket with the two addresses of the
connection. This needs no privilege and takes about 20 us. Second, the open files of the members'
processes are searched for this inode.

On kernels without sock_diag, psutil reads /proc/net/tcp. This takes about 5 ms for each process on
a machine with a large socket table.

Source: sock_diag(7), inet_diag_req_v2 and inet_diag_msg in linux/inet_diag.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator

import psutil

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_NO_COOKIE = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id
_REQUEST = struct.Struct("=BBBBI")  # family, protocol, extensions, padding, states
_ENDS = struct.Struct("!HH4s12x4s12x")  # source port, target port, addresses: network order
_ENDS_TAIL = struct.Struct("=III")  # interface, cookie
_ANSWER_INODE = struct.Struct("=I")
_ANSWER_INODE_AT = 16 + 4 + 48 + 16

End = tuple[str, int]
"""One end of a TCP connection: an IPv4 address and a port."""


def owner(here: End, there: End, pids: Iterable[int]) -> int | None:
    """Return the first of `pids` that owns the socket bound to `here` and connected to `there`.

    A process also counts as the owner of its descendants' sockets. Returns None if no process owns
    the socket.
    """
    candidates = tuple(pids)
    try:
        inode = socket_inode(here, there)
    except OSError:
        return _owner_by_psutil(here, there, candidates)
    if inode is None:
        return None
    for pid in candidates:
        if _has_open(pid, inode):
            return pid
    for pid in candidates:
        if any(_has_open(child, inode) for child in _descendants(pid)):
            return pid
    return None


def socket_inode(here: End, there: End) -> int | None:
    """Return the inode of the TCP socket from `here` to `there`; None if no process has it open.

    Raises OSError if the kernel has no sock_diag.
    """
    body = (
        _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF)
        + _ENDS.pack(here[1], there[1], socket.inet_aton(here[0]), socket.inet_aton(there[0]))
        + _ENDS_TAIL.pack(0, _NO_COOKIE, _NO_COOKIE)
    )
    header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(1)
        netlink.send(header + body)
        answer = netlink.recv(4096)
    kind = _HEADER.unpack_from(answer)[1]
    if kind == _NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)
        if -code == errno.ENOENT:
            return None
        raise OSError(-code, os.strerror(-code))
    (inode,) = _ANSWER_INODE.unpack_from(answer, _ANSWER_INODE_AT)
    return inode or None


def _has_open(pid: int, inode: int) -> bool:
    return f"socket:[{inode}]" in _open_files(pid)


def _open_files(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a path object for each would double the cost
    except OSError:  # the process has ended
        return
    for name in names:
        try:
            yield os.readlink(f"{folder}/{name}")  # noqa: PTH115 - as above
        except OSError:  # the file has been closed
            continue


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _owner_by_psutil(here: End, there: End, pids: Iterable[int]) -> int | None:
    for pid in pids:
        for process in (pid, *_descendants(pid)):
            try:
                connections = psutil.Process(process).net_connections(kind="tcp4")
            except psutil.Error:
                continue
            if any(tuple(c.laddr) == here and tuple(c.raddr) == there for c in connections):
                return pid
    return None
