"""The reader and its child in virtual time: what is asked, what is remembered, when the child goes and comes back."""

import asyncio
import itertools
import json

import pytest

from supervisor.lab.loop import SimLoop
from supervisor.signals.gpu.reader import DEADLINE, GOES, IDLE, LASTING, GpuReader
from supervisor.signals.gpu.told import NvmlEvent

CARD = {"index": 0, "uuid": "GPU-aa", "bus": "b", "name": "X", "total": 80, "free": 7, "reserved": 2, "split": True}
CARD |= {"users": [], "values": {}, "compute": "9.0", "error": "", "code": 0}
WELL = {"gpus": [CARD]}
LOST = {"gpus": [{**CARD, "error": "GPU is lost", "code": 15}]}
EVENT = {"event": {"type": 8, "data": 79, "index": 0, "uuid": "GPU-aa", "bus": "b"}}


class Child:
    """A process that answers as the world says; it ends at the end of its stdin, unless that has it stuck."""

    def __init__(self, world):
        self.world, self.pid = world, 100 + len(world.children)
        self.stdout, self.stdin, self.returncode = asyncio.StreamReader(), self, None
        self.over = asyncio.Event()
        self.signals = 0

    def write(self, line):
        number, _, what = line.decode().strip().partition(" ")
        self.world.asked.append(what)
        asyncio.get_running_loop().create_task(self.answer(int(number), what))

    async def answer(self, number, what):
        await asyncio.sleep(self.world.takes)
        for each in self.world.before:
            await asyncio.sleep(each.pop("after", 0))
            self.say(each)
        said = self.world.says
        if said is None:
            return
        self.say({"n": number, **({"events": True} if what.startswith("events") else said)})
        if "trouble" in said:
            self.ends()

    def say(self, said):
        if self.returncode is None:
            self.stdout.feed_data(said if isinstance(said, bytes) else json.dumps(said).encode() + b"\n")

    def close(self):
        if not self.world.stuck and self.world.says is not None:
            self.ends()

    def terminate(self):
        self.signals += 1
        if not self.world.stuck:
            self.ends(-15)

    def ends(self, code=0):
        if self.returncode is None:
            self.returncode = code
            self.stdout.feed_eof()
            self.over.set()

    async def wait(self):
        await self.over.wait()
        return self.returncode


class World:
    def __init__(self, monkeypatch, tmp_path):
        self.children, self.asked, self.before = [], [], []
        self.says, self.takes, self.starts_in, self.stuck = WELL, 0.01, 0.0, False
        """`says` None: the call hangs"""
        self.sign = tmp_path / "version"
        self.sign.touch()

        async def starts(*_command, **_options):
            await asyncio.sleep(self.starts_in)
            self.children.append(Child(self))
            return self.children[-1]

        monkeypatch.setattr(asyncio, "create_subprocess_exec", starts)

    def reader(self):
        return GpuReader(signs=(self.sign,))

    def beats(self, *calls, every=1.0):
        self.before = [{"after": every, "beat": number, "at": f"call {number}"} for number in calls]


@pytest.fixture
def world(monkeypatch, tmp_path):
    return World(monkeypatch, tmp_path)


def run(story):
    loop = SimLoop()
    try:
        loop.run_until_complete(story)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def now():
    return asyncio.get_running_loop().time()


def test_one_child_serves_the_gate_and_the_watch_and_goes_when_nobody_asks(world):
    async def story():
        reader = world.reader()
        assert (await reader.usage()).gpus[0].free == 7
        assert (await reader.snapshot("fast")).cards[0].uuid == "GPU-aa"
        assert not (await reader.snapshot("fast")).full
        assert (await reader.snapshot("slow")).full
        assert (len(world.children), reader.running, reader.pid) == (1, True, 100)
        await asyncio.sleep(IDLE - 1)
        assert reader.running
        await asyncio.sleep(2)
        assert (reader.running, reader.pid, world.children[0].signals) == (False, 0, 0)
        assert (await reader.usage()).gpus
        assert reader.children == 2

    run(story())


def test_without_a_sign_of_a_driver_no_child_is_started_and_one_that_comes_is_seen_at_once(world):
    async def story():
        world.sign.unlink()
        reader = world.reader()
        for _ in range(3):
            assert (await reader.snapshot("fast")).trouble == "no_driver"
        assert (await reader.usage()).trouble == "no NVIDIA driver answers on this machine"
        assert world.children == []
        world.sign.touch()
        assert (await reader.snapshot("fast")).trouble == ""

    run(story())


def test_what_lasts_is_not_asked_again_for_a_minute(world):
    async def story():
        reader, world.says = world.reader(), {"trouble": "mismatch"}
        for _ in range(20):
            assert (await reader.snapshot("fast")).trouble == "mismatch"
            assert "two versions" in (await reader.usage()).trouble
            await asyncio.sleep(LASTING / 24)
        assert len(world.children) == 1
        world.says = WELL
        await asyncio.sleep(LASTING / 4)
        assert (await reader.snapshot("fast")).trouble == ""

    run(story())


@pytest.mark.parametrize("says", [LOST, {"trouble": "error", "text": "Unknown Error"}, {"gpus": 7}], ids=range(3))
def test_dead_handles_and_odd_errors_get_a_new_process_slower_each_time(world, says):
    async def story():
        reader, world.says = world.reader(), says
        started = []
        while now() < 200:
            before = len(world.children)
            reading = await reader.snapshot("fast")
            assert reading.trouble == "error" or reading.cards[0].code == 15, "the answer of the last time stands"
            assert (await reader.usage()).trouble or (await reader.usage()).gpus[0].error
            if len(world.children) > before:
                started.append(now())
            await asyncio.sleep(0.25)
        pauses = [round(late - early) for early, late in itertools.pairwise(started)]
        assert pauses[:6] == [1, 2, 4, 8, 16, 30]
        assert set(pauses[6:]) <= {30, 31}
        world.says = WELL
        await asyncio.sleep(31)
        assert (await reader.snapshot("fast")).cards[0].error == ""
        world.says = says
        await reader.snapshot("fast")
        await asyncio.sleep(1.1)
        world.says = WELL
        assert not (await reader.snapshot("fast")).cards[0].error, "once it was well, the first pause is short again"

    run(story())


def test_one_lost_card_beside_a_good_one_keeps_the_child(world):
    async def story():
        reader, world.says = world.reader(), {"gpus": [*LOST["gpus"], {**CARD, "index": 1}]}
        for _ in range(3):
            assert [card.code for card in (await reader.snapshot("fast")).cards] == [15, 0]
        assert len(world.children) == 1

    run(story())


def test_a_call_that_hangs_is_named_and_its_process_gets_the_signal(world):
    async def story():
        reader = world.reader()
        world.says = None
        world.beats(*[7] * 40, every=0.25)
        reading = await reader.snapshot("fast")
        assert reading.trouble == "hung"
        assert reading.text == "NVIDIA's driver did not answer within 5s (call 7)."
        assert now() < DEADLINE + 1
        assert (world.children[0].signals, reader.pid) == (1, 0)
        asked = now()
        assert (await reader.snapshot("fast")).trouble == "hung"
        assert (now(), len(world.children)) == (asked, 1), "remembered"
        world.says, world.before = WELL, []
        await asyncio.sleep(LASTING)
        assert (await reader.snapshot("fast")).trouble == ""

    run(story())


def test_a_driver_that_is_slow_and_goes_on_is_waited_for_but_not_for_ever(world):
    async def story():
        reader = world.reader()
        world.beats(*range(1, 11))
        assert (await reader.snapshot("fast")).cards, "ten calls of a second each"
        world.says = None
        world.beats(*range(1, 100))
        began = now()
        assert (await reader.snapshot("fast")).trouble == "hung"
        assert 3 * DEADLINE < now() - began < 6 * DEADLINE

    run(story())


def test_a_child_that_does_not_run_is_not_the_drivers_fault(world):
    async def story():
        reader, world.says = world.reader(), None  # and no beat
        reading = await reader.snapshot("fast")
        assert (reading.trouble, "it does not run" in reading.text) == ("error", True)

    run(story())


def test_one_that_is_stuck_is_left_and_none_is_started_beside_it(world):
    async def story():
        reader, world.says, world.stuck = world.reader(), None, True
        world.beats(*[1] * 40, every=0.25)
        assert (await reader.snapshot("fast")).trouble == "hung"
        assert now() < DEADLINE + 2 * GOES + 1
        await asyncio.sleep(LASTING + 1)
        for _ in range(3):
            asked = now()
            assert "an earlier question" in (await reader.usage()).trouble
            assert now() == asked, "nobody waits for it any more"
        assert (len(world.children), world.children[0].signals, reader.pid) == (1, 1, 100)
        world.children[0].ends()
        world.says, world.before, world.stuck = WELL, [], False
        await asyncio.sleep(0)
        assert (await reader.usage()).gpus
        assert len(world.children) == 2

    run(story())


def test_held_means_hands_off_also_in_the_middle_of_a_question(world):
    async def story():
        reader = world.reader()
        await reader.snapshot("fast")
        world.takes = 3.0
        asked = asyncio.ensure_future(reader.snapshot("slow"))
        await asyncio.sleep(1)
        reader.hold("XID 79: nobody asks the driver until the machine was restarted.")
        reading = await asked
        assert (reading.trouble, reading.cards) == ("stopped", ())
        assert reading.text == "XID 79: nobody asks the driver until the machine was restarted."
        assert (await reader.usage()).trouble == reading.text.rstrip(".")
        assert (reader.held, reader.running, world.children[0].returncode) == (reading.text, False, 0)
        await asyncio.sleep(1000)
        await reader.snapshot("fast")
        assert len(world.children) == 1, "no call, however long"
        reader.resume()
        assert ((await reader.snapshot("fast")).trouble, reader.held) == ("", "")

    run(story())


def test_held_while_the_child_starts_nothing_is_asked_of_it(world):
    async def story():
        reader, world.starts_in = world.reader(), 0.5
        asked = asyncio.ensure_future(reader.snapshot("fast"))
        await asyncio.sleep(0.1)
        reader.hold("XID 119.")
        assert (await asked).trouble == "stopped"
        assert (world.asked, reader.pid, world.children[0].returncode) == ([], 0, 0)

    run(story())


def test_resume_forgets_what_was_wrong(world):
    async def story():
        reader, world.says = world.reader(), {"trouble": "mismatch"}
        await reader.usage()
        world.says = WELL
        reader.hold("a reset")
        reader.resume()
        assert (await reader.usage()).gpus

    run(story())


@pytest.mark.parametrize("stuck", [False, True])
def test_release_says_whether_we_have_it_open_no_more(world, stuck):
    async def story():
        reader = world.reader()
        await reader.snapshot("fast")
        world.stuck = stuck
        began = now()
        assert await reader.release("a reset") is not stuck
        assert now() - began <= 2 * GOES
        assert reader.held == "a reset"

    run(story())


def test_events_are_heard_and_come_back_with_the_next_child(world):
    async def story():
        reader, heard = world.reader(), []
        reader.listen(heard.append)
        assert await reader.events(True) == ""
        world.children[0].say(EVENT)
        world.children[0].say({"event": {"type": 0x10, "data": 1, "index": 0, "uuid": "", "bus": ""}})
        world.children[0].say({"event": "odd"})
        await asyncio.sleep(10 * IDLE)
        assert heard == [NvmlEvent("xid", 0, "GPU-aa", "b", xid=79)]
        assert reader.running, "one that listens is not let go of"
        world.children[0].ends(3)
        await asyncio.sleep(1)
        await reader.snapshot("fast")  # finds it gone
        await asyncio.sleep(40)
        world.asked.clear()
        await reader.snapshot("fast")
        assert world.children[-1].returncode is None
        world.children[-1].say(EVENT)
        await asyncio.sleep(1)
        assert len(heard) == 2
        assert await reader.events(False) == ""
        await asyncio.sleep(IDLE + 1)
        assert not reader.running

    run(story())


def test_events_are_asked_for_again_before_the_question(world):
    async def story():
        reader = world.reader()
        await reader.events(True)
        await reader.release("a reset")
        reader.resume()
        world.asked.clear()
        await reader.snapshot("fast")
        assert world.asked == ["events on", "snapshot fast"]

    run(story())


def test_an_answer_to_a_question_that_was_given_up_is_passed_over(world):
    async def story():
        reader = world.reader()
        world.takes = 2.0
        asked = asyncio.ensure_future(reader.usage())
        await asyncio.sleep(1)
        asked.cancel()
        await asyncio.sleep(0)
        world.takes = 3.0
        world.says = {"gpus": [{**CARD, "free": 1}]}
        asyncio.get_running_loop().call_later(1.5, lambda: setattr(world, "says", {"gpus": [{**CARD, "free": 2}]}))
        assert (await reader.usage()).gpus[0].free == 2

    run(story())


@pytest.mark.parametrize("junk", [b"nonsense\n", b"[]\n", b"x" * (1 << 21)], ids=range(3))
def test_junk_costs_the_child_and_is_a_trouble(world, junk):
    async def story():
        reader = world.reader()
        world.before, world.says = [], None

        async def spoils():
            await asyncio.sleep(0.1)
            world.children[0].say(junk)

        spoiler = asyncio.ensure_future(spoils())
        reading = await reader.snapshot("fast")
        await spoiler
        assert (reading.trouble, "made no sense" in reading.text) == ("error", True)
        assert (world.children[0].signals, reader.pid) == (1, 0)

    run(story())


def test_close_never_raises_and_waits_two_moments_at_most(world):
    async def story():
        reader = world.reader()
        await reader.close()
        await reader.usage()
        world.stuck = True
        began = now()
        await reader.close()
        assert now() - began <= 2 * GOES
        await reader.close()

    run(story())
