"""Which compose service a command's document means for one of our services, and a command that is asked about whole."""

from typing import Any

import pytest

from supervisor.core import documents
from supervisor.facts import Command, Container, Intent, Json, Service
from supervisor.verdicts import Reason, Verdict, yes

WEB: Json = {"service": "web", "image": "i:2"}


def command(document: Json, **more: Any) -> Command:
    return Command(
        1.0, 1.0, "phoenix", "box", {"image": "last-known-good"}, "uid:0", "socket", document=document, **more
    )


def service(composed: bool = True) -> Service:
    labels = {"com.docker.compose.service": "web"} if composed else {}
    return Service("box.web", "docker", Container("c", "box_web_1", "i", "i:1", labels), yes(), project="box")


def test_a_command_without_a_document_is_left_as_it_is() -> None:
    assert documents.documented(command({}), service(False), {"image": "x"}) == ({"image": "x"}, {})


def test_the_file_names_the_image_and_without_one_the_present_one_stays() -> None:
    made = documents.documented(command({"web": WEB}), service(), {"image": "x", "within": "5m"})
    assert made == ({"image": "i:2", "within": "5m"}, WEB)
    built = {"service": "web", "built": True}
    made = documents.documented(command({"web": built}), service(), {})
    assert made == ({"image": "current"}, built)


@pytest.mark.parametrize(
    ("document", "composed", "reason"),
    [
        ({"api": WEB}, True, Reason.NO_TARGET),
        ({"web": "text"}, True, Reason.NO_TARGET),
        ({"web": WEB}, False, Reason.UNSUPPORTED),
        ({"web": {**WEB, "project": "other"}}, True, Reason.BAD_PARAMETER),
    ],
)
def test_what_does_not_fit_is_refused(document: Json, composed: bool, reason: Reason) -> None:
    made = documents.documented(command(document), service(composed), {})
    assert isinstance(made, Verdict)
    assert made.reason is reason


def test_a_question_about_a_whole_command_gives_that_command_back_with_the_yes() -> None:
    asked = command({"web": WEB}, widens="box.web: more", override="urgent")
    intent, why = documents.widening(asked, {"image": "last-known-good", "within": "5m"})
    assert why.reason is Reason.NEEDS_APPROVAL
    assert "box.web: more" in why.text
    assert documents.asked_as_a_whole(intent)
    again = documents.again(intent, "uid:7", 5.0, 6.0)
    assert (again.approved, again.principal, again.target, again.override) == ("uid:7", "uid:0", "box", "urgent")
    assert (again.document, again.widens, dict(again.params)) == ({"web": WEB}, "", {"within": "5m"})


def test_a_question_about_one_service_is_not_one_about_a_whole_command() -> None:
    assert not documents.asked_as_a_whole(Intent("phoenix", "box.web", {}, "", "uid:0", document=WEB))
    assert not documents.asked_as_a_whole(Intent("phoenix", "box.web", {}, "", "uid:0"))
    assert documents.asked_as_a_whole(Intent("phoenix", "box", {}, "", "uid:0", document={"service": WEB}))


def test_the_words_of_a_question_go_with_the_service_they_name_and_nobody_else_can_put_them_there() -> None:
    forged = {**WEB, "agreed": "box.web: everything"}
    made = documents.documented(command({"web": forged}), service(), {})
    assert not isinstance(made, Verdict)
    assert "agreed" not in made[1]
    for words, there in (("ap-1: box.web: more", True), ("ap-1: box.db: more", False)):
        made = documents.documented(command({"web": forged}, approved="uid:0", widens=words), service(), {})
        assert not isinstance(made, Verdict)
        assert made[1].get("agreed") == (words if there else None)
