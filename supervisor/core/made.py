"""Every metric that is made here, by name.

From: the tables beside the code of each maker of samples. To: `resurgam check`, which holds rules against them, and the
edge, where what others offer under one of these names is left out.
"""

from supervisor.core import ourselves, profiles
from supervisor.gate import series as gate
from supervisor.gpu import dcgm as gpu_last
from supervisor.gpu import fault_series as gpu_faults
from supervisor.gpu import series as gpu_cards
from supervisor.memory import series as understood
from supervisor.rules.outputs import ALERTS
from supervisor.services import series as services
from supervisor.signals import disk, docker_stats, models
from supervisor.signals.gpu import series as gpu_driver
from supervisor.signals.memory import series as memory
from supervisor.signals.probes import series as probes
from supervisor.signals.scrapes import series as scrapes
from supervisor.slots import series as slots

_TABLES = (
    memory,
    understood,
    docker_stats,
    services,
    ourselves,
    profiles,
    gpu_cards,
    gpu_faults,
    gpu_last,
    scrapes,
    disk,
    probes,
    gpu_driver,
    gate,
    slots,
    models,
)
METRICS = {metric.name: metric for table in _TABLES for metric in table.METRICS}
"""by name"""

_BEGINNINGS = (ALERTS, "resurgam_", "scrape_")
"""names that are ours though nothing of them may be made just now"""


def ours(name: str) -> bool:
    """Whether nobody else may make series of this name: rules trust them to be what this machine says."""
    return name in METRICS or name.startswith(_BEGINNINGS)
