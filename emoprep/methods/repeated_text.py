"""When two texts are one: by their letters and digits, whatever their case and punctuation."""

from __future__ import annotations

__all__ = ["plain_text"]


def plain_text(text: str) -> str:
    """Return a text in lower case with its letters, digits and inner spaces only.

    >>> plain_text(" No – I don’t! "), plain_text("42, Été"), plain_text("…")
    ('no  i dont', '42 été', '')
    """
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ").strip()
