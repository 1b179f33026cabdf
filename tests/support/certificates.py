"""A certificate authority and what it signs, made with openssl: for a broker that speaks TLS."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    cert: str
    key: str


class Authority:
    """One authority in a folder of its own."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder, self._name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self._pair = Pair(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-keyout", self._pair.key, "-out", self._pair.cert),
        )

    @property
    def cert(self) -> str:
        """What to trust."""
        return self._pair.cert

    def sign(self, name: str, *names: str, days: int = 2, password: str = "") -> Pair:
        """A certificate for these names (`DNS:localhost`, `IP:127.0.0.1`); a negative `days` has expired."""
        pair = Pair(str(self._folder / f"{name}.pem"), str(self._folder / f"{name}.key"))
        request, extra = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extra.write_text(f"subjectAltName={','.join(names or (f'DNS:{name}',))}\n")
        lock = ("-passout", f"pass:{password}") if password else ("-nodes",)
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *lock, "-subj", f"/CN={name}"),
            *("-keyout", pair.key, "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", self._pair.cert, "-CAkey", self._pair.key),
            *("-CAcreateserial", "-days", str(days), "-extfile", str(extra), "-out", pair.cert),
        )
        return pair


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
