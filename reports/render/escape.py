"""Make any text harmless inside Markdown, HTML and XML. Names come from commits, files and errors."""

from __future__ import annotations

import re

# What XML 1.0 can carry; everything else cannot even be escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
# The character by which GitHub would know a link, and a text that would begin a list.
_LINK = re.compile(r"[a-z]:(?=//)|\bwww\.", re.IGNORECASE)
_LIST = re.compile(r"[-+](?=[-+\s]|$)|=|\d+[.)](?=\s|$)")
_PLAIN = frozenset(" ,.:;=+-%/()'\"?–…→−·×≥≤")
# What a code span is not trusted with: its own fence, a table's, and what a browser might act on.
# Mentions and issue numbers are no links in it, and a command must stay one that can be copied.
_RISKY = re.compile(r"[`|<>&\\]|[a-z]:(?=//)|\bwww\.", re.IGNORECASE)


def markdown_text(text: object) -> str:
    """Return text that shows as itself and does nothing: no markup, link, mention, table cell or HTML.

    Punctuation that Markdown might read becomes numeric character references. Mentions and issue numbers are
    split by a zero-width non-joiner, since GitHub looks for them in rendered text.
    """
    return _escaped(_CONTROL.sub(" ", str(text)).strip())


def _escaped(flat: str) -> str:
    active = {match.end() - 1 for match in _LINK.finditer(flat)}
    if (start := _LIST.match(flat)) is not None:
        active.add(start.end() - 1)
    out = []
    for place, character in enumerate(flat):
        if place not in active and (character in _PLAIN or character.isalnum() or _is_inside(flat, place)):
            out.append(character)
        else:
            out.append(f"&#{ord(character)};" + ("&zwnj;" if character in "@#" else ""))
    return "".join(out)


def _is_inside(flat: str, place: int) -> bool:
    """Whether it is an underscore within a word, which Markdown does not read as emphasis."""
    around = flat[place - 1 : place + 2] if place else ""
    return len(around) == 3 and around[1] == "_" and around[0].isalnum() and around[2].isalnum()


def markdown_prose(text: object) -> str:
    """Return a sentence in which names stand in backticks: those become code, the rest is harmless."""
    parts = _CONTROL.sub(" ", str(text)).strip().split("`")
    if len(parts) % 2 == 0:
        return _escaped("`".join(parts))
    return "".join(code(part) if place % 2 else _escaped(part) for place, part in enumerate(parts) if part)


def code(text: object) -> str:
    """Return text as inline code, harmless: in backticks where Markdown leaves all of it alone."""
    flat = _CONTROL.sub(" ", str(text)).strip()
    return f"<code>{_escaped(flat)}</code>" if _RISKY.search(flat) or not flat else f"`{flat}`"


def terminal_text(text: object) -> str:
    """Return text without control and direction characters: it cannot move the cursor or colour anything."""
    return _CONTROL.sub(" ", str(text))


def xml_text(text: object) -> str:
    """Return text without the characters that XML cannot carry."""
    return _NOT_XML.sub("\ufffd", str(text))
