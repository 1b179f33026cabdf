"""The containers of a rehearsal: one for each service, well until something happens to it.

In: services, by id, and what happens to them (a death, a broken version, a person's hand). Out: calls on the simulated
engine, so that the daemon in it sees what a real engine would have told.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from supervisor.facts import Decision
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.lab.house import SimWorld
from supervisor.lab.kernel.load import SimLoad

WELL = Behaviour(healthy_after=1.0)
"""a container that runs, and passes its health check a second after each start"""


@dataclass(frozen=True, slots=True)
class Actor:
    """One service to be simulated, by its id. Where nothing else is said its container is as compose would make it:
    `web-oracle-1` for `web.oracle`."""

    id: str
    container: str = ""
    """what its container is called"""
    labels: Mapping[str, str] | None = None
    """what its container carries"""

    @property
    def name(self) -> str:
        """What its container is called."""
        project, dot, service = self.id.partition(".")
        return self.container or (f"{project}-{service}-1" if dot and service else self.id)

    @property
    def image(self) -> str:
        """The reference of the image its container is made from."""
        return f"local/{self.id.lower().replace('~', '-')}:1"

    def all_labels(self) -> Mapping[str, str]:
        """What its container carries."""
        project, dot, service = self.id.partition(".")
        if self.labels is not None:
            return self.labels
        return compose_labels(project, service) if dot and service else {}


def compose_labels(project: str, service: str, number: str = "1") -> dict[str, str]:
    """The labels that `docker compose up` puts on a container."""
    return {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": number,
        "com.docker.compose.oneoff": "False",
    }


class Troupe:
    """All of them on one simulated engine. Every method is something that happens to one, named by its id."""

    def __init__(self, world: SimWorld, actors: Sequence[Actor], waiting: Collection[str] = ()) -> None:
        """`waiting`: services whose containers are there, and stand still until a plan of a slot wants them."""
        self._world, self._engine, self._waiting = world, world.engine, waiting
        self._actors = {actor.id: actor for actor in actors}
        self._versions: dict[str, int] = {}

    def enter(self) -> None:
        """Everybody starts, but for those that wait."""
        for actor in self._actors.values():
            self._image(actor, WELL)
            self._run(actor, start=actor.id not in self._waiting)

    def die(self, service: str, code: int = 1, *, oom: bool = False) -> None:
        """Its main process ends; its restart policy starts it again."""
        if self._lives(service):
            self._engine.crash(self._actors[service].name, code, oom=oom)

    def break_down(self, service: str, code: int, after: float) -> None:
        """It ends now, and again so many seconds after every start of this container; a new container is well."""
        name = self._actors[service].name
        if self._engine.container(name) is not None:
            self._engine.break_container(name, exit_after=after, exit_code=code)
        self.die(service, code)

    def mend(self, service: str) -> None:
        """From its next start on it is well again."""
        name = self._actors[service].name
        if self._engine.container(name) is not None:
            self._engine.break_container(name)

    def deploy(self, service: str, code: int | None = None, after: float = 0.2) -> None:
        """A person recreates it from a new image, which `code` says ends so soon after every start."""
        actor = self._actors[service]
        broken = Behaviour(exit_after=after, exit_code=code or 0, log=(f"exit {code}",))
        self._image(actor, WELL if code is None else broken)
        self.remove(service)
        self._run(actor)

    def health(self, service: str, status: str) -> None:
        """Its health check says `healthy` or `unhealthy` from now on, until its next start."""
        if self._lives(service):
            self._engine.set_health(self._actors[service].name, status)

    def stop(self, service: str) -> None:
        """A person stops it."""
        if self._lives(service):
            self._engine.human_stop(self._actors[service].name)

    def start(self, service: str) -> None:
        """A person starts it."""
        if self._engine.container(self._actors[service].name) is not None and not self._lives(service):
            self._engine.human_start(self._actors[service].name)

    def remove(self, service: str) -> None:
        """A person removes its container."""
        if self._engine.container(self._actors[service].name) is not None:
            self._engine.human_remove(self._actors[service].name, force=True)

    def grow(self, service: str, rate: float, upto: float) -> None:
        """It takes `rate` bytes more each second, until it has `upto`, or is started anew."""
        found = self._engine.container(self._actors[service].name)
        if found is not None and self._lives(service):
            kernel = self._world.kernel
            group = kernel.group(found.id)
            group.carry(SimLoad(anon=group.pages["anon"]).growing(rate, upto=upto))
            kernel.changed()

    async def ask(self, verb: str, service: str, **params: str) -> Decision:
        """What a person types."""
        assert self._world.life is not None
        return await self._world.life.ask(verb, "" if service == "*" else service, **params)

    def _lives(self, service: str) -> bool:
        found = self._engine.container(self._actors[service].name)
        return found is not None and found.status in ("running", "paused")

    def _image(self, actor: Actor, run: Behaviour) -> None:
        number = self._versions[actor.id] = self._versions.get(actor.id, 0) + 1
        self._engine.add_image(SimImage(tags=(actor.image,), config={"Env": [f"VERSION={number}"]}, run=run).full())

    def _run(self, actor: Actor, *, start: bool = True) -> None:
        self._engine.human_run(actor.name, actor.image, actor.all_labels(), "unless-stopped", start=start)
