"""A connection to the managed broker: when it is replaced, and when it is started again for its gateway."""

import asyncio
from typing import Any, cast

import pytest

from supervisor.bus.link.connection import Connection
from supervisor.bus.managed import Managed, Mosquitto, Patience
from supervisor.bus.managed.connection import LOOK_AGAIN, TRIES
from supervisor.errors import BrokerError
from supervisor.lab.broker import SimBrokerWorld
from supervisor.lab.loop import SimLoop


class Program:
    """A mosquitto that is only spoken of."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.trouble = ""
        self.network = False

    async def ensure(self) -> None:
        self.done.append("ensure")

    async def replace(self) -> None:
        self.done.append("replace")

    async def close(self) -> None:
        self.done.append("close")

    async def could_listen_for_containers(self) -> bool:
        return self.network


def house() -> tuple[Program, SimBrokerWorld, Any]:
    program, world, patience = Program(), SimBrokerWorld(), Patience()
    return program, world, lambda: Managed(cast(Mosquitto, program), cast(Any, world), patience)


def test_a_broker_that_answers_nobody_is_replaced_after_three_tries_and_not_before() -> None:
    program, world, make = house()
    world.refusal = BrokerError("it does not answer")

    async def story() -> None:
        for _ in range(TRIES + 1):
            with pytest.raises(BrokerError):
                await make().connect()
        assert program.done == ["ensure"] * TRIES + ["replace", "ensure"]

    SimLoop().run_until_complete(story())


def test_one_connection_that_stands_forgives_all_before() -> None:
    program, world, make = house()

    async def story() -> None:
        for _ in range(3):
            world.refusal = BrokerError("busy")
            for _ in range(TRIES - 1):
                with pytest.raises(BrokerError):
                    await make().connect()
            world.refusal = None
            connection: Connection = make()
            await connection.connect()
            assert (await connection.publish("a", b"1", 1, False, 0.0)).heard is False
            await connection.close()
        assert "replace" not in program.done

    SimLoop().run_until_complete(story())


def test_it_is_started_again_once_the_gateway_is_there() -> None:
    program, _, make = house()
    program.trouble = "Containers of ai do not reach the broker."

    async def story() -> None:
        connection = make()
        await connection.connect()
        await asyncio.sleep(LOOK_AGAIN * 2.5)
        assert program.done == ["ensure"]
        program.network = True
        await asyncio.sleep(LOOK_AGAIN)
        assert program.done == ["ensure", "close"]
        await connection.abort()

    SimLoop().run_until_complete(story())


def test_a_connection_that_was_let_go_looks_for_nothing_more() -> None:
    program, _, make = house()
    program.trouble = "Containers of ai do not reach the broker."

    async def story() -> None:
        connection = make()
        await connection.connect()
        await connection.abort()
        program.network = True
        await asyncio.sleep(LOOK_AGAIN * 3)
        assert program.done == ["ensure"]
        with pytest.raises(BrokerError, match="there is no connection"):
            await connection.publish("a", b"1", 1, False, 0.0)

    SimLoop().run_until_complete(story())
