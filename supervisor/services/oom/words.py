"""What a kill for want of memory is called when people are told: one sentence that ends with what to do next. Pure.

From: telling.py (rows) and services/causes.py (the cause of a trouble), with the verdict and the memory budget, where
there is one. Process names and paths were chosen by whoever runs there: they are made fit to be shown.
"""

from supervisor import units
from supervisor.facts import MemoryBudget
from supervisor.services.oom.kill import Oom

_NAME, _PATH = 64, 200
_HOST = "host"
"""the subject of a row about the machine"""


def of_container(service: str, oom: Oom, budget: MemoryBudget | None = None, new: str = "") -> str:
    """The sentence of a `container.oom` row. `new`: the container's name, where it does not carry the service (yet)."""
    where = f"{service} (its new container {units.plain(new, _PATH)})" if new else service
    if not oom.kills:
        text = f"{where} met its limit of memory, and the kernel killed nothing: it stands still until there is room"
        return f"{text}; give it more memory, or less to do."
    told = "The kernel killed" if oom.confidence != "possible" else "It seems that the kernel killed"
    return f"{told} {_whom(oom)} in {where}{_fate(oom)}: {why(service, oom, budget)}."


def of_host(oom: Oom, container: str = "", name: str = "", budget: MemoryBudget | None = None) -> str:
    """The sentence of a `daemon.oom` row: a process of no container, or of one (by its id) that is no service's. It has
    no `name` where no engine here knows it."""
    if not oom.process and not container:
        many = "a process" if oom.kills == 1 else f"{oom.kills} processes"
        text = f"The kernel killed {many} for want of memory, and nothing here says which; its log does"
        return f'{text}: `journalctl -k --grep "Killed process"`.'
    where = "of no container"
    if container:
        known = units.plain(name, _PATH) or f"{container[:12]}, which no engine here knows"
        where = f"in the container {known}"
    return f"The kernel killed {_whom(oom)} {where}: {why(_HOST, oom, budget)}."


def of_trouble(service: str, oom: Oom, budget: MemoryBudget | None = None) -> str:
    """The cause of a trouble, of a service that ended or that runs on without one of its processes."""
    known = f" ({_called(oom)})" if oom.process else ""
    if not oom.ended and oom.victim == "main":
        what = f"The kernel killed its main process{known} for want of memory"
    elif not oom.ended:
        what = f"The kernel killed one of its processes{known} for want of memory and it runs on without it"
    elif oom.victim == "child":
        what = f"The kernel killed one of its processes{known} for want of memory (OOM), and it ended after that"
    else:
        what = f"The kernel killed it{known} for want of memory (OOM)"
    return f"{what}: {why(service, oom, budget)}."


def of_death(oom: Oom | None) -> str:
    """What a kill had to do with the end of a container, as part of a sentence; '' for nothing."""
    if oom is None:
        return ""
    whose = {"own_limit": " (its own limit)", "machine": " (the machine's)", "numa": " (of its NUMA nodes)"}
    short = whose.get(oom.constraint, " (the limit of a group around it)" if oom.constraint else "")
    seems = "it seems that " if oom.confidence == "possible" else ""
    if oom.victim == "child":
        return f"{seems}the kernel had killed {_called(oom) or 'one of its processes'} in it for want of memory{short}"
    return f"{seems}the kernel killed it for want of memory{short}"


def why(service: str, oom: Oom, budget: MemoryBudget | None = None) -> str:
    """What was at its end, and what to do about it."""
    if oom.constraint == "own_limit":
        mine = budget.of(service) if budget is not None else None
        figure = f" ({units.show_size(mine.limit)})" if mine is not None and mine.limit else ""
        return f"its own limit of memory was met{figure}; give it more memory, or less to do"
    if oom.constraint == "parent_limit":
        group = units.plain(oom.limit_of, _PATH)
        return f"the limit of the control group {group} around it was met; raise that limit, or run less in it"
    if oom.constraint == "machine":
        return _machine(service, budget)
    if oom.constraint == "numa":
        return "the NUMA nodes it may use are full, though the machine need not be; let it use more of them"
    return "whether its own limit or the machine's memory, nobody says; give it more memory, and see `resurgam status`"


def _machine(service: str, budget: MemoryBudget | None) -> str:
    culprit = budget.culprit if budget is not None else ""
    said = budget.text.rstrip(".") if budget is not None and budget.text else f"{culprit} grew beyond its plan"
    if culprit and culprit == service:
        return f"the machine ran out of memory, and it is what grew ({said}); see why, or give it less to do"
    if culprit:
        return f"the machine ran out of memory; it was the biggest, not the cause: {said}; look after {culprit}"
    text = "the machine ran out of memory; the kernel takes the biggest, which need not be the cause"
    return f"{text}; see `resurgam status` for who uses how much"


def _whom(oom: Oom) -> str:
    if oom.kills > 1:
        return f"{oom.kills} processes"
    return _called(oom) or "a process"


def _called(oom: Oom) -> str:
    name = units.plain(oom.process, _NAME)
    return f"{name} (pid {oom.pid})" if name and oom.pid else name


def _fate(oom: Oom) -> str:
    """What that meant to the container."""
    if oom.victim == "main":
        return ", its main process"
    if oom.victim == "child":
        return ", one of its processes, and it ended after that" if oom.ended else ", which runs on without it"
    return ""
