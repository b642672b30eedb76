# SPDX-License-Identifier: Apache-2.0
"""What a process listens at, has open and has used, from /proc."""
import os
import pathlib
import socket

LISTENING = "0A"
ACCEPTS = 0x10000
KINDS = {1: socket.SOCK_STREAM, 5: socket.SOCK_SEQPACKET}


def descriptors_of(pid):
    """What each open descriptor is, e.g. socket:[123]."""
    found = []
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(path))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def rows_of(pid, table):
    return [line.split() for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]


def listeners_of(pid):
    """Pairs of a socket's family and kind, and its address: every one that the process accepts connections at."""
    inodes = {name[8:-1] for name in descriptors_of(pid) if name.startswith("socket:[")}
    found = []
    for table, family in [("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)]:
        for row in rows_of(pid, table):
            if row[3] == LISTENING and row[9] in inodes:
                address = "127.0.0.1" if family == socket.AF_INET else "::1"
                found.append(((family, socket.SOCK_STREAM), (address, int(row[1].rsplit(":", 1)[1], 16))))
    for row in rows_of(pid, "unix"):
        if int(row[3], 16) & ACCEPTS and row[6] in inodes:
            path = "\0" + row[7][1:] if row[7].startswith("@") else row[7]
            found.append(((socket.AF_UNIX, KINDS[int(row[4], 16)]), path))
    return found


def peak_bytes_of(pid):
    """Of resident memory."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no peak of process {pid}")
