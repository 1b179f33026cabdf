"""A container made again, faithfully: the create body, what must be refused, and what a person should know.

From: phoenix.py, tidy.py and preview.py with the engine's raw inspect. To: Engine.create and the fidelity report.
`successor` makes the body, `rights` and `likeness` prove it, `injected` copies what no inspect shows, `report` says it.
"""

from supervisor.actions.recipe import compat, injected, likeness, profile, report, rights
from supervisor.actions.recipe.image_defaults import COMPOSE
from supervisor.actions.recipe.refusals import misfit, refusal, warnings
from supervisor.actions.recipe.sources import missing_sources
from supervisor.actions.recipe.successor import (
    COMPOSE_WAS_LABEL,
    Recipe,
    final_policy,
    layer_size,
    reference,
    shared_with,
    spare,
    successor,
)
from supervisor.actions.recipe.traits import Trait

__all__ = [
    "COMPOSE",
    "COMPOSE_WAS_LABEL",
    "Recipe",
    "Trait",
    "compat",
    "final_policy",
    "injected",
    "layer_size",
    "likeness",
    "misfit",
    "missing_sources",
    "profile",
    "reference",
    "refusal",
    "report",
    "rights",
    "shared_with",
    "spare",
    "successor",
    "warnings",
]
