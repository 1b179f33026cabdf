"""How what others serve over HTTP is reached: the address that was declared, held against its container; and why there
was no answer.

From: probes/ and scrapes/, which ask, with the client of http.py. To: their servers.
"""

import errno
import os
import ssl

import aiohttp

PORTS = {"http": 80, "https": 443}
"""where nothing else is said"""
LONGEST = 2048
"""characters of an address"""
_LOCAL = ("localhost", "127.0.0.1", "::1")


def elsewhere(host: str, address: str) -> bool:
    """Whether a declared host is another one than the container itself. `address`: the one the engine gave it."""
    return bool(host) and host != address and not (host in _LOCAL and address in _LOCAL)


def netloc(host: str, port: int) -> str:
    """`host:port`, with the brackets IPv6 wants."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def failed(err: aiohttp.ClientError | OSError | ValueError, address: str) -> tuple[str, bool]:
    """Why there was no answer, as the end of a sentence; and whether that says nothing of the server: it was not
    reached at all, or is not who it should be. (A certificate that is not trusted is a ValueError, too.)"""
    where = address.partition("://")[2].partition("/")[0]
    if isinstance(err, aiohttp.ClientConnectorDNSError):
        return f"the name of {where} does not resolve: {err.os_error}", True
    if isinstance(err, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return f"the certificate of {where} is not trusted here: {_untrusted(err)}", True
    if isinstance(err, aiohttp.InvalidURL | ValueError):
        return f"{address[:200]!r} is not an address: {err}", True
    if isinstance(err, aiohttp.ClientConnectorError):
        if err.os_error.errno == errno.ECONNREFUSED:
            return f"nothing listens on {where}", False
        why = os.strerror(err.os_error.errno) if err.os_error.errno else str(err.os_error)
        return f"no connection to {where}: {why}", False  # aiohttp's own words say the address twice
    return str(err) or type(err).__name__, False


def _untrusted(err: aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError) -> str:
    inner = err.certificate_error if isinstance(err, aiohttp.ClientConnectorCertificateError) else err
    return getattr(inner, "verify_message", "") or str(inner)
