"""The rhythm of scrapes: who is read, how often, and what the core is told when a target fails or goes."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import structlog.testing

from supervisor.config.settings import ScrapeSettings
from supervisor.core.made import ours
from supervisor.facts import Container, Needs, Readings, Sample, Service, labels
from supervisor.lab.loop import SimLoop
from supervisor.signals.scrapes.fetch import Unread
from supervisor.signals.scrapes.target import Target
from supervisor.signals.scrapes.watch import Scrapes
from supervisor.verdicts import yes

NODE = {"job": "node", "instance": "127.0.0.1:9100"}
BOX = Container("id", "oracle", "sha256:1", "img", status="running", address="172.18.0.4")
ORACLE = Service("oracle", "docker", BOX, yes(), Needs(metrics="http://:8000/metrics"))
ABOUT = {"job": "oracle", "instance": "oracle:8000", "name": "oracle"}


class Book:
    """Pages by address: text, or what goes wrong. `hangs`: addresses that never answer within their timeout."""

    def __init__(self) -> None:
        self.pages: dict[str, str | Exception] = {}
        self.hangs: set[str] = set()
        self.asked: list[tuple[float, str]] = []
        self.open = True

    async def page(self, target: Target) -> tuple[bytes, str]:
        self.asked.append((asyncio.get_running_loop().time(), target.url))
        if target.url in self.hangs:
            await asyncio.sleep(target.timeout)
            raise Unread("no whole answer")
        found = self.pages.get(target.url, Unread("nothing listens"))
        if isinstance(found, Exception):
            raise found
        return found.encode(), "text/plain"

    async def close(self) -> None:
        self.open = False


class World:
    """Scrapes on a virtual clock; `facts` is what the core was told."""

    def __init__(self, *settings: ScrapeSettings) -> None:
        self.loop = SimLoop()
        self.book, self.facts = Book(), list[Readings]()
        self.services: list[Service] = []
        self.scrapes = Scrapes(
            settings,
            self.facts.append,  # type: ignore[arg-type]
            self.loop.clock,
            lambda: self.services,
            ours,
            self.book,
        )

    def play(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            task = asyncio.create_task(self.scrapes.run())
            await story()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.loop.run_until_complete(whole())
        self.loop.close()
        assert not self.book.open, "the session is let go of"

    def samples(self) -> dict[Any, float]:
        """What the newest fact says."""
        fact = self.facts[-1]
        return {sample.labels: sample.value for sample in (*fact.samples, *fact.brought)}


def node(**more: Any) -> ScrapeSettings:
    return ScrapeSettings(job="node", url="http://127.0.0.1:9100/metrics", **more)


def test_a_target_is_read_at_its_interval_and_says_how_that_went() -> None:
    world = World(node(interval="20s", timeout="5s"))
    world.book.pages["http://127.0.0.1:9100/metrics"] = "kpi 42\nkpi_by{room='x'} 1\n".replace("'", '"')

    async def story() -> None:
        await asyncio.sleep(100)

    world.play(story)
    times = [at for at, _url in world.book.asked]
    assert len(times) == 5
    assert times[0] < 15
    assert [round(b - a, 6) for a, b in itertools.pairwise(times)] == [20.0] * 4
    fact = world.facts[-1]
    assert (fact.collector, fact.whole) == ("scrape:node:127.0.0.1:9100", True)
    assert fact.samples == (
        Sample(labels("up", **NODE), 1.0),
        Sample(labels("scrape_duration_seconds", **NODE), 0.0),
        Sample(labels("scrape_samples_scraped", **NODE), 2.0),
    )
    assert fact.brought == (Sample(labels("kpi", **NODE), 42.0), Sample(labels("kpi_by", room="x", **NODE), 1.0))
    assert fact.target is not None
    assert (fact.target.up, fact.target.samples, fact.target.text) == (True, 2, "")


def test_targets_are_spread_over_time() -> None:
    world = World(*(ScrapeSettings(job=f"j{n}", url=f"http://127.0.0.1:9100/{n}") for n in range(30)))

    async def story() -> None:
        await asyncio.sleep(15)

    world.play(story)
    thirds = [len([at for at, _ in world.book.asked if third * 5 <= at < third * 5 + 5]) for third in range(3)]
    assert len(world.book.asked) == 30
    assert min(thirds) >= 4, thirds


def test_a_target_that_fails_offers_nothing_and_is_down_with_a_sentence() -> None:
    world = World(node())
    url = "http://127.0.0.1:9100/metrics"

    async def story() -> None:
        world.book.pages[url] = "kpi 42\n"
        await asyncio.sleep(15)
        assert world.facts[-1].brought
        for wrong in (Unread("it answers 500"), "kpi 42\nkpi fourtythree\n", ZeroDivisionError("x")):
            world.book.pages[url] = wrong
            await asyncio.sleep(15)
            fact = world.facts[-1]
            assert (fact.brought, fact.whole) == ((), True)
            assert world.samples()[labels("up", **NODE)] == 0.0
            assert fact.target is not None
            assert fact.target.text
        assert world.scrapes.faults == 1  # the last one is a defect of ours
        world.book.pages[url] = "kpi 43\n"
        await asyncio.sleep(15)
        assert world.samples()[labels("kpi", **NODE)] == 43.0

    world.play(story)


def test_one_that_hangs_keeps_nobody_waiting_and_is_not_asked_twice_at_once() -> None:
    slow = ScrapeSettings(job="slow", url="http://127.0.0.1:9101/metrics", interval="10s", timeout="10s")
    world = World(slow, node(interval="10s", timeout="2s"))
    world.book.hangs.add(slow.url)
    world.book.pages["http://127.0.0.1:9100/metrics"] = "kpi 42\n"

    async def story() -> None:
        await asyncio.sleep(100)

    world.play(story)
    good = [fact for fact in world.facts if fact.collector.startswith("scrape:node")]
    assert len(good) >= 9
    hung = [at for at, url in world.book.asked if url == slow.url]
    assert all(b - a >= 10.0 for a, b in itertools.pairwise(hung))


def test_a_service_comes_moves_and_goes() -> None:
    world = World()

    async def story() -> None:
        await asyncio.sleep(30)
        assert world.facts == []
        world.services = [ORACLE]
        world.book.pages["http://172.18.0.4:8000/metrics"] = 'running{name="letta"} 3\n'
        world.scrapes.changed()
        await asyncio.sleep(15)
        assert world.samples()[labels("running", exported_name="letta", **ABOUT)] == 3.0
        moved = replace(ORACLE, container=replace(BOX, id="new", address="172.18.0.9"))
        world.services = [moved]
        world.book.pages = {"http://172.18.0.9:8000/metrics": 'running{name="letta"} 4\n'}
        world.scrapes.changed()
        await asyncio.sleep(15)
        assert world.samples()[labels("running", exported_name="letta", **ABOUT)] == 4.0
        assert all(fact.target is not None for fact in world.facts), "its series went on meanwhile"
        world.services = [replace(moved, container=replace(BOX, status="exited"))]
        world.scrapes.changed()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        last = world.facts[-1]
        assert (last.collector, last.samples, last.brought, last.whole, last.target) == (
            "scrape:oracle:oracle:8000",
            (),
            (),
            True,
            None,
        )
        count = len(world.facts)
        await asyncio.sleep(60)
        assert len(world.facts) == count

    world.play(story)


def test_a_container_never_speaks_in_our_name_and_that_is_told_once() -> None:
    world = World(node(override=True))
    page = "up 0\nresurgam_service_healthy 1\nALERTS 1\nfine 1\n"
    world.services = [ORACLE]
    world.book.pages = {"http://172.18.0.4:8000/metrics": page, "http://127.0.0.1:9100/metrics": page}

    async def story() -> None:
        await asyncio.sleep(60)

    with structlog.testing.capture_logs() as logs:
        world.play(story)
    last = {fact.collector: fact for fact in world.facts}
    oracle, listed = last["scrape:oracle:oracle:8000"], last["scrape:node:127.0.0.1:9100"]
    assert [sample.labels for sample in oracle.brought] == [labels("fine", **ABOUT)]
    assert oracle.target is not None
    assert (oracle.target.up, oracle.target.samples, oracle.target.left_out) == (True, 1, 3)
    assert "ALERTS, resurgam_service_healthy, up" in oracle.target.text
    assert len([one for one in logs if one["event"] == "trouble"]) == 1
    assert len(listed.brought) == 4, "the owner said so"


def test_what_cannot_be_asked_is_down_and_nobody_is_asked() -> None:
    world = World()
    needs = Needs(metrics="http://10.0.0.1:80/x", metrics_from_label=True)
    world.services = [replace(ORACLE, needs=needs)]

    async def story() -> None:
        await asyncio.sleep(40)

    world.play(story)
    assert world.book.asked == []
    target = world.facts[-1].target
    assert target is not None
    assert (target.up, target.service) == (False, "oracle")
    assert "may only be its own container's" in target.text
