"""The ledger: last known good is the newest proved image that did not fail since."""

import pytest

from supervisor.journal.ledger import KEEP_BAD, Bad, Ledger, Proof
from tests.support.journals import open_journal, put


def test_the_newest_proof_wins_and_five_are_kept() -> None:
    ledger = Ledger()
    assert ledger.last_known_good("ai.oracle") == ""
    for n in range(1, 8):
        ledger.prove("ai.oracle", f"sha256:{n}", "oracle:1", float(n))
    assert ledger.last_known_good("ai.oracle") == "sha256:7"
    assert [proof.image for proof in ledger.proofs("ai.oracle")] == [f"sha256:{n}" for n in (7, 6, 5, 4, 3)]
    ledger.prove("ai.oracle", "sha256:5", "oracle:1", 9.0)
    assert ledger.proofs("ai.oracle")[0] == Proof("sha256:5", "oracle:1", 9.0)
    assert len(ledger.proofs("ai.oracle")) == 5
    assert ledger.last_known_good("other") == ""


def test_a_quarantined_image_is_not_gone_back_to() -> None:
    ledger = Ledger()
    ledger.prove("a", "good", "r", 1.0)
    ledger.prove("a", "bad", "r", 2.0)
    ledger.quarantine("a", "bad", "exit 139 three times", 3.0)
    assert ledger.last_known_good("a") == "good"
    assert ledger.why_bad("a", "bad") == "exit 139 three times"
    assert ledger.why_bad("b", "bad") == "", "only for the service it failed for"
    ledger.quarantine("a", "good", "", 4.0)
    assert ledger.last_known_good("a") == ""


def test_a_new_proof_takes_an_image_out_of_quarantine() -> None:
    ledger = Ledger()
    ledger.quarantine("a", "x", "died", 1.0)
    assert ledger.prove("a", "x", "r", 2.0) == (
        ("proved", "a", {"images": [{"image": "x", "ref": "r", "at": 2.0}]}),
        ("quarantine", "a", None),
    )
    assert ledger.last_known_good("a") == "x"


def test_a_person_may_forgive() -> None:
    ledger = Ledger()
    ledger.quarantine("a", "x", "died", 1.0)
    ledger.quarantine("a", "y", "died", 2.0)
    assert ledger.forget("a", "x") == (("quarantine", "a", {"images": [{"image": "y", "why": "died", "at": 2.0}]}),)
    assert ledger.forget("a", "x") == ()


def test_what_it_says_to_put_is_what_it_starts_from() -> None:
    ledger, journal = Ledger(), open_journal()
    puts = ledger.prove("a", "x", "r", 1.0) + ledger.prove("a", "y", "r", 2.0) + ledger.quarantine("a", "y", "w", 3.0)
    for space, key, value in puts:
        put(journal, space, key, value)
    again = Ledger(journal.space("proved"), journal.space("quarantine"))
    assert again.proofs("a") == ledger.proofs("a") == (Proof("y", "r", 2.0), Proof("x", "r", 1.0))
    assert again.bad("a") == (Bad("y", "w", 3.0),)
    assert again.last_known_good("a") == "x"


def test_nothing_is_proved_or_failed_without_an_image() -> None:
    ledger = Ledger()
    assert ledger.prove("a", "", "r", 1.0) == ledger.quarantine("a", "", "w", 1.0) == ()


def test_the_quarantine_is_bounded() -> None:
    ledger = Ledger()
    for n in range(KEEP_BAD + 10):
        ledger.quarantine("a", f"i{n}", "w\n" * 1000, float(n))
    assert len(ledger.bad("a")) == KEEP_BAD
    assert ledger.bad("a")[0].image == f"i{KEEP_BAD + 9}"
    assert len(ledger.bad("a")[0].why) <= 512


@pytest.mark.parametrize(
    "value", [{}, {"images": 5}, {"images": [5, {"image": 7}, {"ref": "x"}, {"image": ""}]}, [], None]
)
def test_values_that_cannot_be_read_count_as_absent(value: object) -> None:
    ledger = Ledger({"a": value}, {"a": value})  # type: ignore[dict-item]
    assert (ledger.proofs("a"), ledger.bad("a"), ledger.last_known_good("a")) == ((), (), "")
