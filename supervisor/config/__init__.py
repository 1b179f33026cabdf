"""Configuration: `resurgam.yaml` and labels in, frozen settings and needs out; every mistake with its place.

`yaml.py` reads documents, `sentences.py` words mistakes, `fields.py` checks single values, `settings.py` has the
models, `trust.py` and `files.py` the files, `needs.py` the labels.
"""

from supervisor.config.files import doubtful, find, load, read, read_secret, read_secret_lines
from supervisor.config.needs import needs_from
from supervisor.config.settings import NotifySettings, ServiceSettings, Settings, waits_for_start

__all__ = [
    "NotifySettings",
    "ServiceSettings",
    "Settings",
    "doubtful",
    "find",
    "load",
    "needs_from",
    "read",
    "read_secret",
    "read_secret_lines",
    "waits_for_start",
]
