"""What goes wrong between us and an engine becomes one of our own errors, with a sentence for a person."""

import docker.errors
import pytest
import requests
import urllib3

from supervisor.engines.docker.link import Link, why
from supervisor.errors import Conflict, EngineError, EngineGone, EngineTimeout, NotFound


def refusal(status: int, sentence: str) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("x", response=response, explanation=sentence)


def raises(error: BaseException):
    def work():
        raise error

    return work


READ_TIMEOUT = requests.exceptions.ReadTimeout("Read timed out. (read timeout=5)")
BODY_TIMEOUT = requests.exceptions.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "/x", "Read timed out."))
RESET = requests.exceptions.ConnectionError(
    urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by peer"))
)


@pytest.mark.parametrize(
    ("error", "ours", "status", "says"),
    [
        (refusal(404, "No such container: x"), NotFound, 404, "No such container: x"),
        (refusal(409, "name is taken"), Conflict, 409, "name is taken"),
        (refusal(500, "no space left"), EngineError, 500, "no space left"),
        (READ_TIMEOUT, EngineTimeout, 0, "did not answer start within 5 s"),
        (BODY_TIMEOUT, EngineTimeout, 0, "what it did is not known"),
        (TimeoutError("timed out"), EngineTimeout, 0, "not known"),
        (requests.exceptions.ConnectTimeout("slow"), EngineGone, 0, "does not answer start"),
        (RESET, EngineGone, 0, "reset by peer"),
        (ConnectionRefusedError(111, "Connection refused"), EngineGone, 0, "Connection refused"),
        (docker.errors.DockerException("odd"), EngineGone, 0, "odd"),
        (ValueError("not JSON"), EngineError, 0, "makes no sense"),
        (KeyError("Id"), EngineError, 0, "makes no sense"),
    ],
)
def test_every_error_is_one_of_ours(error, ours, status, says):
    with pytest.raises(EngineError) as caught:
        Link(None, {}).guard("start", raises(error), 5.0)
    assert type(caught.value) is ours
    assert caught.value.status == status
    assert says in str(caught.value)


async def test_a_socket_that_is_not_there_is_named(tmp_path):
    link = Link(f"unix://{tmp_path}/none.sock", {})
    with pytest.raises(EngineGone, match=r"none\.sock \(docker\.endpoint\): No such file"):
        await link.run("list", lambda client: client.containers(), 5.0)
    assert link.life() == ""
    link.close()


def test_a_socket_we_may_not_open_says_what_to_do():
    wrapped = docker.errors.DockerException(
        requests.exceptions.ConnectionError("Connection aborted.", PermissionError(13, "Permission denied"))
    )
    assert why(wrapped).startswith("Permission denied. Run Resurgam as root")


def test_a_version_not_known_yet_is_none():
    assert not Link(None, {}).api_at_least("1.12")


def test_an_engine_that_came_back_as_another_version_is_asked_again():
    link = Link(None, {})
    link._version = "1.52"
    refused = refusal(400, "client version 1.52 is too new. Maximum supported API version is 1.41")
    with pytest.raises(EngineGone, match="another version"):
        link.guard("start", raises(refused), 5.0)
    assert link.api == ""
    with pytest.raises(EngineError) as caught:
        link.guard("start", raises(refusal(400, "invalid mount config")), 5.0)
    assert type(caught.value) is EngineError
