"""Where a container's data lies, carried over: binds and mounts as they are, anonymous volumes by their name.

From: successor.py, with the raw inspect. An anonymous volume without its name would be a new, empty one. Pure; `config`
and `host` are changed in place.
"""

from supervisor.actions.recipe.raw import bind, part
from supervisor.facts import Image, Json


def carry(config: Json, host: Json, raw: Json, base: Json, new: Image, notes: list[str]) -> None:
    """Put every volume that is in use into the recipe; `base` is the old image's Config."""
    covered = {bind(str(each))[1] for each in host.get("Binds") or () if ":" in str(each)}
    live = {str(mount.get("Destination")): mount for mount in raw.get("Mounts") or ()}
    for mount in host.get("Mounts") or ():
        target = str(mount.get("Target"))
        covered.add(target)
        if mount.get("Type") == "volume" and not mount.get("Source") and live.get(target, {}).get("Name"):
            mount["Source"] = live[target]["Name"]
    carried = []
    declared, borrows = part(config, "Volumes"), bool(host.get("VolumesFrom"))
    for target, mount in live.items():
        if borrows and target not in declared:
            continue  # it is the other container's, and comes with that one
        if mount.get("Type") == "volume" and mount.get("Name") and target not in covered:
            options = str(mount.get("Mode") or "") or ("" if mount.get("RW", True) else "ro")
            carried.append(f"{mount['Name']}:{target}" + (f":{options}" if options else ""))
            covered.add(target)
    if carried:
        host["Binds"] = [*(host.get("Binds") or ()), *carried]
    inbuilt = part(base, "Volumes")
    known = {*inbuilt, *covered}
    left = {path: value for path, value in part(config, "Volumes").items() if path not in known}
    config["Volumes"] = left or None
    fresh = sorted(set(part(new.config, "Volumes")) - set(inbuilt) - covered)
    notes += [f"The new image declares a volume at {path}, which hides what lay there before." for path in fresh]


def sources(raw: Json) -> tuple[str, ...]:
    """The host paths it binds, in order, without those of the engine's own making."""
    host = part(raw, "HostConfig")
    found = [bind(str(each))[0] for each in host.get("Binds") or ()]
    found += [str(m.get("Source") or "") for m in host.get("Mounts") or () if m.get("Type") == "bind"]
    return tuple(dict.fromkeys(path for path in found if path.startswith("/")))
