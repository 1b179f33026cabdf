"""What the old image brought is taken out of a recipe, so that the new image's own defaults take its place.

From: successor.py, with the container's Config and its image's. An inspect shows both merged; what is equal to the old
image's counts as the image's, since frozen onto a new one it breaks CUDA checks, start commands and health checks.
Whoever meant such a variable says so with `keep-env`. Pure; `config` is changed in place.
"""

from supervisor.actions.recipe.raw import part, variable, variables
from supervisor.facts import Image, Json

COMPOSE = "com.docker.compose."
PLAIN_FIELDS = ("WorkingDir", "User", "StopSignal", "Shell", "OnBuild", "ArgsEscaped")
"""fields that are the image's as a whole or a person's as a whole"""


def subtract(config: Json, base: Json, new: Image, keep_env: tuple[str, ...], notes: list[str]) -> None:
    """Take the old image's defaults (`base`, its raw Config) out of a container's Config."""
    _environment(config, base, new, keep_env, notes)
    command(config, base)
    config["Labels"] = own_labels(part(config, "Labels"), part(base, "Labels"))
    _health(config, base)
    for field in PLAIN_FIELDS:
        if field in config and config[field] == base.get(field):
            del config[field]


def own_labels(have: Json, inbuilt: Json) -> Json:
    """Labels without those the image brought. Ours are no exception: an image cannot opt a container in."""
    return {key: value for key, value in have.items() if key.startswith(COMPOSE) or inbuilt.get(key) != value}


def _environment(config: Json, base: Json, new: Image, keep_env: tuple[str, ...], notes: list[str]) -> None:
    inbuilt = set(base.get("Env") or ())
    kept = [pair for pair in config.get("Env") or () if pair not in inbuilt or variable(pair)[0] in keep_env]
    config["Env"] = kept
    own, after = variables(kept), variables(new.config.get("Env"))
    for name, value in variables(base.get("Env")).items():
        if name != "PATH" and after.get(name) not in (None, value) and name not in own:
            notes.append(f"{name} comes from the image and changes with it.")


def command(config: Json, base: Json) -> None:
    """Cmd and Entrypoint are one thing; an entrypoint of one's own erases the image's command, and an image's
    entrypoint that somebody took away (`--entrypoint ""`) stays away."""
    given, entrypoint = config.get("Cmd"), config.get("Entrypoint")
    same_entrypoint = (entrypoint or None) == (base.get("Entrypoint") or None)
    erased = not given and bool(base.get("Cmd"))
    if not same_entrypoint or erased:
        config["Entrypoint"] = entrypoint or []  # an engine takes null for "the image's"
        return
    config.pop("Entrypoint", None)
    if given == base.get("Cmd"):
        config.pop("Cmd", None)


def _health(config: Json, base: Json) -> None:
    """Field by field, so that an interval of one's own stays and the image's test does not freeze."""
    own, inbuilt = config.get("Healthcheck"), part(base, "Healthcheck")
    if not isinstance(own, dict):
        return
    kept = {key: value for key, value in own.items() if value != inbuilt.get(key)}
    if kept:
        config["Healthcheck"] = kept
    else:
        del config["Healthcheck"]
