"""A model's image is asked on a real engine, and a container is made from a compose file: what they can reach, what is
left of them, what is refused. The model that serves is never touched."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor.actions.hand import Cannot, Hand
from supervisor.actions.swap import created, dry_run
from supervisor.actions.swap.checks.case import case_of, eyes_of
from supervisor.clock import SystemClock
from supervisor.engines.docker.engine import DockerEngine
from supervisor.facts import Container, Plan, Slot, SlotModel, StepEnded
from supervisor.journal.codec import dump
from supervisor.lab.prober import SimProber
from supervisor.lab.room import SimRoom
from supervisor.slots import fit
from supervisor.verdicts import Reason, Verdict, yes
from tests.support.daemon import GOOD, Hands, hands

pytestmark = pytest.mark.real

SIZES = "echo noise; echo 'CUDA0 4096 512 256'; echo 'Host 300 20 4'"
REACH = (
    "ip -o link | grep -v ' lo' && exit 7;"  # no network but loopback
    "touch /models/written 2>/dev/null && exit 8;"  # its folders are read-only
    "test -r /models/m.gguf || exit 9; env | grep -q MODE=fast || exit 10; echo fine"
)


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("dryrun") as made:
        yield made


class Stage:
    """A slot with `a`, which serves, and `b`, which stands still."""

    def __init__(self, person: Hands, engine: DockerEngine, folder: Path) -> None:
        self.person, self.engine, self.folder = person, engine, folder
        (folder / "m.gguf").write_text("weights")
        self.marks: list[StepEnded] = []

    def made(self, name: str, policy: str = "unless-stopped") -> str:
        host = self.person.api.create_host_config(
            network_mode=self.person.network,
            binds=[f"{self.folder}:/models"],
            restart_policy={"Name": policy},
            port_bindings={"8000/tcp": ("127.0.0.1", 18_941 if name.endswith("a") else 18_942)},
        )
        labels = {"com.docker.compose.project": self.person.prefix, "com.docker.compose.service": name, "mine": "1"}
        found = self.person.api.create_container(
            self.person.good, ["sh", "-c", GOOD], name=name, labels=labels, environment=["MODE=fast"],
            host_config=host, ports=[8000],
        )  # fmt: skip
        return str(found["Id"])

    def hand(self, *argv: str, op: str = "0b5e7e", **model: Any) -> Hand:
        """The hand of a plan whose model comes with this dry run."""
        prefix = self.person.prefix
        a, b = SlotModel("a", f"{prefix}-a"), SlotModel("b", f"{prefix}-b", dry_run=argv, **model)
        parts = {}
        for word in ("a", "b"):
            seen = self.person.look(f"{prefix}-{word}")
            one: dict[str, Any] = {"service": f"{prefix}-{word}", "engine": "docker", "container_id": "", "name": ""}
            parts[word] = one | ({"container_id": seen["Id"], "name": f"{prefix}-{word}"} if seen else {})
            parts[word]["service"] = b.service if word == "b" else a.service
        found = {"slot": dump(Slot("oracle", (a, b))), "from": "a", "to": "b", "shape": "exclusive", "parts": parts}
        plan = Plan(1, "swap", "slot:oracle", "docker", {}, "", "", 0.0, op, "", "", found=found)

        async def permit(_plan: int, _step: str, _seen: tuple[Container, ...]) -> Verdict:
            return yes()

        clock = SystemClock()
        prober = SimProber(self.engine)  # type: ignore[arg-type]
        return Hand(plan, self.engine, prober, SimRoom(), permit, self._heard, clock)

    def _heard(self, fact: object) -> None:
        assert isinstance(fact, StepEnded)
        self.marks.append(fact)

    async def dry(self, *argv: str) -> dry_run.DryRun:
        hand = self.hand(*argv)
        found = await dry_run.dry_run(hand, case_of(hand.plan))
        assert found is not None
        assert self.person.names(f"{self.person.prefix}-b.resurgam") == [], "the check container is gone"
        return found


@asynccontextmanager
async def stage(person: Hands, folder: Path) -> AsyncIterator[Stage]:
    engine = DockerEngine(None, SystemClock())
    made = Stage(person, engine, folder)
    try:
        yield made
    finally:
        await engine.close()
        for name in person.names(person.prefix):
            person.api.remove_container(name, force=True)


async def test_its_own_image_is_asked_and_can_touch_nothing(person: Hands, tmp_path: Path) -> None:
    async with asyncio.timeout(180), stage(person, tmp_path) as one:
        a = one.made(f"{person.prefix}-a")
        person.api.start(a)
        serving = person.look(a)
        one.made(f"{person.prefix}-b")
        before = person.look(f"{person.prefix}-b")

        reach = await one.dry("sh", "-c", REACH)
        assert reach.line.ok is True, reach.line.text
        sized = await one.dry("sh", "-c", SIZES)
        assert sized.needs == (fit.Need("memory", 324.0 * (1 << 20), "dry run"),)
        assert sized.line.text == "its image knows the model: 324 MiB of memory"

        crashed = await one.dry("sh", "-c", "echo 'unknown model architecture: deepseek3_2'; exit 139")
        assert (crashed.line.ok, crashed.line.reason) == (False, Reason.NO_FIT)
        assert crashed.line.text == (
            "its image says no, with exit 139 (SIGSEGV): unknown model architecture: deepseek3_2"
        )
        secret = await one.dry("sh", "-c", "echo api_key=hush; exit 3")
        assert secret.line.text == "its image says no, with exit 3: api_key=***"
        absent = await one.dry("llama-fit-params", "-m", "/models/m.gguf")
        assert absent.line.ok is False
        assert "its image cannot run it" in absent.line.text
        assert "llama-fit-params" in absent.line.text

        assert person.look(f"{person.prefix}-b") == before, "its own container is as it was"
        assert (person.look(a) or {})["State"] == (serving or {})["State"], "the one that serves was not touched"
        assert not (tmp_path / "written").exists()


async def test_one_that_never_ends_or_takes_too_much_is_ended(
    person: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(180), stage(person, tmp_path) as one:
        one.made(f"{person.prefix}-b")
        monkeypatch.setattr(dry_run, "MEMORY", 32 << 20)
        monkeypatch.setattr(dry_run, "_LEAST", 32 << 20)
        hungry = await one.dry("sh", "-c", "x=0123456789abcdef; while true; do x=$x$x; done")
        assert hungry.line.ok is False
        assert "used more than a dry run may" in hungry.line.text or "exit" in hungry.line.text
        monkeypatch.setattr(dry_run, "LIMIT", 0.5)
        endless = await one.dry("sh", "-c", "trap '' TERM; while true; do sleep 1; done")
        assert endless.line.ok is False
        assert "did not end within 500ms" in endless.line.text


async def test_what_a_killed_process_left_is_taken_away_and_nobody_elses(person: Hands, tmp_path: Path) -> None:
    async with asyncio.timeout(180), stage(person, tmp_path) as one:
        one.made(f"{person.prefix}-b")
        hand = one.hand("true")
        name = dry_run.container_name(case_of(hand.plan), hand.plan.op)
        body = await dry_run._body(hand, case_of(hand.plan))
        body["Cmd"] = ["sleep", "3600"]
        await one.engine.start(await one.engine.create(name, body))
        assert (await one.dry("true")).line.ok is True
        stranger = one.hand("true", op="fa1fa1")
        await one.engine.create(name, body)
        await dry_run.clear(stranger, name)
        assert person.look(name) is not None, "another plan's is left alone"


COMPOSE: dict[str, Any] = {
    "services": {
        "b": {
            "command": ["sh", "-c", GOOD],
            "restart": "always",
            "environment": {"MODE": "${MODE}"},
            "networks": {"edge": {}},
            "profiles": ["mxfp4-bench"],
        }
    }
}


def composed(person: Hands, folder: Path, **more: Any) -> str:
    """A compose file with service `b`; `more`: keys of it."""
    service = COMPOSE["services"]["b"] | {"image": f"{person.prefix}/good:1"} | more
    network = {"edge": {"name": person.network, "external": True}}
    document = {"name": person.prefix, "services": {"b": service}, "networks": network}
    (folder / ".env").write_text("MODE=fast\n")
    path = folder / "compose.yaml"
    path.write_text(json.dumps(document))
    return str(path)


async def test_a_model_without_a_container_gets_one_from_its_compose_file(person: Hands, tmp_path: Path) -> None:
    async with asyncio.timeout(180), stage(person, tmp_path) as one:
        hand = one.hand("sh", "-c", "env | grep -q MODE=fast", compose=composed(person, tmp_path))
        service = f"{person.prefix}.b"
        hand.plan.found["slot"]["models"][1]["service"] = service
        case = case_of(hand.plan)
        assert created.needed(case)
        assert created.container_name(case) == f"{person.prefix}-b-1"
        foreseen = await created.foresee(eyes_of(hand), case)
        assert [line.ok for line in foreseen] == [True, None], [line.text for line in foreseen]
        assert foreseen[0].text.startswith(f"{person.prefix}-b-1 is made of {tmp_path}/compose.yaml")
        assert "config-hash" in foreseen[1].text
        found = await dry_run.dry_run(hand, case)
        assert found is not None
        assert found.line.ok is True, found.line.text
        made = await created.create(hand, case)
        assert (made.name, made.status, made.restart_policy) == (f"{person.prefix}-b-1", "created", "no")
        assert hand.data[created.POLICY] == "always"
        raw = person.look(made.name) or {}
        assert raw["Config"]["Labels"]["com.docker.compose.service"] == "b"
        assert "MODE=fast" in raw["Config"]["Env"]
        assert list(raw["NetworkSettings"]["Networks"]) == [person.network]
        assert (await created.create(hand, case)).id == made.id, "done already is fine"
        other = one.hand(op="fa1fa1", compose=composed(person, tmp_path))
        other.plan.found["slot"]["models"][1]["service"] = service
        with pytest.raises(Cannot, match="there is a container"):
            await created.create(other, case_of(other.plan))


@pytest.mark.parametrize(
    ("more", "words", "reason"),
    [
        ({"privileged": True}, "would be privileged", Reason.WIDENS),
        ({"volumes": ["/var/run/docker.sock:/s:ro"]}, "would see /var/run/docker.sock", Reason.WIDENS),
        ({"volumes": ["/no/such/folder:/models"]}, "is gone from this machine", Reason.UNFAITHFUL),
        ({"image": "no-such/image:1"}, "there is no image no-such/image:1", Reason.IMAGE_GONE),
        ({"unheard_of": 1}, "cannot be understood", Reason.BAD_PARAMETER),
        ({"container_name": "x", "labels": {"resurgam.service": "other"}}, "has no service", Reason.NO_TARGET),
    ],
)
async def test_what_a_compose_file_may_not_do(
    person: Hands, tmp_path: Path, more: dict[str, Any], words: str, reason: Reason
) -> None:
    async with asyncio.timeout(180), stage(person, tmp_path) as one:
        hand = one.hand(compose=composed(person, tmp_path, **more))
        hand.plan.found["slot"]["models"][1]["service"] = f"{person.prefix}.b"
        with pytest.raises(Cannot) as caught:
            await created.create(hand, case_of(hand.plan))
        assert words in str(caught.value)
        assert caught.value.verdict.reason is reason
        assert person.names(f"{person.prefix}-b") == []


async def test_a_compose_file_that_others_may_write_is_not_obeyed(person: Hands, tmp_path: Path) -> None:
    async with asyncio.timeout(180), stage(person, tmp_path) as one:
        path = composed(person, tmp_path)
        Path(path).chmod(0o666)
        hand = one.hand(compose=path)
        hand.plan.found["slot"]["models"][1]["service"] = f"{person.prefix}.b"
        with pytest.raises(Cannot, match="is not obeyed") as caught:
            await created.create(hand, case_of(hand.plan))
        assert caught.value.verdict.reason is Reason.NOT_ALLOWED
