"""Who is at the other end of a unix socket, and who may be.

In: a connected socket. Out: the peer's uid and gid as the kernel says them (no client can claim another's).
"""

import contextlib
import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass

GROUP = "resurgam"

_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1  # macOS: getsockopt(SOL_LOCAL, LOCAL_PEERCRED) gives a struct xucred


@dataclass(frozen=True, slots=True)
class Peer:
    """The user behind a connection."""

    uid: int
    gid: int

    @property
    def principal(self) -> str:
        """How the journal names them."""
        return f"uid:{self.uid}"


def peer_of(sock: socket.socket) -> Peer:
    """The peer of a connected unix socket; OSError where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is not None:
        _pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
        return Peer(uid, gid)
    raw = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)
    _version, uid, _groups, gid = struct.unpack_from("IIh2xI", raw)
    return Peer(uid, gid)


def group_id(name: str = GROUP) -> int | None:
    """The id of the group that may steer us; None if this machine has none."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def may_enter(peer: Peer, own_uid: int | None = None, group: int | None = None) -> bool:
    """Root, the daemon's own user, and members of the group `resurgam` (by default looked up now)."""
    own = os.geteuid() if own_uid is None else own_uid
    if peer.uid in (0, own):
        return True
    wanted = group_id() if group is None else group
    if wanted is None:
        return False
    if peer.gid == wanted:
        return True
    with contextlib.suppress(KeyError, OSError):
        user = pwd.getpwuid(peer.uid)
        return wanted in os.getgrouplist(user.pw_name, user.pw_gid)
    return False
