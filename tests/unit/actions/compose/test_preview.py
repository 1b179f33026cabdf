"""What a person is told of a compose file before anything is done: asked of an engine, for a service or a project."""

from typing import Any

import pytest

from supervisor.actions.compose.preview import Previewer, aimed
from supervisor.errors import EngineGone
from supervisor.facts import Container, Json, Needs, Service
from supervisor.lab.boxes import SimImage
from supervisor.lab.engine import SimEngine
from supervisor.lab.loop import SimLoop
from supervisor.verdicts import yes


def labels(name: str, project: str = "box") -> dict[str, str]:
    return {
        "com.docker.compose.project": project,
        "com.docker.compose.service": name,
        "com.docker.compose.container-number": "1",
        "com.docker.compose.version": "2.20.0",
    }


def service(name: str, container: Container | None, project: str = "box") -> Service:
    return Service(f"{project}.{name}", "docker", container, yes(), Needs(aliases=(f"my-{name}",)), project=project)


class Box:
    """An engine with box.web, box.db and other.web, and the services that carry them."""

    def __init__(self) -> None:
        self.loop = SimLoop()
        self.engine = SimEngine(self.loop.clock, "docker")
        self.engine.add_image(SimImage(tags=("local/web:1",)).full())
        self.services = []
        for name, project in (("web", "box"), ("db", "box"), ("web", "other")):
            container = f"{project}-{name}-1"
            self.engine.human_run(container, "local/web:1", labels(name, project), "no", networks=("box",))
            self.services.append(service(name, self.engine.container(container), project))
        self.previewer = Previewer({"docker": self.engine}, lambda: self.services)

    def of(self, target: str, documents: Json) -> Json:
        async def ask() -> Json:
            return await self.previewer.of(target, documents)

        return self.loop.run_until_complete(ask())

    def widening(self, target: str, documents: Json) -> str:
        async def ask() -> str:
            return await self.previewer.widening(target, documents)

        return self.loop.run_until_complete(ask())


def document(name: str, **more: Any) -> Json:
    return {"service": name, "image": "local/web:1", "networks": [{"key": "box", "real": True}], **more}


def test_a_project_is_told_service_by_service_with_what_is_new_and_gone() -> None:
    found = Box().of("box", {"web": document("web", config={"Env": ["A=1"]}), "new": document("new")})
    assert (found["project"], found["new"], found["gone"]) == ("box", ["new"], ["db"])
    [web] = found["services"]
    assert (web["service"], web["name"], web["compose"], web["trouble"]) == ("box.web", "web", "2.20.0", "")
    assert [one["text"] for one in web["differences"]] == ["environment: + A=1."]


def test_what_cannot_be_done_is_told_instead() -> None:
    found = Box().of("box.web", {"web": document("web", image="local/nowhere:1")})
    assert "local/nowhere:1 is not on this machine" in found["services"][0]["trouble"]
    found = Box().of("box.web", {"web": document("web", project="elsewhere")})
    assert "elsewhere" in found["services"][0]["trouble"]
    found = Box().of("box.web", {"web": {"service": "web", "host": {"Binds": ["/:/x"]}}})
    assert "cannot be read" in found["services"][0]["trouble"]


def test_what_widens_is_named_with_its_service_and_nothing_else_is() -> None:
    box = Box()
    assert box.widening("box", {"web": document("web", config={"Env": ["A=1"]})}) == ""
    said = box.widening("project:box", {"web": document("web", host={"Privileged": True}), "db": document("db")})
    assert said.startswith("box.web: ")
    assert "privileged" in said


def test_an_engine_that_does_not_answer_is_told_and_widens_nothing() -> None:
    box = Box()

    async def gone() -> tuple[Container, ...]:
        raise EngineGone("no answer")

    box.engine.list = gone  # type: ignore[method-assign]
    assert "no answer" in box.of("box", {"web": document("web")})["services"][0]["trouble"]
    assert box.widening("box", {"web": document("web", host={"Privileged": True})}) == ""


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("box", ["box.web", "box.db"]),
        ("project:box", ["box.web", "box.db"]),
        ("box.db", ["box.db"]),
        ("my-db", ["box.db"]),
        ("other-web-1", ["other.web"]),
        ("db", ["box.db"]),
        ("web", ["box.web", "other.web"]),
        ("nobody", []),
    ],
)
def test_whom_a_word_means(word: str, wanted: list[str]) -> None:
    assert [one.id for one in aimed(Box().services, word)] == wanted
