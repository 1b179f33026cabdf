"""TLS to a real mosquitto, with certificates made by openssl: what works, and what is wrong in one sentence each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from supervisor.bus.link.address import Address
from supervisor.bus.link.mqtt import Door
from supervisor.errors import BrokerError
from tests.support.certificates import Authority, Pair
from tests.support.foreign import foreign

pytestmark = pytest.mark.real


@dataclass(frozen=True, slots=True)
class Place:
    """Authorities, certificates of ours, and the ports of brokers."""

    folder: Path
    ca: str
    other_ca: str
    ours: Pair
    strange: Pair
    ports: dict[str, int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("tls")
    ca, other = Authority(folder, "ca"), Authority(folder, "other-ca")
    here = ("DNS:localhost", "IP:127.0.0.1")
    servers = {
        "good": ca.sign("good", *here),
        "expired": ca.sign("expired", *here, days=-1),
        "named otherwise": ca.sign("named-otherwise", "DNS:broker.lan"),
    }
    servers["wants ours"] = servers["good"]

    def lines(name: str) -> tuple[str, ...]:
        pair = servers[name]
        wants = "true" if name == "wants ours" else "false"
        more = (
            ("use_identity_as_username true", "allow_anonymous false") if wants == "true" else ("allow_anonymous true",)
        )
        files = (f"cafile {ca.cert}", f"certfile {pair.cert}", f"keyfile {pair.key}")
        return (*files, f"require_certificate {wants}", *more)

    with (
        foreign(folder / "a", *lines("good")) as good,
        foreign(folder / "b", *lines("expired")) as expired,
        foreign(folder / "c", *lines("named otherwise")) as named,
        foreign(folder / "d", *lines("wants ours")) as wants,
    ):
        ports = {"good": good, "expired": expired, "named otherwise": named, "wants ours": wants}
        yield Place(folder, ca.cert, other.cert, ca.sign("ours"), other.sign("strange"), ports)


async def said(address: Address) -> str:
    """'' where a message was acknowledged, else the sentence."""
    broker = Door(address, "tls-test", None, connect_limit=5.0)()
    try:
        await broker.connect()
        await broker.publish("resurgam/box/x", b"1", 1, False, 0.0)
    except BrokerError as err:
        return str(err)
    finally:
        await broker.close()
    return ""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_broker_whose_authority_we_know_is_used(host: str, place: Place) -> None:
    assert await said(Address("tls", host, place.ports["good"], ca_file=place.ca)) == ""


async def test_our_certificate_lets_us_in_with_its_key_apart_or_in_one_file(place: Place) -> None:
    where = place.ports["wants ours"]
    assert await said(Address("tls", "localhost", where, "", "", place.ca, place.ours.cert, place.ours.key)) == ""
    both = place.folder / "both.pem"
    both.write_text(Path(place.ours.cert).read_text() + Path(place.ours.key).read_text())
    assert await said(Address("tls", "localhost", where, ca_file=place.ca, cert_file=str(both))) == ""


@pytest.mark.parametrize(
    ("broker", "files", "words"),
    [
        ("good", {"ca_file": ""}, "signed by an authority that this machine does not know; set mqtt.ca_file"),
        ("good", {"ca_file": "other_ca"}, "not signed by the authority in mqtt.ca_file"),
        ("expired", {}, "has expired; renew it on the broker"),
        ("named otherwise", {}, "is for another name; write in mqtt.url the name"),
        ("wants ours", {}, "wants a certificate of ours; set mqtt.cert_file and mqtt.key_file"),
        ("wants ours", {"cert_file": "strange", "key_file": "strange"}, "does not accept our certificate"),
        ("wants ours", {"cert_file": "ours", "key_file": "strange"}, "the key belongs to another certificate"),
        ("good", {"ca_file": "nowhere"}, "cannot be used: No such file"),
    ],
)
async def test_what_is_wrong_is_one_sentence(broker: str, files: dict[str, str], words: str, place: Place) -> None:
    def file(key: str, name: str) -> str:
        if name in ("ours", "strange"):
            pair: Pair = getattr(place, name)
            return pair.cert if key == "cert_file" else pair.key
        return {"": "", "other_ca": place.other_ca, "nowhere": "/nowhere/ca.pem"}[name]

    given = {"ca_file": place.ca} | {key: file(key, name) for key, name in files.items()}
    text = await said(Address("tls", "localhost", place.ports[broker], **given))
    assert words in text
    assert "\n" not in text


async def test_a_key_with_a_password_asks_nobody_for_it(place: Place) -> None:
    locked = Authority(place.folder / "locked").sign("locked", password="secret")
    text = await said(Address("tls", "localhost", place.ports["good"], "", "", place.ca, locked.cert, locked.key))
    assert "is encrypted; decrypt it" in text


async def test_a_broker_without_tls_is_said_so(place: Place, tmp_path: Path) -> None:
    with foreign(tmp_path, "allow_anonymous true") as port:
        assert "does not speak TLS" in await said(Address("tls", "localhost", port, ca_file=place.ca))
