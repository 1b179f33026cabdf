"""The client for whatever others serve over HTTP: nobody leads it astray, and it says nothing of this machine.

From: who asks (probes, scrapes, model servers, the addresses of model files). To: their servers. No proxy, no cookie,
no credentials; what is packed is not unpacked; redirects are the caller's not to follow; a fresh connection for each
question. aiohttp bounds the size and number of headers.
"""

import aiohttp


def session(at_once: int = 0, piece: int = 65_536, accept: str = "*/*") -> aiohttp.ClientSession:
    """One for all questions of a room. `at_once`: connections at most, 0 for any number; `piece`: bytes read ahead."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=at_once, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "resurgam", "Accept-Encoding": "identity", "Accept": accept},
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=piece,
    )
