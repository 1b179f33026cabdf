"""reclaim, drop-cache, unload and raise-limit: what was promised, and what came of it."""

import asyncio

import pytest

from supervisor.actions.swap.absent import NoGate, NoServer, NoWeights
from supervisor.errors import ServerError
from supervisor.facts import Needs, SlotModel
from supervisor.journal.codec import dump
from supervisor.ports import Models
from supervisor.verdicts import Reason
from tests.support.groups import GIB
from tests.support.runner import Killed


def test_reclaim_takes_what_is_over_the_plan(box):
    box.groups.swap = 8 * GIB
    ended = box.done("reclaim")
    assert ended.outcome.reason is Reason.VERIFIED
    assert box.groups.writes == [("reclaim", box.id, 2 * GIB)]
    told = ended.data["memory"]
    assert (told["expected"], told["got"]) == (2 * GIB, 2 * GIB)
    assert (told["usage_before"], told["usage_after"]) == (7 * GIB, 5 * GIB)


def test_reclaim_without_swap_gives_what_there_is_and_says_so(box):
    ended = box.done("reclaim")
    assert ended.outcome.reason is Reason.FAILED
    assert ended.data["memory"]["got"] == GIB
    assert "1 GiB of 2 GiB" in ended.outcome.text


def test_reclaim_leaves_alone_what_keeps_to_its_plan(box):
    ended = box.done("reclaim", needs=Needs(memory=int(8 * GIB)))
    assert ended.data == {"why": "within_plan"}
    assert box.wrote == []


def test_a_person_may_say_how_much(box):
    assert box.done("reclaim", needs=Needs(), size="512MiB").outcome.ok
    assert box.groups.writes == [("reclaim", box.id, GIB / 2)]


def test_nobody_takes_from_what_has_no_plan_without_a_size(box):
    ended = box.done("reclaim", needs=Needs())
    assert ended.data == {"why": "unsupported"}
    assert box.wrote == []


def test_a_limit_is_raised_and_read_again(box):
    box.groups.set(box.id, limit=8 * GIB)
    ended = box.done("raise-limit", to="12GiB")
    assert ended.outcome.reason is Reason.VERIFIED
    assert box.now.limit == 12 * GIB
    assert ended.data["memory"]["limit_before"] == 8 * GIB
    assert "until its next start" in ended.outcome.text


@pytest.mark.parametrize("limit", [16 * GIB, 0.0])
def test_a_limit_is_never_lowered_nor_made(box, limit):
    box.groups.set(box.id, limit=limit)
    ended = box.done("raise-limit", to="12GiB")
    assert ended.data == {"why": "unsupported"}
    assert box.now.limit == limit


def test_the_files_of_a_model_that_is_not_loaded_are_forgotten(box):
    plan = box.plan("drop-cache", needs=Needs(weights=("/models/a.gguf", "/models/b")))
    box.engine.human_stop("leak")
    box.box.let(20)
    ended = box.run(plan)
    assert ended.outcome.ok, ended.outcome
    assert box.groups.writes == [("drop-cache", "/models/a.gguf /models/b", 0.0)]


def test_the_files_of_a_model_in_use_are_left_alone(box):
    ended = box.done("drop-cache", needs=Needs(weights=("/models/a.gguf",)))
    assert ended.data == {"why": "unsupported"}
    assert box.wrote == []
    found = {"unloaded": True}
    assert box.done("drop-cache", needs=Needs(weights=("/models/a.gguf",)), found=found).outcome.ok


class Server(NoServer):
    """A model server that gives back so much, after a while."""

    def __init__(self, box, gives: float, cannot: str = "") -> None:
        self.box, self.gives, self.why, self.did = box, gives, cannot, []

    def cannot(self, verb, model):
        return self.why

    async def unload(self, at, within):
        return self._away("unload", at)

    async def sleep(self, at, within):
        return self._away("sleep", at)

    def _away(self, verb, at):
        self.did.append((verb, at.model.name))
        if not self.gives:
            raise ServerError("the model is in use")
        key, left = at.container.id, 6 * GIB - self.gives
        asyncio.get_running_loop().call_later(1.0, lambda: self.box.groups.set(key, anon=left))
        return "model put away"


def slot_model(**more):
    return {"model": dump(SlotModel("qwen", "leak", **more))}


def serve(box, server):
    box.box.core.models = Models(server, NoGate(), NoWeights())
    box.box.core.runner = box.box.core.fresh()
    return server


@pytest.mark.parametrize(("declared", "verb"), [({"inside": True}, "unload"), ({"sleep": 1}, "sleep")])
def test_a_server_puts_its_model_away_and_the_memory_is_awaited(box, declared, verb):
    server = serve(box, Server(box, 5 * GIB))
    ended = box.done("unload", found=slot_model(**declared))
    assert ended.outcome.reason is Reason.VERIFIED
    assert ended.data["memory"]["got"] == 5 * GIB
    assert server.did == [(verb, "qwen")]


@pytest.mark.parametrize("gives", [0.0, 1.0])
def test_a_server_that_gives_nothing_back_failed(box, gives):
    serve(box, Server(box, gives))
    assert box.done("unload", found=slot_model(inside=True)).outcome.reason is Reason.FAILED


def test_without_an_adapter_nobody_is_asked(box):
    ended = box.done("unload")
    assert ended.data == {"why": "unsupported"}
    assert box.box.core.last[1].phase == "before"


def test_a_server_that_cannot_do_it_is_not_asked(box):
    server = serve(box, Server(box, 5 * GIB, cannot="it has no such verb; stop it"))
    ended = box.done("unload", found=slot_model(inside=True))
    assert ended.data == {"why": "unsupported"}
    assert "it has no such verb; stop it" in ended.outcome.text
    assert server.did == []


@pytest.mark.parametrize("verb", ["reclaim", "raise-limit"])
def test_a_kill_anywhere_leaves_it_done_once(killed_at, verb):
    for number in range(1, 40):
        with killed_at(number) as (box, point):
            box.groups.swap = 8 * GIB
            box.groups.set(box.id, limit=8 * GIB)
            params = {"to": "12GiB"} if verb == "raise-limit" else {}
            try:
                ended = box.done(verb, **params)
            except Killed:
                box.groups.on_call = lambda op, key, when: None
                point.at = -1
                (ended,) = box.box.run(box.box.core.recover())
            else:
                assert number > 5
                return
            assert ended.outcome.ok, (point.seen, ended)
            if verb == "reclaim":
                assert box.now.usage == 5 * GIB, point.seen
            assert box.wrote == [verb], point.seen
    raise AssertionError("the story has no end")


@pytest.mark.parametrize("verb", ["freeze", "thaw", "fuse", "unfuse", "reclaim", "raise-limit", "drop-cache", "unload"])
def test_they_lock_nothing_but_their_service(box, verb):
    needs = Needs(memory=1, weights=("/models",), vram=(("", 1),), exclusive=("gpu",))
    assert box.plan(verb, needs=needs, **({"to": "1GiB"} if verb == "raise-limit" else {})).locks == ("service:leak",)
