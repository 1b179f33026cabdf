"""A model's own image is asked whether it knows the model and what it needs, without loading it.

From: before.py, in the step `dry_run`, while the model that holds the slot serves on. To: the engine: a container by
the recipe of the model's own, which runs `dry_run` and nothing else: no network, no ports, its folders read-only, no
restart policy, a bound on its memory, and first to go when memory runs out. It is always removed. Any exit code but 0
says that the model cannot run (llama.cpp's own tool ends with SIGSEGV on a file it does not understand), with its last
word.
"""

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass

from supervisor import units
from supervisor.actions import recipe
from supervisor.actions.common import create, namespaces
from supervisor.actions.hand import Cannot, Hand
from supervisor.actions.recipe.image_defaults import COMPOSE
from supervisor.actions.recipe.raw import bind, items
from supervisor.actions.swap import created
from supervisor.actions.swap.checks.case import Case, Line, Part, eyes_of
from supervisor.actions.swap.telling import telling
from supervisor.errors import EngineError, NotFound
from supervisor.facts import Container, Json
from supervisor.services import OP_LABEL, ROLE_LABEL, temp_name
from supervisor.slots import fit
from supervisor.slots.fit import Need
from supervisor.verdicts import Reason

LIMIT = 180.0
"""seconds for all of it: a header is read in milliseconds, a Python server is imported in half a minute"""
MEMORY = 8 << 30
"""bytes it may use at most: a command that loads the model all the same must not cost the other one its memory"""
_LEAST = 256 << 20
_LOOK = 2.0
_LINES = 60
_SHOWN = 200
_MIB = 1 << 20
_LARGEST = 1 << 27
"""MiB: more than that no machine has"""
_SIZES = re.compile(r"(?P<device>[A-Za-z]{2,16}\d{0,3})\s+(\d{1,10})\s+(\d{1,10})\s+(\d{1,10})\s*")
"""a line of `llama-fit-params --fit-print on`: device, then MiB of model, context and compute"""
_DROPPED = (
    *("PortBindings", "PublishAllPorts", "Links", "ExtraHosts", "Dns", "DnsOptions", "DnsSearch", "VolumesFrom"),
    *("PidMode", "IpcMode", "UTSMode", "MemoryReservation", "MemorySwappiness", "KernelMemory", "OomKillDisable"),
)
_UNSAID = ("ExposedPorts", "NetworkingConfig", "MacAddress", "Domainname", "Hostname", "StopTimeout", "OnBuild")


@dataclass(frozen=True, slots=True)
class DryRun:
    """What it said. `needs`: what it printed of sizes; () where nothing that is understood."""

    line: Line
    needs: tuple[Need, ...] = ()


def container_name(case: Case, op: str) -> str:
    """The name of the check container: what the step `dry_run` writes to. '' where the model declares none, or has no
    container of ours that it could be made like."""
    part = case.to
    if not part.model.dry_run or part.model.inside:
        return ""
    name = part.name or created.container_name(case)
    return temp_name(name, "new", op) if name else ""


async def dry_run(hand: Hand, case: Case) -> DryRun | None:
    """Run it, wait for its end, remove it. None where there is none to run. The caller has asked for the step
    `dry_run`. Cannot where the recipe itself cannot be made; EngineError where the engine refuses."""
    name = container_name(case, hand.plan.op)
    if not name:
        return None
    await clear(hand, name)
    body = await _body(hand, case)
    made = await create(hand, name, body)
    if made is None:
        return DryRun(Line("dry run", "the container for it was not made", None))
    try:
        found = await _run(hand, case.to, made)
    except EngineError as err:
        found = DryRun(Line("dry run", f"it could not be run: {err}", None))
    await clear(hand, name)
    return found


async def clear(hand: Hand, name: str) -> None:
    """See to it that no check container of this plan is left: one that an earlier process made, too."""
    seen = await hand.inspect(name)
    if seen is None or seen.labels.get(OP_LABEL) != hand.plan.op:
        return
    await hand.stop(seen.id, seen=seen)
    await hand.remove(seen.id)


async def _body(hand: Hand, case: Case) -> Json:
    """The model's own recipe, made harmless."""
    free = (await hand.room.free()).memory
    most = int(max(_LEAST, min(MEMORY, free / 2))) if free > 0 else MEMORY
    part = case.to
    if part.container_id:
        raw = await hand.read(lambda: hand.engine.raw(part.container_id))
        image = await hand.read(lambda: hand.engine.image(str(raw.get("Image") or "")))
        info = await hand.read(hand.engine.info)
        whole = recipe.spare(raw, image, op=hand.plan.op, names=await namespaces(hand, raw), engine=info).body
    else:
        plan = await created.plan(eyes_of(hand), case)
        if isinstance(plan, Line):
            raise Cannot(plan.refusal())
        whole = plan.body(hand.plan.op)
    return harmless(whole, part.model.dry_run, hand.plan.op, most)


def harmless(body: Json, argv: Iterable[str], op: str, memory: int) -> Json:
    """A create body that runs `argv` instead of what it was made for, and can touch nothing. `argv` is the whole
    command: the image's entrypoint is left away. Pure."""
    made: Json = {key: copy.deepcopy(value) for key, value in body.items() if key not in _UNSAID}
    host: Json = {key: value for key, value in (made.get("HostConfig") or {}).items() if key not in _DROPPED}
    kept = (made.get("Labels") or {}).items()
    made["Labels"] = {
        key: value
        for key, value in kept
        if not key.startswith(COMPOSE) and key not in (ROLE_LABEL, recipe.COMPOSE_WAS_LABEL)
    } | {OP_LABEL: op}
    made |= {"Entrypoint": [], "Cmd": list(argv), "Healthcheck": {"Test": ["NONE"]}, "StopTimeout": 1}
    limit = min(int(host.get("Memory") or 0) or memory, memory)
    host |= {
        "NetworkMode": "none",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": False,
        "Memory": limit,
        "MemorySwap": limit,
        "OomScoreAdj": 1000,
        "Binds": [_read_only(str(each)) for each in items(host, "Binds")],
        "Mounts": [
            {**each, "ReadOnly": True} if each.get("Type") in ("bind", "volume") else each
            for each in items(host, "Mounts")
            if isinstance(each, dict)
        ],
    }
    return made | {"HostConfig": host}


def _read_only(text: str) -> str:
    source, target, options = bind(text)
    kept = [word for word in options.split(",") if word and word not in ("rw", "ro")]
    return f"{source}:{target}:{','.join(['ro', *kept])}" if source else text


async def _run(hand: Hand, part: Part, made: Container) -> DryRun:
    end = hand.clock.mono() + LIMIT
    watched, hand.watching = hand.watching, made.id
    try:
        said = await _begun(hand, made)
        if said:
            return DryRun(Line("dry run", said, ok=False))
        seen = await _ended(hand, made.id, end)
    finally:
        hand.watching = watched
    if seen is None:
        return DryRun(Line("dry run", "somebody removed its container before its end; try again", None))
    lines = await _log(hand, made.id)
    if seen.living:
        text = f"it did not end within {units.show_duration(LIMIT)}; let `dry-run` be a command that ends by itself"
        return DryRun(Line("dry run", text, ok=False))
    if seen.exit_code or seen.oom_killed:
        return DryRun(Line("dry run", _failed(seen, lines), ok=False, reason=Reason.NO_FIT))
    needs = sizes(lines, await _cards(hand, part))
    told = ", ".join(f"{units.show_size(need.bytes)} {_where(need)}" for need in needs)
    return DryRun(Line("dry run", f"its image knows the model: {told}" if told else "its image knows the model"), needs)


async def _begun(hand: Hand, made: Container) -> str:
    """Start it; why its image cannot run the command, '' where it began."""
    try:
        await hand.make(
            lambda: hand.engine.inspect(made.id),
            lambda seen: seen is None or seen.started_at > 0 or seen.status not in ("created",),
            lambda _seen: hand.engine.start(made.id),
            tries=2,
        )
    except NotFound:
        return ""
    except EngineError as err:
        return f"its image cannot run it: {units.plain(units.mask(str(err)), _SHOWN)}"
    return ""


async def _ended(hand: Hand, key: str, end: float) -> Container | None:
    """The container once it stands still, or as it stands at `end` (monotonic)."""
    while True:
        seen = await hand.inspect(key)
        if seen is None or (not seen.living and seen.started_at > 0) or hand.clock.mono() >= end:
            return seen
        if seen.status == "created" and seen.error:
            return seen
        await hand.nap(min(_LOOK, max(0.01, end - hand.clock.mono())))


async def _log(hand: Hand, key: str) -> tuple[str, ...]:
    try:
        return await hand.engine.logs(key, _LINES)
    except EngineError:
        return ()


def _failed(seen: Container, lines: Iterable[str]) -> str:
    said = telling(lines, killed=seen.oom_killed)
    last = f": {units.plain(units.mask(said), _SHOWN)}" if said else ""
    if seen.oom_killed:
        return f"it used more than a dry run may, and was ended{last}"
    return f"its image says no, with {units.exit_words(seen.exit_code)}{last}"


# ------------------------------------------------------------ sizes


def sizes(lines: Iterable[str], card: str) -> tuple[Need, ...]:
    """What llama.cpp's tool printed. `card`: the UUID of the only card it can have seen, '' where there were several:
    in which order it counts them nobody can tell, so then only the memory is taken."""
    memory, cards = 0.0, []
    for line in lines:
        match = _SIZES.fullmatch(line.strip())
        if match is None:
            continue
        numbers = [int(match[index]) for index in (2, 3, 4)]
        if max(numbers) > _LARGEST:
            continue
        size = float(numbers[0] + numbers[1] + numbers[2]) * _MIB
        if match["device"].lower() == "host":
            memory = size
        elif size > 0:
            cards.append(size)
    if not memory:
        return ()
    vram = {card: cards[0]} if card and len(cards) == 1 else {}
    return fit.measured(memory, vram, fit.DRY_RUN)


async def _cards(hand: Hand, part: Part) -> str:
    """The UUID of the only card there is, '' where there are several."""
    reading = await hand.driver.snapshot("fast")
    uuids = [card.uuid for card in reading.cards if card.uuid]
    return uuids[0] if len(uuids) == 1 else ""


def _where(need: Need) -> str:
    return "of memory" if need.where == fit.MEMORY else "of the card"
