"""What writing to a file of a simulated control group does, and how the kernel refuses it.

From: sim.py. To: the groups. As in the kernel, version 1 refuses a limit below what is used (EBUSY), and
version 2 takes it and kills.
"""

import errno
import math
import re
from collections.abc import Callable

from supervisor.lab.kernel.files import no, place
from supervisor.lab.kernel.group import NEAR, SimGroup
from supervisor.lab.kernel.machine import Death, SimMachine
from supervisor.lab.kernel.reclaim import settle, take
from supervisor.lab.kernel.text import PAGE

_SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
Write = Callable[[SimMachine, SimGroup, str, float], int]
"""(machine, group, text, monotonic now) -> errno, 0 where it was done"""


def write(machine: SimMachine, path: str, value: str, now: float) -> None:
    """One write(2); OSError as the kernel raises it."""
    found = place(machine, path)
    if found is None:
        raise no(errno.ENOENT, path)
    _tree, group, name = found
    if not name:
        raise no(errno.EISDIR, path)
    do = _WRITES.get(name)
    number = do(machine, group, value.strip(), now) if do else errno.EINVAL
    if number:
        raise no(number, path)


def size(value: str, none: str) -> float | None:
    """Bytes in whole pages; infinity for `none` (`max` or `-1`); None where it is no size."""
    if value == none:
        return math.inf
    match = re.fullmatch(r"(\d+)([kmgt]?)b?", value.lower())
    return float(int(match[1]) * _SIZES[match[2]] // PAGE * PAGE) if match else None


def _limit_v1(machine: SimMachine, group: SimGroup, value: str, _now: float) -> int:
    wanted = size(value, "-1")
    if wanted is None or group is machine.root or wanted > group.memsw + NEAR:
        return errno.EINVAL
    if group.charge > wanted:
        take(machine, group, group.charge - wanted)
    if group.charge > wanted + NEAR:
        return errno.EBUSY
    group.limit = wanted
    return 0


def _memsw_v1(machine: SimMachine, group: SimGroup, value: str, _now: float) -> int:
    wanted = size(value, "-1")
    if wanted is None or group is machine.root or wanted < group.limit - NEAR:
        return errno.EINVAL
    if group.charge + group.total("swap") > wanted:
        take(machine, group, group.charge + group.total("swap") - wanted, swap=False)
    if group.charge + group.total("swap") > wanted + NEAR:
        return errno.EBUSY
    group.memsw = wanted
    return 0


def _force_empty(machine: SimMachine, group: SimGroup, _value: str, _now: float) -> int:
    take(machine, group, math.inf)
    return 0


def _freezer(machine: SimMachine, group: SimGroup, value: str, now: float) -> int:
    if value not in ("FROZEN", "THAWED") or group is machine.root:
        return errno.EINVAL
    freeze(machine, group, "v1", value == "FROZEN", now)
    return 0


def _freeze(machine: SimMachine, group: SimGroup, value: str, now: float) -> int:
    if not re.fullmatch(r"-?\d+", value):
        return errno.EINVAL
    if value not in ("0", "1"):
        return errno.ERANGE
    freeze(machine, group, "v2", value == "1", now)
    return 0


def freeze(machine: SimMachine, group: SimGroup, which: str, frozen: bool, now: float) -> None:
    """Tell everything below a group to stand still (or to go on), by one of the two freezers (v1 | v2)."""
    before = {id(one) for one in group.below() if one.told()}
    if frozen:
        group.freezers.setdefault(which, now)
    else:
        group.freezers.pop(which, None)
    for one in tuple(group.below()):
        if one.container_id and one.told() != (id(one) in before):
            for listener in tuple(machine.on_freeze):
                listener(one.container_id, frozen)


def _limit_v2(_machine: SimMachine, group: SimGroup, value: str, _now: float) -> int:
    wanted = size(value, "max")
    if wanted is None:
        return errno.EINVAL
    group.limit = wanted
    return 0


def _high(_machine: SimMachine, group: SimGroup, value: str, _now: float) -> int:
    wanted = size(value, "max")
    if wanted is None:
        return errno.EINVAL
    group.high = wanted
    return 0


def _swap_max(_machine: SimMachine, group: SimGroup, value: str, _now: float) -> int:
    wanted = size(value, "max")
    if wanted is None:
        return errno.EINVAL
    group.swap_limit = wanted
    return 0


def _reclaim(machine: SimMachine, group: SimGroup, value: str, _now: float) -> int:
    amount, _, rest = value.partition(" ")
    wanted = size(amount, "max")
    if wanted is None or (rest and not re.fullmatch(r"swappiness=(\d+|max)", rest)):
        return errno.EINVAL
    return 0 if take(machine, group, wanted, swap=rest != "swappiness=0") >= wanted - NEAR else errno.EAGAIN


def _kill(machine: SimMachine, group: SimGroup, value: str, _now: float) -> int:
    if value != "1":
        return errno.ERANGE if value.lstrip("-").isdigit() else errno.EINVAL
    for one in tuple(group.below()):
        if one.container_id:
            machine.died(Death(one.container_id, "kill", pid=one.pid))
    settle(machine)
    return 0


_WRITES: dict[str, Write] = {
    "memory.limit_in_bytes": _limit_v1,
    "memory.memsw.limit_in_bytes": _memsw_v1,
    "memory.force_empty": _force_empty,
    "freezer.state": _freezer,
    "memory.max": _limit_v2,
    "memory.high": _high,
    "memory.swap.max": _swap_max,
    "memory.reclaim": _reclaim,
    "cgroup.freeze": _freeze,
    "cgroup.kill": _kill,
}
