"""A person takes an incident on, and everybody sees who."""

from tests.support.words import Words, told


def test_an_incident_is_taken_on_once_by_its_id_or_its_service() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        ok, _, text = await words.says("ack", "oracle", reason="looking at it")
        assert (ok, text) == (True, "uid:0 took on inc-1 (oracle: Tight): looking at it.")
        (incident,) = words.life.core.snapshot.incidents
        assert incident.acked.startswith("uid:0 at 20")
        assert incident.acked.endswith(": looking at it")
        (row,) = words.rows("action.acked")
        assert (row.subject, row.body["incident"], row.body["by"]) == ("oracle", "inc-1", "uid:0")
        ok, _, text = await words.says("ack", "inc-1")
        assert ok
        assert "was taken on already: uid:0 at" in text
        assert len(words.rows("action.acked")) == 1
        await words.restart()
        assert words.life.core.snapshot.incidents[0].acked == incident.acked

    told(story, "")


def test_what_is_not_open_cannot_be_taken_on() -> None:
    async def story(words: Words) -> None:
        assert await words.says("ack", "oracle") == (
            False,
            "no_target",
            "No incident 'oracle' is open; open are: none.",
        )
        await words.fire()
        assert (await words.says("ack", "inc-7"))[2] == "No incident 'inc-7' is open; open are: inc-1 (oracle)."

    told(story, "")
