"""Utterances made of others by changing their sound and picture: what was drawn (`emoprep.methods.augmentation`), done.

    sound.py     samples and parameters → samples, through audiomentations
    picture.py   frames and parameters → frames, through albumentations, and where the faces are then
    sample.py    a sample's members and parameters → the members of the one that is made
"""

import os

# On its first import albumentations asks a server for its newest version, unless this is set.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
