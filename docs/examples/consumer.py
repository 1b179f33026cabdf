"""python consumer.py BROKER PORT USER PASSWORD_FILE resurgam/BOX events.jsonl

Hears every event of one box: in order, each exactly once, whatever is killed in between, this program too. Each becomes
a line of the file, and the last line is the place from which this goes on. USER is a principal with the verb `replay`.
Never count: numbers are left out. An event names the one before it (`prior`), and what is missing is asked for.
"""

import asyncio, json, sys, uuid  # noqa: E401
import aiomqtt

BROKER, PORT, USER, PASSWORD_FILE, BASE, FILE = sys.argv[1:]


class Consumer:
    def __init__(self) -> None:
        self.file = open(FILE, "a", encoding="utf-8")
        kept = open(FILE, "rb").read().rpartition(b"\n")[0]  # a kill may have cut the last line off
        self.file.truncate(len(kept) + 1 if kept else 0)
        line = json.loads(kept.rpartition(b"\n")[2] or b'{"epoch": "", "seq": 0}')
        self.epoch, self.place, self.last = line["epoch"], line["seq"], 0  # the journal, what we have, what there is
        self.ahead, self.question, self.more = {}, "", False  # `ahead`: what came before its turn, by `prior`

    def heard(self, topic: str, payload: bytes) -> None:
        body = json.loads(payload)
        if topic.endswith("/journal"):
            if body["epoch"] != self.epoch:  # a new journal, whose numbers begin anew
                self.epoch, self.place, self.ahead = body["epoch"], 0, {}
            self.last = body["last"]
        elif body["id"] == self.question:  # a replay, or one part of it, is over
            self.more = bool(body["data"].get("next"))
        elif body.get("epoch") == self.epoch and body["seq"] > self.place:  # live or replayed, and no repeat
            self.ahead[body["prior"]] = body["seq"], payload
            while found := self.ahead.pop(self.place, None) or self.ahead.pop(0, None):  # 0: the journal begins here
                self.place = found[0]
                print(found[1].decode(), file=self.file, flush=True)

    async def watch(self, client: aiomqtt.Client) -> None:
        while True:
            before = self.place
            for _ in range(20):
                await asyncio.sleep(0 if self.more else 0.1)
            if self.more or (self.place == before and (self.ahead or self.last > self.place)):
                self.question, self.more, self.ahead = uuid.uuid4().hex, False, {}  # the replay brings those again
                question = json.dumps({"id": self.question, "params": {"after": str(self.place)}})
                await client.publish(f"{BASE}/cmd/{USER}/replay", question, qos=1)

    async def run(self) -> None:
        login = {"username": USER, "password": open(PASSWORD_FILE).read().strip(), "keepalive": 15}
        while True:
            try:
                async with aiomqtt.Client(BROKER, int(PORT), **login) as client, asyncio.TaskGroup() as beside:
                    await client.subscribe([(f"{BASE}/{at}", 1) for at in ("event/#", "journal", f"reply/{USER}/#")])
                    beside.create_task(self.watch(client))
                    async for message in client.messages:
                        self.heard(str(message.topic), message.payload)
            except* aiomqtt.MqttError:
                await asyncio.sleep(1)


asyncio.run(Consumer().run())
