"""What an examination comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import define, field

from masc_core.frozen import frozen

__all__ = ["Finding", "Report", "answer"]


@frozen
class Finding:
    """One thing that is not as it should be."""

    code: str
    """Stable name."""
    severity: Literal["error", "warning"]
    what: str
    mend: str
    fixed: bool = False


@define
class Report:
    """Facts by name, and what is wrong."""

    fix: bool = False
    """Mend what can be mended without a loss."""
    facts: dict[str, Any] = field(factory=dict)
    findings: list[Finding] = field(factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is wrong, or not any more."""
        return all(finding.fixed for finding in self.findings)

    def error(self, code: str, what: str, mend: str, *, fixed: bool = False) -> None:
        """Something does not work, or loses or betrays data."""
        self.findings.append(Finding(code, "error", what, mend, fixed))

    def warn(self, code: str, what: str, mend: str, *, fixed: bool = False) -> None:
        """Something is left over or will get in the way."""
        self.findings.append(Finding(code, "warning", what, mend, fixed))

    def add(self, answer: Mapping[str, Any]) -> None:
        """What a hook gave: ``facts`` and ``findings``."""
        self.facts |= answer.get("facts", {})
        self.findings += [Finding(**found) for found in answer.get("findings", ())]


def answer(facts: Mapping[str, Any], findings: Sequence[Finding]) -> dict[str, Any]:
    """An answer to the hook ``masc_doctor``."""
    from masc_core.convert import unstructure

    return {"facts": dict(facts), "findings": [unstructure(found) for found in findings]}
