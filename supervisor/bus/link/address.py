"""Where a broker is and how to talk to it: what `mqtt:` in the settings, or the managed broker, comes down to.

In: a URL that `config` has checked. Out: an `Address` for `mqtt.py`. It holds the name of the password's file,
never the password.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

PORT, TLS_PORT = 1883, 8883


@dataclass(frozen=True, slots=True)
class Address:
    """One broker. `transport` is tcp, tls or unix; `host` is the socket's path for unix."""

    transport: str
    host: str
    port: int = 0
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    """our own certificate, with tls"""
    key_file: str = ""
    """its key; empty: in the same file"""

    def __str__(self) -> str:
        """As people write it, without user or password."""
        if self.transport == "unix":
            return f"unix://{self.host}"
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.transport == 'tls' else 'mqtt'}://{name}:{self.port}"


def parse(
    url: str, username: str = "", password_file: str = "", ca_file: str = "", cert_file: str = "", key_file: str = ""
) -> Address:
    """The address behind `mqtt://host[:port]`, `mqtts://host[:port]` or `unix:///path`; ValueError otherwise."""
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path:
        return Address("unix", parts.path, 0, username, password_file)
    if parts.scheme == "mqtt" and parts.hostname:
        return Address("tcp", parts.hostname, parts.port or PORT, username, password_file)
    if parts.scheme == "mqtts" and parts.hostname:
        port = parts.port or TLS_PORT
        return Address("tls", parts.hostname, port, username, password_file, ca_file, cert_file, key_file)
    raise ValueError(f"{url!r} is not a broker; write mqtt://host:1883, mqtts://host:8883 or unix:///path/to/socket")
