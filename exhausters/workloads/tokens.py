"""From (seed, length) to token ids, the same ids on every machine and every Python.

A segment is one token that names it, then a body:

    offset 0     in [65536, 2**31 - 1): differs between any two seeds below 2**31 - 65537
    offset i > 0 in [0, 65536): 16-bit little-endian word i of SHAKE-128 over the seed

SHAKE-128 (FIPS 202) is an extendable-output function: a longer output starts with the shorter one,
so a shorter segment is a prefix of a longer one of the same seed, and no release of Python can
change it (`random.Random` promises that only for `random()`). As no body token is as large as a
first token, two prompts can only agree beyond a segment's end if the next segments agree too.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from functools import lru_cache

#: Bump when the tokens of any (seed, length) change; part of every workload's digest.
EXPANSION_VERSION = 1

FIRST_TOKEN_MIN = 1 << 16
_FIRST_TOKEN_SPAN = (1 << 31) - 1 - FIRST_TOKEN_MIN
# Coprime to the span, so that multiplying by it permutes [0, span): neighbouring seeds get tokens
# far apart, and no two of them the same one.
_FIRST_TOKEN_STRIDE = 1_640_531_527
_CACHED_SEGMENT_TOKENS_MAX = 4096
_CACHE_ENTRIES = 1024  # times 4096 tokens of 8 bytes: at most 32 MiB


def first_token(seed: int) -> int:
    """Token at offset 0 of the segment `seed`; unique among seeds in [0, 2**31 - 65537)."""
    return FIRST_TOKEN_MIN + seed * _FIRST_TOKEN_STRIDE % _FIRST_TOKEN_SPAN


def expand(seed: int, length: int) -> array[int]:
    """Token ids of the segment `seed`, cut to `length` (>= 1): a fresh array of typecode 'q'."""
    if length > _CACHED_SEGMENT_TOKENS_MAX:
        return _expand(seed, length)
    return _expand_cached(seed, length)[:]


def stable_seed(*parts: int | str) -> int:
    """A 62-bit seed derived from `parts`, the same on every machine (`hash()` is not)."""
    text = "\0".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


def _expand(seed: int, length: int) -> array[int]:
    words = hashlib.shake_128(f"exhausters:{seed}".encode()).digest(2 * length)
    # Little-endian 64-bit integers of which only the two low bytes are set; strided copies are
    # several times faster than a conversion that makes a Python integer of each token.
    wide = bytearray(8 * length)
    wide[0::8] = words[0::2]
    wide[1::8] = words[1::2]
    tokens = array("q", wide)
    if sys.byteorder == "big":
        tokens.byteswap()
    tokens[0] = first_token(seed)
    return tokens


@lru_cache(maxsize=_CACHE_ENTRIES)
def _expand_cached(seed: int, length: int) -> array[int]:
    return _expand(seed, length)
