"""The retained document of one GPU. Made by views/gpu.py, kept by the broker as `resurgam/<host>/state/gpu/<index>`."""

from typing import Literal

from pydantic import Field

from supervisor.bus.contract.shapes import Count, Number, Shape, Time

Recovery = Literal["", "none", "reset", "reboot", "drain", "drain_reset", "imex", "bus_reset", "power_cycle"]
"""what the driver says that a card needs"""


class GpuMemory(Shape):
    """The memory of one card, in bytes. What moves all the time is rounded."""

    total: Number
    free: Number
    reserved: Number
    """what the driver keeps for itself"""
    planned: Number
    """the plans of everything that runs on it, together; where there is none, what it uses"""
    headroom: Number
    """what may still be planned; below 0 where more is planned than there is"""
    orphaned: Number
    """held by what is left of containers that are gone"""
    unattributed: Number
    """in use, and the driver names nobody"""


class GpuUser(Shape):
    name: str
    """a service, or a process that is none's"""
    used: Number


class GpuReadings(Shape):
    """null where the card does not tell"""

    utilization: Number | None
    """percent"""
    temperature: Number | None
    """degrees Celsius"""
    memory_temperature: Number | None
    power: Number | None
    """watts"""
    sm_clock: Number | None
    """megahertz"""


class CardFault(Shape):
    """One burst of faults that is not over."""

    id: str
    uuid: str
    bus: str
    first_at: Time
    last_at: Time
    xid: Count
    """the driver's number of the fault that the others follow from; 0 for one without a number"""
    kind: str = Field(alias="class")
    remedy: Literal["none", "tell", "restart", "reset", "reboot", "power", "replace"]
    counts: dict[str, int]
    service: str
    recovery: Recovery
    drill: bool
    """a person practises: nothing is wrong"""
    text: str


class Gpu(Shape):
    """One card."""

    host: str
    gpu: Count
    """its index, which changes when another card is lost"""
    uuid: str
    name: str
    bus: str
    up: bool
    """the driver answers for it"""
    present: bool
    """it is in the machine; a card that is expected and gone is told of with false"""
    memory: GpuMemory | None
    """null where it does not tell"""
    users: list[GpuUser]
    recovery: Recovery
    """what its driver says it needs; empty where the driver does not tell"""
    persistence: bool | None
    """the driver stays set up while nobody uses the card; null where it does not tell"""
    readings: GpuReadings
    faults: list[CardFault]
    text: str
    """what is wrong with it, with what to do; empty for nothing"""
