"""Which colour a class has on the whole page: a slot, whose light and dark tone stand in style.css as --c0, --c1 …

The first eight are told apart under protanopia, deuteranopia and tritanopia too (simulated by Machado et al. 2009, IEEE
TVCG 15), in both tones; more classes get further ones, which only their names tell apart for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SLOTS", "colour_slots"]

SLOTS = 12

# An emotion is found quicker in a colour that people connect with it (Lin et al. 2013, Computer Graphics Forum 32).
_KNOWN = {
    "neutral": 0, "neu": 0, "sadness": 1, "sad": 1, "joy": 2, "happy": 2, "happiness": 2, "hap": 2, "positive": 2,
    "anger": 3, "angry": 3, "ang": 3, "negative": 3, "disgust": 4, "disgusted": 4, "fear": 5, "fearful": 5,
    "surprise": 6, "surprised": 6, "frustrated": 7, "frustration": 7, "fru": 7, "excited": 4, "excitement": 4, "exc": 4,
}


def colour_slots(labels: Sequence[str]) -> dict[str, int]:
    """Return the slot of each class: that of a known emotion, else the first that is free.

    >>> colour_slots(["happy", "sad", "neutral", "calm", "content"])
    {'happy': 2, 'sad': 1, 'neutral': 0, 'calm': 3, 'content': 4}
    """
    slots: dict[str, int] = {}
    for label in labels:
        slot = _KNOWN.get(label.lower())
        if slot is not None and slot not in slots.values():
            slots[label] = slot
    # Grey is kept for what is neutral, until nothing else is left.
    free = [slot for slot in [*range(1, SLOTS), 0] if slot not in slots.values()]
    others = [label for label in labels if label not in slots]
    slots |= {label: free[at % len(free)] if free else at % SLOTS for at, label in enumerate(others)}
    return {label: slots[label] for label in labels}
