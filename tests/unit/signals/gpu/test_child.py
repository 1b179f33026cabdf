"""What the child process makes of a driver, seen from inside it. The cards are a recorded one, and what differs."""

import io
import json
import os
import sys

import pytest

from supervisor.signals.gpu import child
from tests.support.nvml.recorded import BUS, UUID, Card, NVMLError, Recorded

LOST, RESET = NVMLError(15), NVMLError(16)
COMPUTE, GRAPHICS = "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """A driver on these cards; or what is wrong with it."""
    monkeypatch.setattr(child, "_MODULE", str(tmp_path / "version"))  # no kernel module is loaded

    def opens(library):
        monkeypatch.setitem(sys.modules, "pynvml", library)
        driver, wrong = child.start()
        return driver or wrong

    return opens


def user(pid, used):
    return {"pid": pid, "usedGpuMemory": used}


def test_every_gpu_with_what_is_free_and_who_uses_it(opened):
    first, second = opened(Recorded(Card("busy"), Card())).snapshot("usage")["gpus"]
    assert (first["index"], first["uuid"], first["bus"], first["error"]) == (0, UUID, BUS, "")
    assert (first["total"], first["free"], first["reserved"]) == (150754820096, 131186884608, 644939776)
    assert first["users"] == [(4711, 17723031552), (4712, 1184890880)]
    assert (second["index"], second["free"], second["users"]) == (1, 150109880320, [])
    assert first["values"] == {}, "nothing else is asked while a service waits"


def test_a_process_in_both_lists_counts_once_and_one_without_a_size_is_there(opened):
    card = Card(told={COMPUTE: [user(4711, 60), user(12, None)], GRAPHICS: [user(4711, 60)]})
    assert opened(Recorded(card)).snapshot("usage")["gpus"][0]["users"] == [(12, 0), (4711, 60)]


def test_one_lost_card_does_not_hide_the_others_and_keeps_its_name(opened):
    library = Recorded(Card(), Card())
    driver = opened(library)
    driver.snapshot("fast")
    library.cards[0] = Card(told={"nvmlDeviceGetHandleByIndex": LOST})
    first, second = driver.snapshot("fast")["gpus"]
    assert (first["error"], first["code"], first["uuid"], first["bus"]) == ("GPU is lost", 15, UUID, BUS)
    assert first["values"] == {}
    assert (second["error"], second["values"]["temperature"]) == ("", 38)


def test_what_a_card_computes_by_is_told_and_asked_once(opened):
    library = Recorded(Card(), Card(told={"nvmlDeviceGetCudaComputeCapability": NVMLError(3)}))
    driver = opened(library)
    for _ in range(2):
        assert [card["compute"] for card in driver.snapshot("slow")["gpus"]] == ["9.0", ""]
    assert library.calls.count("nvmlDeviceGetCudaComputeCapability") == 2


def test_one_that_was_lost_from_the_start_has_no_name(opened):
    first = opened(Recorded(Card(told={"nvmlDeviceGetUUID": LOST}))).snapshot("fast")["gpus"][0]
    assert (first["uuid"], first["code"]) == ("", 15)


@pytest.mark.parametrize("error", [LOST, RESET], ids=["lost", "reset required"])
def test_what_concerns_the_whole_card_is_its_error_though_one_call_told_it(opened, error):
    card = opened(Recorded(Card(told={"nvmlDeviceGetPowerUsage": error}))).snapshot("fast")["gpus"][0]
    assert (card["code"], card["total"], card["values"]) == (error.value, 0, {})


def test_a_call_that_fails_once_is_left_out_once(opened):
    library = Recorded(Card(told={"nvmlDeviceGetPowerUsage": NVMLError(999)}))
    driver = opened(library)
    assert "power" not in driver.snapshot("fast")["gpus"][0]["values"]
    library.cards[0] = Card()
    assert driver.snapshot("fast")["gpus"][0]["values"]["power"] == 128529


def test_what_a_card_does_not_know_is_asked_once_per_card(opened):
    fields = ("field 230", "field 82")
    library = Recorded(Card(told={"nvmlDeviceGetPersistenceMode": NVMLError(3)}), Card())
    library.cards[0]._fields[230] = {"error": [3, "NOT_SUPPORTED"]}
    driver = opened(library)
    values = [card["values"] for card in driver.snapshot("slow")["gpus"]]
    assert ["persistence" in each for each in values] == [False, True]
    assert ["230" in each for each in values] == [False, True]
    library.calls.clear()
    driver.snapshot("slow")
    assert library.calls.count("nvmlDeviceGetPersistenceMode") == 1
    assert [library.calls.count(field) for field in fields] == [1, 2]


def test_an_older_library_without_a_call_is_asked_the_one_before(opened):
    values = opened(Recorded()).snapshot("fast")["gpus"][0]["values"]
    assert values["temperature"] == 38, "the newer call for it was not there when the card was recorded"


def test_a_fast_look_asks_less_but_the_first_one(opened):
    library = Recorded()
    driver = opened(library)
    first = driver.snapshot("fast")["gpus"][0]["values"]
    assert {"link_gen", "persistence", "3", "145"} <= set(first)
    library.calls.clear()
    fast = driver.snapshot("fast")["gpus"][0]["values"]
    assert set(fast) == {
        *("load", "memory_load", "temperature", "margin", "power", "sm_clock", "memory_clock", "reasons", "pstate"),
        *("230", "82", "194", "slowdown"),
    }, "the limits do not change: they are told, and not asked"
    asked = {"nvmlDeviceGetTemperatureThreshold", "field 194", "nvmlDeviceGetUUID", GRAPHICS} & set(library.calls)
    assert asked == set()


def test_what_is_dear_is_never_asked(opened):
    library = Recorded()
    driver = opened(library)
    for depth in ("usage", "fast", "slow", "rare"):
        driver.snapshot(depth)
    asked = " ".join(library.calls)
    assert not [word for word in ("PcieThroughput", "Inforom", "Energy", "field 83", "field 197") if word in asked]


def test_who_draws_is_remembered_in_between_while_it_lives(opened):
    alive = os.getpid()
    library = Recorded(Card(told={GRAPHICS: [user(alive, 5), user(2**22 + 1, 6)]}))
    driver = opened(library)
    assert len(driver.snapshot("slow")["gpus"][0]["users"]) == 2
    assert driver.snapshot("fast")["gpus"][0]["users"] == [(alive, 5)]


def test_a_card_without_memory_of_its_own_tells_the_rest(opened):
    none = NVMLError(3)
    card = Card(told={"nvmlDeviceGetMemoryInfo(v2)": none, "nvmlDeviceGetMemoryInfo(v1)": none})
    driver = opened(Recorded(card))
    shared = driver.snapshot("fast")["gpus"][0]
    assert (shared["error"], shared["total"], shared["values"]["temperature"]) == ("", 0, 38)
    assert driver.snapshot("usage")["gpus"][0]["error"] == "Not Supported", "so that nobody waits for it"


def test_names_and_versions_are_asked_anew_by_a_rare_look_only(opened):
    library = Recorded()
    driver = opened(library)
    driver.snapshot("slow")
    library.cards[0] = Card(told={"nvmlDeviceGetUUID": "GPU-new"})
    assert driver.snapshot("slow")["gpus"][0]["uuid"] == UUID
    found = driver.snapshot("rare")
    assert (found["gpus"][0]["uuid"], found["driver"], found["library"]) == ("GPU-new", "580.159.04", "13.580.159.04")


@pytest.mark.parametrize(
    ("code", "trouble"), [(9, "no_driver"), (12, "no_driver"), (18, "mismatch"), (4, "refused"), (999, "error")]
)
def test_a_driver_that_cannot_be_opened_is_a_trouble(opened, code, trouble):
    assert opened(Recorded(told={"nvmlInit": NVMLError(code)}))["trouble"] == trouble


def test_a_driver_that_went_away_is_a_trouble(opened):
    driver = opened(Recorded(told={"nvmlDeviceGetCount": NVMLError(1)}))
    assert driver.snapshot("fast") == {"trouble": "error", "text": "Unknown Error 1"}


def test_without_the_library_it_says_so(opened):
    assert opened(None)["trouble"] == "no_library"


def test_answers_carry_the_number_of_their_question_and_the_driver_is_let_go_of(monkeypatch):
    library = Recorded()
    assert [each["n"] for each in asked(library, "3 usage\n4 snapshot slow\n", monkeypatch)] == [3, 4]
    assert library.calls[-1] == "nvmlShutdown"


@pytest.mark.parametrize(
    ("told", "trouble"), [({"nvmlInit": NVMLError(18)}, "mismatch"), ({"nvmlDeviceGetCount": 0}, "no_gpu")]
)
def test_after_a_trouble_of_the_whole_driver_it_ends(monkeypatch, told, trouble):
    said = asked(Recorded(told=told), "1 usage\n2 usage\n", monkeypatch)
    assert [(each["n"], each["trouble"]) for each in said] == [(1, trouble)], "such a process cannot heal"


def test_where_no_card_tells_events_it_says_why(monkeypatch):
    (said,) = asked(Recorded(), "1 events on\n", monkeypatch)  # a library without that call
    assert (said["events"], "nvmlEventSetCreate" in said["text"]) == (False, True)


def asked(library, questions, monkeypatch):
    """What the child answers."""
    monkeypatch.setitem(sys.modules, "pynvml", library)
    out = io.StringIO()
    child.Child(out).run(io.StringIO(questions))
    return [json.loads(line) for line in out.getvalue().splitlines()]
