"""The image that a rollback goes to."""

from supervisor.facts import Container
from supervisor.journal.ledger import Ledger
from supervisor.services import ROLE_LABEL, temp_name
from supervisor.services.snapshot import previous_image

NOW = Container("c", "oracle", "v3", "oracle:1", created_at=30.0)


def spare(image, at, name="oracle"):
    labels = {ROLE_LABEL: "spare"}
    return Container(f"s{at}", temp_name(name, "spare", "a1"), image, image, labels=labels, created_at=at)


def ledger(*proved, bad=()):
    made = Ledger()
    for at, image in enumerate(proved):
        made.prove("oracle", image, "oracle:1", float(at))
    for image in bad:
        made.quarantine("oracle", image, "it failed", 100.0)
    return made


def test_it_is_the_newest_proved_one_that_does_not_run():
    assert previous_image(ledger("v1", "v2", "v3"), "oracle", NOW, ()) == "v2"


def test_a_quarantined_one_is_passed_over():
    assert previous_image(ledger("v1", "v2", "v3", bad=("v2",)), "oracle", NOW, ()) == "v1"


def test_without_a_proof_it_is_the_newest_spare_of_this_service():
    mates = (NOW, spare("v1", 10.0), spare("v2", 20.0), spare("other", 25.0, name="qwen"))
    assert previous_image(ledger("v3"), "oracle", NOW, mates) == "v2"
    assert previous_image(ledger("v3", bad=("v2",)), "oracle", NOW, mates) == "v1"


def test_there_may_be_none():
    assert previous_image(ledger("v3"), "oracle", NOW, (spare("v3", 1.0),)) == ""
    assert previous_image(ledger("v1"), "oracle", None, ()) == ""
