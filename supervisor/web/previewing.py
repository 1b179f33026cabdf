"""`resurgam plan`, as the control socket serves it: what a command would do now, and nothing touched.

In: a Command that is never handed to the core. Out: one document: the verdict, and for each plan that would be opened
its images, steps, rights, fidelity report and waits.
"""

from collections.abc import Mapping

from supervisor.actions.gpu.absent import NoDriver
from supervisor.actions.memory.absent import NoGroups
from supervisor.actions.preview import foresee, steps_of
from supervisor.actions.swap import preview as swapping
from supervisor.actions.swap.absent import NO_MODELS
from supervisor.actions.swap.preflight import Eyes
from supervisor.core import Core
from supervisor.core.previewing import Ahead, wished
from supervisor.facts import SLOT, Command, Json, Plan
from supervisor.ports import Engine, GpuDriver, Groups, Models, Room
from supervisor.verdicts import Reason


class Foresight:
    """Asks the core what it would say, and the engines what they have."""

    def __init__(
        self,
        core: Core,
        engines: Mapping[str, Engine],
        room: Room,
        groups: Groups | None = None,
        models: Models = NO_MODELS,
        driver: GpuDriver | None = None,
    ) -> None:
        """`models`: model servers, gates and files; `driver`: who asks the GPUs' driver."""
        self._core, self._engines, self._room, self._groups = core, engines, room, groups
        self._models, self._driver = models, driver or NoDriver()

    async def __call__(self, fact: Command) -> Json:
        """The document of `/v1/preview`."""
        found = wished(self._core.decider, fact)
        stages = [await self._stage(each) for each in found.ahead]
        refused = {"reason": found.verdict.reason.value, "text": found.verdict.text} if not found.verdict.ok else None
        if refused is None:
            refused = next((stage["refused"] for stage in stages if stage["refused"]), None)
        intent = found.intent
        return {
            "verb": intent.verb,
            "target": intent.target,
            "params": dict(intent.params),
            "allowed": refused is None,
            "reason": refused["reason"] if refused else Reason.ALLOWED.value,
            "text": refused["text"] if refused else "It would be done now.",
            "stages": stages,
            "left": list(found.left),
            "notes": list(found.notes),
        }

    async def _stage(self, ahead: Ahead) -> Json:
        document: Json = {
            "verb": ahead.intent.verb,
            "service": ahead.intent.target,
            "params": dict(ahead.intent.params),
            "container": ahead.plan.name if ahead.plan is not None else "",
            "steps": steps_of(ahead.plan) if ahead.plan is not None else [],
            "fidelity": [],
            "refused": None,
        }
        plan, service = ahead.plan, ahead.service
        if plan is not None and service is not None and plan.engine in self._engines:
            document |= await foresee(plan, service, self._engines[plan.engine], self._room, self._groups)
        if plan is not None and plan.service.startswith(SLOT) and (engine := self._engine(plan)) is not None:
            document |= await swapping.foresee(plan, self._eyes(engine))
        if not ahead.verdict.ok:
            document["refused"] = {"reason": ahead.verdict.reason.value, "text": ahead.verdict.text}
        return document

    def _engine(self, plan: Plan) -> Engine | None:
        """The plan's engine; of a plan that works on a server elsewhere any, None where there is none."""
        return self._engines.get(plan.engine) or next(iter(self._engines.values()), None)

    def _eyes(self, engine: Engine) -> Eyes:
        """Whom the preflight of a slot's plan asks."""
        return Eyes(engine, self._room, self._models, self._core.clock, self._groups or NoGroups(), self._driver)
