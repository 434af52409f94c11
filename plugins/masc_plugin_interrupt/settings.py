"""``[interrupt]`` of ``config.toml``."""

from __future__ import annotations

from attrs import field, frozen

from masc_core.settings import between

__all__ = ["InterruptSettings"]


@frozen
class InterruptSettings:
    """How long an interrupt waits, and whether a client's user may be asked directly."""

    timeout_minutes: int = field(default=30, validator=between(1, 10_080))
    """After it an interrupt that nobody decided is rejected, or escalated where the agent asked for that."""
    elicitation: bool = True
    """Show a form in the client that asks, where the client can."""

    @property
    def timeout(self) -> float:
        """Seconds until an open interrupt is rejected or escalated."""
        return self.timeout_minutes * 60.0
