"""A decision log's digest as a number that asv keeps and does not judge.

asv knows numbers only, reads lower as better, and calls a ratio above 1.1 (`asv continuous`) a change. So the
first digits of the digest become a fraction between 1 and 1.016: equal numbers are equal digits, and no two
numbers are far enough apart for asv to call one of them worse.
"""

from __future__ import annotations

__all__ = ["DIGEST_DIGITS", "digest_number", "digest_text"]

# 44 bits behind six zero bits: together within the 52 of a double, so that no digit is lost.
DIGEST_DIGITS = 11
_SCALE = 2.0 ** (4 * DIGEST_DIGITS + 6)


def digest_number(digest: str) -> float:
    """Return the first digits of a digest in hexadecimal as a number in [1, 1 + 2**-6)."""
    return 1.0 + int(digest.removeprefix("sha256:")[:DIGEST_DIGITS], 16) / _SCALE


def digest_text(number: float) -> str:
    """Return the digits that `digest_number` was given."""
    return f"{round((number - 1.0) * _SCALE):0{DIGEST_DIGITS}x}"
