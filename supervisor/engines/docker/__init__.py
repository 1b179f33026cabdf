"""Docker: the hands on containers (`DockerEngine`), and the one connection that signals share with them."""

from supervisor.engines.docker.engine import DockerEngine

__all__ = ["DockerEngine"]
