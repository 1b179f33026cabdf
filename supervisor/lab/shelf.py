"""The simulated engine's images: ids, the references that stand for them, and the events their moves make.

From: lab/engine.py (an image arrives, is tagged, is untagged). To: lab/dockerd.py, which resolves references here.
"""

from collections.abc import Callable, Mapping

from supervisor.engines.docker import shape
from supervisor.errors import Conflict, NotFound
from supervisor.lab.images import SimImage

Note = Callable[[str, str, str, Mapping[str, str]], None]
"""(type, object id, kind, attributes) of an event"""


class Shelf:
    """Images and tags. `users` tells the containers that use an image."""

    def __init__(self, note: Note, users: Callable[[str], list[str]]) -> None:
        self._note, self._users = note, users
        self.images: dict[str, SimImage] = {}
        self.tags: dict[str, str] = {}

    def resolve(self, ref: str) -> SimImage | None:
        """An image by reference or id (whole, or its first digits)."""
        found = self.tags.get(shape.reference(ref), "")
        if not found and shape.is_id(ref):
            digits = ref.removeprefix("sha256:")
            found = next((known for known in self.images if known.removeprefix("sha256:").startswith(digits)), "")
        return self.images.get(found or ref)

    def tags_of(self, image_id: str) -> tuple[str, ...]:
        """Every reference that stands for the image now, sorted."""
        return tuple(ref for ref, found in sorted(self.tags.items()) if found == image_id)

    def add(self, image: SimImage) -> str:
        """An image arrives (a build, a load), with its tags; tags that stood for another image move to it."""
        full = image.full()
        self.images[full.id] = full
        for ref in full.tags:
            self.tag(full.id, ref)
        return full.id

    def tag(self, image_id: str, ref: str) -> None:
        """Let the reference stand for the image."""
        image = self.resolve(image_id)
        if image is None:
            raise NotFound(f"No such image: {image_id}", 404)
        name = shape.reference(ref)
        self.tags[name] = image.id
        self._note("image", image.id, "tag", {**(image.config.get("Labels") or {}), "name": name})

    def untag(self, ref: str, *, force: bool = False) -> None:
        """Take a reference away; the image goes with its last one, unless a container uses it."""
        name = shape.reference(ref)
        image = self.resolve(name)
        if image is None:
            return
        mine, users = self.tags_of(image.id), self._users(image.id)
        if len(mine) == 1 and users and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force) - '
                f"container {users[0][:12]} is using its referenced image {image.id[7:19]}",
                409,
            )
        for gone in (name,) if name in mine else mine:
            del self.tags[gone]
            self._note("image", image.id, "untag", {"name": image.id})
        if not self.tags_of(image.id):
            del self.images[image.id]
            self._note("image", image.id, "delete", {"name": image.id})
