"""What every settings model has in common: unknown keys are mistakes, and nothing changes once it was read."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """The base of all settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, arbitrary_types_allowed=True)
