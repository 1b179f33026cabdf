"""The notifiers of `notify:`, made from the settings. Used by bus/telling.py."""

from collections.abc import Callable, Sequence

from supervisor.bus.notify import apprise
from supervisor.bus.notify.alertmanager import Outlet
from supervisor.bus.notify.apprise import AppriseSender
from supervisor.bus.notify.notifier import Notifier
from supervisor.bus.notify.sending import Sender
from supervisor.bus.notify.template import Wording
from supervisor.bus.notify.webhook import WebhookSender
from supervisor.clock import Clock
from supervisor.config import read_secret_lines
from supervisor.config.settings import NotifySettings, Settings
from supervisor.config.telling import TemplateSettings
from supervisor.errors import ConfigError
from supervisor.journal import JournalThread
from supervisor.rules.templates import TemplateError

Teller = Notifier | Outlet
MakeSender = Callable[[NotifySettings], Sender]


def make(
    settings: Settings, thread: JournalThread, clock: Clock, *, bus: bool, sender: MakeSender | None = None
) -> list[Teller]:
    """Everything under `notify:`, in its order. `bus`: anything is told over MQTT at all. `sender`: how messages leave
    where they are not to leave for real."""
    found: list[Teller] = []
    for number, entry in enumerate(settings.notify):
        if entry.alertmanager is not None:
            around = settings.external_url, settings.external_labels
            found.append(Outlet(number, entry, clock, settings.host, *around))
            continue
        before = [one for one in found if isinstance(one, Notifier)]
        leaves = sender(entry) if sender is not None else sender_of(entry, settings, thread.journal.epoch)
        trouble = _trouble(entry) if sender is None else ""
        found.append(Notifier(number, entry, thread, clock, leaves, before, bus=bus, trouble=trouble))
    return found


def _trouble(entry: NotifySettings) -> str:
    """Why this one would tell nobody, if that can be seen at the start."""
    if entry.apprise is None:
        return ""
    if apprise.missing():
        return f"nothing is told through Apprise: {apprise.INSTALL}"
    try:
        read_secret_lines(entry.apprise.url_file)
    except ConfigError as err:
        return f"nothing is told through Apprise: {err}"
    return ""


def sender_of(entry: NotifySettings, settings: Settings, epoch: str) -> Sender:
    """How messages leave for real."""
    if entry.webhook is not None:
        return WebhookSender(entry.webhook, settings.host, epoch, settings.external_url)
    assert entry.apprise is not None  # the settings see to it
    return AppriseSender(entry.apprise.url_file, _wording(entry.template, settings))


def names(tellers: Sequence[Teller]) -> dict[str, Teller]:
    """Each by how it is called in sentences: `notify phone`."""
    return {one.state.name.replace("/", " ", 1): one for one in tellers}


def _wording(template: TemplateSettings, settings: Settings) -> Wording:
    """Its words; ours where its templates cannot be read (which `run` refuses and `check` finds before)."""
    try:
        return Wording(template, settings.host, settings.external_url)
    except TemplateError:
        return Wording(TemplateSettings(), settings.host, settings.external_url)
