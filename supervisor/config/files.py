"""Finding and reading `resurgam.yaml`, and the files with secrets that it names.

Comes from the disk and the environment; goes, as frozen Settings, to `run` and `check`. Relative paths in the file
are taken from the folder the file is in.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from supervisor.config import trust
from supervisor.config.model import Model
from supervisor.config.reading import read_bytes, read_text
from supervisor.config.settings import Settings, default_state_dir
from supervisor.config.yaml import MAX_BYTES, Document, load_yaml, validate
from supervisor.errors import ConfigError, Mistake

NAME = "resurgam.yaml"
MOST_LINES = 64
"""secrets in one file"""
_NAMING = ("mqtt", "http", "notify", "commands", "scrape", "slots")
"""the settings that name other files, by keys `…_file`"""

Place = tuple[str | int, ...]
"""where in the document it is"""


def find(
    given: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    home: Path | None = None,
    etc: Path = Path("/etc/resurgam"),
) -> Path | None:
    """The configuration file: the one `given` (by `--config`), RESURGAM_CONFIG, `./`, the user's config folder,
    /etc/resurgam; None if there is none. ConfigError where RESURGAM_CONFIG names a file that does not exist.
    """
    if given:
        return Path(given)
    env = os.environ if env is None else env
    named = env.get("RESURGAM_CONFIG", "")
    here = Path.cwd() if cwd is None else cwd
    if named:
        path = here / named
        if not path.is_file():
            text = "RESURGAM_CONFIG names this file, which does not exist; correct or unset it"
            raise ConfigError([Mistake(str(path), 0, 0, text)])
        return path
    base = env.get("XDG_CONFIG_HOME", "")
    own = Path(base) if base.startswith("/") else (Path.home() if home is None else home) / ".config"
    for folder in (here, own / "resurgam", etc):
        if (folder / NAME).is_file():
            return folder / NAME
    return None


def load(
    path: Path | None = None,
    *,
    env: Mapping[str, str] | None = None,
    uid: int | None = None,
    check_trust: bool = True,
) -> Settings:
    """The settings in `path`; with None, the defaults.

    RESURGAM_STATE_DIR wins over the file's `state_dir`. `check_trust=False` reads a file that others may change too
    (for `check`, which reports that beside everything else). ConfigError carries every mistake.
    """
    env = os.environ if env is None else env
    uid = os.getuid() if uid is None else uid
    document = Document("", None)
    folder = Path.cwd()
    if path is not None:
        path = Path(os.path.abspath(path))
        folder = path.parent
        document = read(path, uid=uid, check_trust=check_trust)
    settings = validate(Settings, document)
    changes: dict[str, Any] = {}
    if env.get("RESURGAM_STATE_DIR") or not _given(document, "state_dir"):
        changes["state_dir"] = default_state_dir(env, uid)
    else:
        changes["state_dir"] = folder / settings.state_dir.expanduser()
    changes["rules"] = tuple(name if name == "shipped" else _absolute(folder, name) for name in settings.rules)
    changes |= {key: _with_paths(getattr(settings, key), folder) for key in _NAMING}
    return settings.model_copy(update=changes)


def read(path: Path, *, uid: int | None = None, check_trust: bool = True) -> Document:
    """The document in a configuration file that may be obeyed; ConfigError otherwise."""
    try:
        if check_trust:
            found = trust.problems(path, uid)
            if found:
                raise ConfigError([Mistake(str(path), 0, 0, text) for text in found])
        text = read_text(path, MAX_BYTES)
    except UnicodeDecodeError as err:
        line = err.object[: err.start].count(b"\n") + 1
        column = err.start - err.object.rfind(b"\n", 0, err.start)
        mistake = Mistake(str(path), line, column, "this is not UTF-8 text; save the file as UTF-8")
        raise ConfigError([mistake]) from None
    except OSError as err:
        raise ConfigError([Mistake(str(path), 0, 0, f"it cannot be read: {err.strerror or err}")]) from None
    return load_yaml(text, str(path))


def read_secret(file: str, env: Mapping[str, str] | None = None) -> str:
    """The secret in `file`, without its line end. A file of the same name in $CREDENTIALS_DIRECTORY (systemd's
    LoadCredential) goes first. ConfigError if it cannot be read, is empty, or everyone may read it."""
    path, secret = _secret(file, env)
    if not secret or len(secret) > 65_535 or "\n" in secret:
        raise ConfigError([Mistake(path, 0, 0, "a secret is one line of text; this file is not")])
    return secret


def read_secret_lines(file: str, env: Mapping[str, str] | None = None) -> tuple[tuple[int, str], ...]:
    """The secrets in `file`, one on a line, each with the number of its line; empty lines and those that begin with
    `#` are left out. Found and guarded as by `read_secret`; ConfigError too where there are none, or too many."""
    path, text = _secret(file, env)
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    found = tuple((number, line) for number, line in lines if line and not line.startswith("#"))
    if not found or len(found) > MOST_LINES or len(text) > 65_535:
        said = f"this file must have 1 to {MOST_LINES} lines of secrets; it has {len(found)}"
        raise ConfigError([Mistake(path, 0, 0, said)])
    return found


def _secret(file: str, env: Mapping[str, str] | None) -> tuple[str, str]:
    """(path, text) of a file with secrets."""
    env = os.environ if env is None else env
    path = Path(file)
    given = env.get("CREDENTIALS_DIRECTORY", "")
    if given and (Path(given) / path.name).is_file():
        path = Path(given) / path.name
    try:
        if path.stat().st_mode & 0o007:
            text = f"everyone can read this secret; run: chmod o-rwx {path}"
            raise ConfigError([Mistake(str(path), 0, 0, text)])
        return str(path), read_bytes(path, 65_536).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError([Mistake(str(path), 0, 0, "this secret is not UTF-8 text")]) from None
    except OSError as err:
        text = f"this secret cannot be read: {err.strerror or err}; write it there, for the daemon's user to read"
        raise ConfigError([Mistake(str(path), 0, 0, text)]) from None


def _given(document: Document, key: str) -> bool:
    return isinstance(document.data, dict) and key in document.data


def _absolute(folder: Path, name: str) -> str:
    return os.path.normpath(folder / Path(name).expanduser()) if name else ""


def doubtful(settings: Settings) -> list[tuple[Place, str]]:
    """(place, sentence) of each file that the settings name and that `run` could not use as it is. One that may not be
    looked into is left out: the daemon's user may."""
    return [found for key in _NAMING for found in _doubts((key,), getattr(settings, key))]


def _doubts(place: Place, value: Any) -> Iterator[tuple[Place, str]]:
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, tuple):
        inside = list(enumerate(value))
    elif isinstance(value, Mapping):
        inside = list(value.items())
    elif isinstance(value, Model):
        inside = [(key, getattr(value, key)) for key in type(value).model_fields]
    for key, one in inside:
        if not (isinstance(key, str) and key.endswith("_file")):
            yield from _doubts((*place, key), one)
        elif one and (said := _doubt(key, Path(one))):
            field = type(value).model_fields.get(key) if isinstance(value, Model) else None
            yield (*place, (field.alias if field is not None else None) or key), said


def _doubt(key: str, path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if key in ("ca_file", "cert_file"):
            return f"{path} does not exist; correct the path"
        return f"{path} does not exist; write it there with mode 600, or hand it over as a credential of that name"
    except OSError:
        return ""
    open_to_all = mode & 0o007 and key not in ("ca_file", "cert_file")
    return f"everyone can read this secret; run: chmod o-rwx {path}" if open_to_all else ""


def _with_paths(value: Any, folder: Path) -> Any:
    """The same settings with every key `…_file` in them, at whatever depth, as an absolute path."""
    if isinstance(value, tuple):
        return tuple(_with_paths(one, folder) for one in value)
    if isinstance(value, Mapping):
        return {key: _with_paths(one, folder) for key, one in value.items()}
    if not isinstance(value, Model):
        return value
    changes = {}
    for key in type(value).model_fields:
        found = getattr(value, key)
        changes[key] = _absolute(folder, found) if key.endswith("_file") else _with_paths(found, folder)
    return value.model_copy(update=changes)
