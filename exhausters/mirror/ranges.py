"""Ranges of releases: `0.5.13..0.5.23`, both ends included."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from exhausters.errors import TargetSpecError

__all__ = ["VersionRange", "backwards", "parse_range"]


@dataclass(frozen=True, kw_only=True)
class VersionRange:
    """Releases from `first` to `last`, both included; equal ends are one release."""

    first: Version
    last: Version

    def __contains__(self, version: Version) -> bool:
        """Whether `version` is in the range; pre-releases are so only as one of its ends."""
        if version in (self.first, self.last):
            return True
        return self.first < version < self.last and not version.is_prerelease

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


def parse_range(text: str) -> VersionRange:
    """Return the range that `0.5.13..0.5.23`, or `0.5.23` alone, stands for; a leading `v` is allowed.

    Raises:
        TargetSpecError: not two versions, or the older one does not come first.
    """
    first, dots, last = text.strip().partition("..")
    try:
        ends = VersionRange(first=Version(first), last=Version(last if dots else first))
    except InvalidVersion:
        raise TargetSpecError(
            f"range {text!r}: expected two releases such as 0.5.13..0.5.23, or one such as 0.5.23"
        ) from None
    if ends.first > ends.last:
        raise backwards(text)
    return ends


def backwards(text: str) -> TargetSpecError:
    """Return the error for a range whose newer end comes first, of releases or of a clone's revisions."""
    return TargetSpecError(f"range {text!r}: is backwards; expected OLDER..NEWER; swap the ends")
