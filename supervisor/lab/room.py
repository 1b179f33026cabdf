"""Room in a simulated world: a test says what is held."""

from supervisor.facts import Container, Needs


class SimRoom:
    """Implements ports.Room. `wanting`: what is said, '' for room enough. `unwatched`: what cannot be waited for."""

    def __init__(self, wanting: str = "") -> None:
        self.wanting = wanting
        self.unwatched: tuple[str, ...] = ()
        self.asked: list[str] = []
        """container ids it was asked about"""

    async def held(self, needs: Needs, container: Container, before: str = "") -> str:
        """What a test said."""
        self.asked.append(container.id)
        return self.wanting

    async def doubts(self, needs: Needs, container: Container) -> tuple[str, ...]:
        """What a test said."""
        return self.unwatched
