"""What the simulated kernel does when memory is short: drop page cache, swap out, throttle, and kill the biggest.

From: sim.py, after each step of time and each write. To: the groups' pages and counters, and `on_death`.
"""

import math

from supervisor.lab.kernel.group import NEAR, SimGroup
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.kernel.machine import Death, SimMachine
from supervisor.lab.kernel.text import PAGE, oom_log

LEFT = 5.0 * 2**20
"""bytes that a container still has whose child was killed"""
DROPPED = ("file", "slab")


def settle(machine: SimMachine) -> None:
    """Obey all limits, those of the smallest groups first."""
    groups = tuple(machine.root.below())
    for group in groups:
        group.stalled, group.stuck = 0.0, False
    for group in reversed(groups):
        if machine.groups.get(group.path) is group:
            _memory_and_swap(machine, group)
            _most(machine, group)
            _high(machine, group)


def reclaimable(machine: SimMachine, group: SimGroup) -> float:
    """Bytes that could be taken from it, and from what is below, without a kill."""
    swappable = group.total("anon") + group.total("shmem")
    return group.total("file") + group.total("slab") + min(swappable, _swap_room(machine, group))


def take(machine: SimMachine, group: SimGroup, wanted: float, *, swap: bool = True) -> float:
    """Take up to `wanted` bytes from it: page cache first, then into swap. The bytes that were taken."""
    droppable = group.total("file") + group.total("slab")
    dropped = min(max(0.0, wanted), droppable)
    for one in group.below():
        for kind in DROPPED:
            one.pages[kind] -= one.pages[kind] * dropped / droppable if droppable else 0.0
    swappable = group.total("anon") + group.total("shmem")
    out = min(wanted - dropped, swappable, _swap_room(machine, group)) if swap else 0.0
    if out <= NEAR:
        return dropped
    for one in group.below():
        for kind in ("anon", "shmem"):
            part = one.pages[kind] * out / swappable
            one.pages[kind] -= part
            one.pages["swap"] += part
    machine.vmstat["pswpout"] += out / PAGE
    group.stalled = max(group.stalled, 0.5)
    machine.root.stalled = max(machine.root.stalled, 0.5)
    return dropped + out


def oom(machine: SimMachine, group: SimGroup) -> bool:
    """Nothing else helps: kill the biggest task below this group. Whether there was one."""
    whole = min(group.limit, machine.memory.get("MemTotal", 0.0))
    victims = [
        (one.badness(whole), one.path, one)
        for one in group.below()
        if one.container_id and one.score > -1000 and one.resident + one.pages["swap"] > NEAR
    ]
    if not victims:
        return False
    victim = max(victims, key=lambda found: found[:2])[2]
    child = victim.load.child
    task, pid = ("worker", victim.pid + 1) if child else ("serve", victim.pid)
    machine.log.extend(oom_log(victim, group, pid, task))
    group.events["oom"] += 0 if group is machine.root else 1
    victim.events["oom_kill"] += 1
    machine.vmstat["oom_kill"] += 1
    victim.carry(SimLoad(anon=LEFT if child else 0.0))
    machine.died(Death(victim.container_id, "oom", child, group.path, pid, task))
    return True


def _most(machine: SimMachine, group: SimGroup) -> None:
    most = machine.most(group)
    if math.isinf(most) or group.charge <= most + NEAR:
        return
    group.failures += 1
    group.events["max"] += 0 if group is machine.root else 1
    take(machine, group, group.charge - most)
    while group.charge > most + NEAR and not group.stuck:
        group.stuck = not oom(machine, group)


def _memory_and_swap(machine: SimMachine, group: SimGroup) -> None:
    """Version 1's limit of memory and swap together: swapping does not help against it."""

    def over() -> float:
        return group.charge + group.total("swap") - group.memsw

    if math.isinf(group.memsw) or over() <= NEAR:
        return
    group.failures += 1
    take(machine, group, over(), swap=False)
    while over() > NEAR and not group.stuck:
        group.stuck = not oom(machine, group)


def _high(machine: SimMachine, group: SimGroup) -> None:
    if math.isinf(group.high):
        group.throttled = False
        return
    if group.charge > group.high + NEAR:
        group.events["high"] += 1
        take(machine, group, group.charge - group.high)
        group.throttled = group.charge > group.high + NEAR
    elif group.charge < group.high - NEAR:
        group.throttled = False
    if group.throttled and any(one.rates() for one in group.below()):
        group.stalled = 0.9
        for one in group.below():
            one.stalled = 0.9 if one.rates() else one.stalled
        machine.root.stalled = max(machine.root.stalled, 0.5)


def _swap_room(machine: SimMachine, group: SimGroup) -> float:
    room = machine.swap_free
    if machine.version == 2:
        for one in group.above():
            room = min(room, one.swap_limit - one.total("swap"))
    return max(0.0, room)
