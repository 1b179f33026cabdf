"""How long after the engine's own `die` stamp an alert reaches a subscriber, beside a bare listener and a 5 s poller.

All three watch the same deaths on the same engine in the same run: 20 containers, killed 10 times each. Figures are
medians and p99 in milliseconds, and what the alert costs above the bare listener.

    python -m tests.bench.alert_latency [--services 20] [--deaths 10]
"""

import argparse
import asyncio
import json
import math
import statistics
import threading
import time

import aiomqtt

from tests.bench.box import Box

RULE = """\
groups:
- name: bench
  rules:
  - alert: Down
    expr: resurgam_container_running == 0
    labels: {severity: critical}  # a flapping warning is told in digests
"""


class Times:
    """Per (container id, round): the engine's stamp and when each watcher knew, in unix seconds."""

    def __init__(self) -> None:
        self.died: dict[tuple[str, int], float] = {}
        self.known: dict[str, dict[tuple[str, int], float]] = {"listener": {}, "poller": {}, "alert": {}}

    def delays(self, who: str) -> list[float]:
        return sorted((at - self.died[key]) * 1000 for key, at in self.known[who].items() if key in self.died)


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


async def measure(services: int, deaths: int) -> Times:
    times = Times()
    box = Box("bench-latency", {"rules": {"bench.yaml": RULE}})
    names = [f"resurgam-bench-{number}" for number in range(services)]
    await asyncio.to_thread(box.start, names)
    ids = {name: box.api.inspect_container(name)["Id"] for name in names}
    state = {"round": 0}

    def listen() -> None:
        for event in box.api.events(decode=True, filters={"event": ["die"], "type": "container"}):
            now = time.time()
            name = event["Actor"]["Attributes"].get("name", "")
            if name in ids and state["round"] >= 0:
                key = (name, state["round"])
                times.died[key] = event["timeNano"] / 1e9
                times.known["listener"][key] = now

    def poll() -> None:
        while state["round"] >= 0:
            for found in box.poll_api.containers(all=True, filters={"name": "resurgam-bench-"}):
                name = found["Names"][0].lstrip("/")
                key = (name, state["round"])
                if found["State"] == "exited" and key not in times.known["poller"]:
                    times.known["poller"][key] = time.time()
            time.sleep(5)

    async def subscribe(ready: asyncio.Event) -> None:
        async with aiomqtt.Client(str(box.broker_socket), **box.listener) as client:
            await client.subscribe("resurgam/+/event/alert", qos=1)
            ready.set()
            async for message in client.messages:
                now = time.time()
                event = json.loads(message.payload)
                if event["type"] == "resurgam.alert.firing" and event["data"]["labels"]["alertname"] == "Down":
                    times.known["alert"].setdefault((event["data"]["labels"]["name"], state["round"]), now)

    threads = [threading.Thread(target=work, daemon=True) for work in (listen, poll)]
    ready = asyncio.Event()
    subscriber = asyncio.create_task(subscribe(ready))
    try:
        await asyncio.wait_for(ready.wait(), 20)
        for thread in threads:
            thread.start()
        for number in range(deaths):
            state["round"] = number
            await one_round(box, times, names, number)
        return times
    finally:
        state["round"] = -1
        subscriber.cancel()
        await asyncio.to_thread(box.clear)


async def one_round(box: Box, times: Times, names: list[str], number: int) -> None:
    """Kill each once, a little apart; wait until all three have seen all; start them again."""
    for name in names:
        await asyncio.to_thread(box.api.kill, name)
        await asyncio.sleep(0.05)
    wanted = {(name, number) for name in names}
    for _ in range(300):
        if all(wanted <= set(known) for known in times.known.values()):
            break
        await asyncio.sleep(0.05)
    for name in names:
        await asyncio.to_thread(box.api.start, name)
    await asyncio.sleep(1.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--deaths", type=int, default=10)
    arguments = parser.parse_args()
    times = asyncio.run(measure(arguments.services, arguments.deaths))
    print(f"{arguments.services} services x {arguments.deaths} deaths: engine `die` stamp -> known, milliseconds")
    print(f"{'':18}{'seen':>6}{'p50':>9}{'p99':>9}")
    for who in ("listener", "alert", "poller"):
        delays = times.delays(who)
        print(f"{who:18}{len(delays):>6}{statistics.median(delays):>9.1f}{percentile(delays, 0.99):>9.1f}")
    both = [
        (times.known["alert"][key] - times.known["listener"][key]) * 1000
        for key in sorted(times.known["alert"])
        if key in times.known["listener"]
    ]
    both.sort()
    above = f"p50 {statistics.median(both):.1f} ms, p99 {percentile(both, 0.99):.1f} ms"
    print(f"alert above the bare listener, death by death: {above}")
    ratio = statistics.median(times.delays("poller")) / statistics.median(times.delays("alert"))
    print(f"poller / alert at p50: {ratio:.0f}x")


if __name__ == "__main__":
    main()
