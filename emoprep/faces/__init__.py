"""Faces in the pictures of an utterance: found, followed from frame to frame, cut out level, the speaker's chosen.

    detectors/   one file each: a picture → faces
    follow.py    when to look, and what is kept of what was seen; boxes, track and crop are its parts
    speaker.py   which face is the speaker's
    installed.py weights that come in other people's packages
"""
