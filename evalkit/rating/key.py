"""The sealed key: what says which clip is which, fixed before anybody is asked.

Its SHA-256, the commitment, is shown before the first rater begins, and the key itself afterwards. So everybody can check
that who was shown what, and what was A and what B, was not made up when the answers were known. A salt keeps anybody
from finding the key by trying all there could be.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.rating.study import Design, Item, Plan, PlannedPresentation
from pipeline.options import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMAT = "evalkit rating key 1"


@dataclass(frozen=True)
class Key:
    """A design, its items, and the salt that hides them in the commitment."""

    design: Design
    items: tuple[Item, ...]
    salt: str

    @property
    def text(self) -> str:
        """The key as it is published: canonical JSON."""
        return canonical_json(
            {
                "format": _FORMAT,
                "design": self.design.to_dict(),
                "items": [item.to_dict() for item in self.items],
                "salt": self.salt,
            }
        )

    @property
    def commitment(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return commitment_of(self.text)

    def presentations(self, slot: int) -> tuple[PlannedPresentation, ...]:
        """Return what the rater of a slot is shown, see `evalkit.rating.study.presentations`."""
        return self._plan.presentations(slot)

    @cached_property
    def _plan(self) -> Plan:
        return Plan(self.design, self.items)


def commitment_of(text: str) -> str:
    """Return the SHA-256 of a key's text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_key(text: str) -> Key:
    """Return the key that a text states.

    Raises
    ------
    UsageError
        If it is no key.
    """
    try:
        plain = json.loads(text)
        if plain["format"] != _FORMAT:
            raise UsageError(f"this is a key of another format: {plain['format']}")
        return Key(
            Design.from_dict(plain["design"]),
            tuple(Item.from_dict(item) for item in plain["items"]),
            plain["salt"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"this is no key of a study: {error}") from None


def fits(key: Key, slot: int, shown: Iterable[PlannedPresentation]) -> bool:
    """Say whether what the rater of a slot was shown is what the key says."""
    return key.presentations(slot) == tuple(shown)
