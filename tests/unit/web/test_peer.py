"""Who may come in through the control socket."""

import os
import socket

from supervisor.web.peer import Peer, may_enter, peer_of


def test_the_kernel_says_who_is_there() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        peer = peer_of(here)
    assert (peer.uid, peer.gid) == (os.getuid(), os.getgid())
    assert peer.principal == f"uid:{os.getuid()}"


def test_root_the_own_user_and_the_group_may_come_in() -> None:
    assert may_enter(Peer(0, 0), own_uid=990, group=991)
    assert may_enter(Peer(990, 5), own_uid=990, group=991)
    assert may_enter(Peer(54321, 991), own_uid=990, group=991)


def test_nobody_else_may() -> None:
    assert not may_enter(Peer(54321, 54321), own_uid=990, group=991)
    assert not may_enter(Peer(54321, 0), own_uid=990, group=991)
