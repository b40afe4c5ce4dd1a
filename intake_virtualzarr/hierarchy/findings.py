"""What a validation finds: rules of the specifications by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from intake_virtualzarr.errors import NotAllowedError, VirtualZarrError
from intake_virtualzarr.storage.parsing import DAMAGE

__all__ = ["ArrayFindings", "Finding", "Findings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a store does not hold to a rule."""

    rule: str
    """Number of the rule, e.g. ``"CM-11"``."""
    array: str
    """Path of the array, with the number of the member where it stands in place of one."""
    message: str
    """What was found, and what the rule expects."""


@dataclass
class Findings:
    """All findings of one store, and how often each rule was looked at."""

    found: list[Finding] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    def of(self, array: str) -> ArrayFindings:
        """Those of one array."""
        return ArrayFindings(self, array)


@dataclass(frozen=True)
class ArrayFindings:
    """Adds the findings of one array."""

    all: Findings
    array: str

    def add(self, rule: str, message: str) -> None:
        """Add a finding."""
        self.all.found.append(Finding(rule, self.array, message))

    def expect(self, rule: str, holds: object, message: str) -> bool:
        """Look at a rule; add a finding unless it holds."""
        self.all.checked[rule] += 1
        if not holds:
            self.add(rule, message)
        return bool(holds)

    @contextmanager
    def rule(self, rule: str) -> Iterator[None]:
        """Look at a rule: what goes wrong in the block is a finding. Continues after it.

        Raises
        ------
        NotAllowedError
            If the store names what it may not: the user is asked, as everywhere.
        """
        self.all.checked[rule] += 1
        try:
            yield
        except NotAllowedError:
            raise
        except (VirtualZarrError, *DAMAGE) as exc:
            text = str(exc) if isinstance(exc, VirtualZarrError) else f"{type(exc).__name__}: {exc}"
            self.add(rule, text)
