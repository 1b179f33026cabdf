"""What a plan would do, found out without touching anything: images, steps, rights, the fidelity report, waits.

From: web/previewing.py, with a plan that was built and never opened. To: a document for people and machines. Asks the
engine only to look.
"""

from collections.abc import Mapping

from supervisor import units
from supervisor.actions import recipe
from supervisor.actions.compose import body as composed
from supervisor.actions.compose import difference
from supervisor.actions.compose import preview as compose
from supervisor.actions.memory import preview as memory
from supervisor.actions.memory.absent import NoGroups
from supervisor.actions.recipe import Recipe, injected, report, rights
from supervisor.errors import EngineError, NotFound
from supervisor.facts import Container, Image, Json, Plan, Service
from supervisor.ports import Engine, EngineInfo, FileChange, Groups, Room
from supervisor.services import OP_LABEL
from supervisor.verbs import GENTLE
from supervisor.verdicts import Reason, Verdict, no

OP = "0" * 6
"""the op of a plan that is only previewed; shown as …"""
_RECREATES = ("phoenix", "rollback")


async def foresee(plan: Plan, service: Service, engine: Engine, room: Room, groups: Groups | None = None) -> Json:
    """Everything about one plan: `refused` is None, or why its first look would end it (reason and text). `groups`: the
    hands on the memory of containers."""
    found: Json = {
        "image": {},
        "steps": steps_of(plan),
        "rights": [],
        "fidelity": [],
        "notes": await _doubts(plan, service.container, room),
        "waits": await _waits(plan, service.container, room),
        "refused": None,
    }
    if plan.verb in GENTLE:
        return found | await memory.foresee(plan, service, groups or NoGroups())
    if plan.verb not in _RECREATES:
        return found
    try:
        told = await _recreation(plan, engine)
    except NotFound:
        told = {"refused": _said(no(Reason.VANISHED, f"{plan.name} is gone: somebody removed or replaced it."))}
    except EngineError as err:
        told = {"refused": _said(no(Reason.ENGINE_REFUSED, f"The engine says: {err}."))}
    return found | told | {"notes": [*told.get("notes", ()), *found["notes"]]}


async def _recreation(plan: Plan, engine: Engine) -> Json:
    raw, info = await engine.raw(plan.container_id), await engine.info()
    old = await engine.image(str(raw.get("Image") or ""))
    wanted = plan.image_id or plan.params.get("image", "")
    new = await engine.image(wanted)
    ref = recipe.reference(raw)
    image = {"ref": ref, "from": str(raw.get("Image") or ""), "to": new.id if new is not None else ""}
    if new is None:
        text = f"There is no image {units.plain(wanted, 200)} on this machine; pull or load it first."
        return {"image": image, "refused": _said(no(Reason.IMAGE_GONE, text))}
    changed = recipe.profile.of_plan(plan, raw, old, new)
    if isinstance(changed, Verdict):
        return {"image": image, "refused": _said(changed)}
    names = await _names(plan, raw, engine)
    changes = await _changes(engine, plan.container_id)
    carried = await injected.find(engine, raw, changes)
    made, differences, trouble = await _made(plan, changed.raw, old, new, names, info, engine)
    wide = rights.check(changed.raw, made.body, old, new, names=names, default_runtime=info.default_runtime)
    document = bool(plan.document)
    refusals = (
        recipe.refusal(raw, info),
        recipe.misfit(old, new, info),
        await recipe.missing_sources(raw, info),
        trouble,
        rights.verdict(wide, approved=plan.approved, document=document),
    )
    refused = next((each for each in refusals if each is not None and not each.ok), None)
    traits = report.fidelity(
        raw,
        made.body,
        old,
        new,
        changes=changes,
        carried=() if document else carried.traits,
        keep_env=plan.needs.keep_env,
        document=document,
    )
    return {
        "image": image,
        "rights": [
            {"field": one.field, "before": one.before, "after": one.after, "text": one.sentence} for one in wide
        ],
        "fidelity": [_trait(trait.document()) for trait in recipe.profile.meant(traits, changed)],
        "differences": differences,
        "notes": [
            *_state(plan, new.id == image["from"]),
            *changed.notes,
            *(made.notes if document else ()),
            *recipe.warnings(raw, info),
        ],
        "refused": _said(refused) if refused is not None else None,
    }


async def _made(
    plan: Plan, raw: Json, old: Image | None, new: Image, names: Mapping[str, str], info: EngineInfo, engine: Engine
) -> tuple[Recipe, list[Json], Verdict | None]:
    """(the recipe, how a compose file differs from what runs, why it cannot be)."""
    ref = recipe.reference(raw)
    made = recipe.successor(
        raw,
        old,
        new,
        op=plan.op,
        policy=recipe.final_policy(raw, plan.needs, str(plan.found.get("policy") or "")),
        ref=ref,
        names=names,
        keep_env=plan.needs.keep_env,
        engine=info,
    )
    if not plan.document:
        return made, [], None
    spec = compose.read(plan.document)
    if isinstance(spec, Verdict):
        return made, [], spec
    place = composed.Place(raw, names, compose.siblings(raw, await engine.list()))
    wrong = composed.misplaced(spec, place)
    if wrong is not None:
        return made, [], wrong
    made = composed.successor_from(spec, place, old, new, op=plan.op, ref=ref, engine=info)
    if plan.needs.boot == "ordered":  # as applying.py does
        made.body["HostConfig"]["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
    found = difference.differences(difference.Pair(raw, made.body, old, new, names))
    return made, [one.document() for one in found], None


async def _names(plan: Plan, raw: Json, engine: Engine) -> dict[str, str]:
    """Container id -> name, of those whose namespaces or volumes it shares."""
    told = plan.found.get("namespaces") or {}
    found: dict[str, str] = {}
    for key in recipe.shared_with(raw):
        if told.get(key):
            found[key] = str(told[key])
        elif (other := await engine.inspect(key)) is not None:
            found[key] = other.name
    return found


async def _changes(engine: Engine, key: str) -> tuple[FileChange, ...]:
    try:
        return await engine.changes(key)
    except EngineError:
        return ()  # only less is said of its own layer


async def _waits(plan: Plan, container: Container | None, room: Room) -> Json:
    """How long it may take, and what it would have to wait for. What the container itself holds now is no obstacle."""
    held = ""
    if _starts(plan) and container is not None and not container.running:
        held = await room.held(plan.needs, container, container.id)
    return {
        "limit": float(plan.found.get("limit") or 0.0),
        "why": str(plan.found.get("limit_why") or ""),
        "held": held,
        "grace": (plan.needs.stop_grace or container.stop_grace) if container is not None else 0.0,
    }


def _state(plan: Plan, same: bool) -> list[str]:
    """What becomes of its data, in sentences; nothing where its image stays the same."""
    if same:
        return []
    found = []
    before = plan.needs.before
    if before is not None and any(step.name == "before" for step in plan.steps):
        leaves = f", and must leave {before.file} new and not empty" if before.file else ""
        took = units.show_duration(before.within)
        found.append(f"Before: `{units.plain(' '.join(before.argv), 200)}` may run {took} inside{leaves}.")
    if plan.needs.stateful:
        found.append(
            "It keeps state: once the new version has started, the old one comes back only after a person's word."
        )
    return found


async def _doubts(plan: Plan, container: Container | None, room: Room) -> list[str]:
    """What of its needs could not be waited for."""
    return list(await room.doubts(plan.needs, container)) if _starts(plan) and container is not None else []


def _starts(plan: Plan) -> bool:
    return any(step.name in ("start", "verify", "probation") for step in plan.steps)


def steps_of(plan: Plan) -> list[Json]:
    """Every step it may take."""
    return [_step(step.name, step.phase, step.writes, step.back) for step in plan.steps]


def _step(name: str, phase: str, writes: tuple[str, ...], back: bool) -> Json:
    return {"name": name, "phase": phase, "writes": [each.replace(OP, "…") for each in writes], "back": back}


def _trait(trait: Json) -> Json:
    """Our own mark on a container that is not there yet."""
    return trait | {"after": trait["after"].replace(OP, "…")} if trait["what"] == f"label {OP_LABEL}" else trait


def _said(verdict: Verdict) -> Json:
    return {"reason": verdict.reason.value, "text": verdict.text}
