"""Make any text harmless inside Markdown, HTML and XML. Names come from commits, files and errors."""

from __future__ import annotations

import re

# What XML 1.0 can carry; everything else cannot even be escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
# The character by which GitHub would know a link, and a text that would begin a list.
_LINK = re.compile(r"[a-z]:(?=//)|\bwww\.", re.IGNORECASE)
_LIST = re.compile(r"[-+=]|\d+[.)]")
_PLAIN = frozenset(" ,.:;=+-%/()'–…→")


def markdown_text(text: object) -> str:
    """Return text that shows as itself and does nothing: no markup, link, mention, table cell or HTML.

    Punctuation becomes numeric character references, which Markdown never reads as markup. Mentions and
    issue numbers are split by a zero-width non-joiner, since GitHub looks for them in rendered text.
    """
    flat = _CONTROL.sub(" ", str(text)).strip()
    active = {match.end() - 1 for match in _LINK.finditer(flat)}
    if (start := _LIST.match(flat)) is not None:
        active.add(start.end() - 1)
    out = []
    for place, character in enumerate(flat):
        if place not in active and (character.isalnum() or character in _PLAIN):
            out.append(character)
        else:
            out.append(f"&#{ord(character)};" + ("&zwnj;" if character in "@#" else ""))
    return "".join(out)


def code(text: object) -> str:
    """Return text as inline code, harmless."""
    return f"<code>{markdown_text(text)}</code>"


def terminal_text(text: object) -> str:
    """Return text without control and direction characters: it cannot move the cursor or colour anything."""
    return _CONTROL.sub(" ", str(text))


def xml_text(text: object) -> str:
    """Return text without the characters that XML cannot carry."""
    return _NOT_XML.sub("\ufffd", str(text))
