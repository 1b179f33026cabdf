"""Services: identity, ownership, wanted state, deaths, proof and drift.

Read registry.py first. Facts about containers come in from the core, journal rows, samples and frozen `Service`
snapshots go out. Nothing in this folder waits, reads a clock or calls an engine.
"""

from supervisor.services.happening import Happening
from supervisor.services.names import (
    COMPOSE_SERVICE_LABEL,
    ENABLE_LABEL,
    NUMBER_LABEL,
    OP_LABEL,
    PROFILE_LABEL,
    PROJECT_LABEL,
    REF_LABEL,
    ROLE_LABEL,
    ROLES,
    SERVICE_LABEL,
    canonical,
    canonical_ref,
    is_temp,
    role_of,
    safe_id,
    series_labels,
    temp_name,
)
from supervisor.services.registry import Registry

__all__ = [
    "COMPOSE_SERVICE_LABEL",
    "ENABLE_LABEL",
    "NUMBER_LABEL",
    "OP_LABEL",
    "PROFILE_LABEL",
    "PROJECT_LABEL",
    "REF_LABEL",
    "ROLES",
    "ROLE_LABEL",
    "SERVICE_LABEL",
    "Happening",
    "Registry",
    "canonical",
    "canonical_ref",
    "is_temp",
    "role_of",
    "safe_id",
    "series_labels",
    "temp_name",
]
