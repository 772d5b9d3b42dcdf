"""A sample made for these tests: pictures and sound of which everything is known."""

import json

import numpy as np

from emoprep.media.clock import frame_count, sample_count
from emoprep.media.encode import Strip, encode_flac

SIZE, FPS, RATE = 64, 10, 16_000
VIEW = [0.0, 0.0, 640.0, 360.0]


def make_sample(seconds=2.0, *, frames=None, sound=None, faces=None, strip_of_faces=None, has_video=True,
                has_audio=True, view=VIEW, words=(), text="I told you so.", **more):
    """Return the members of a sample: `frames` uint8 [F, 64, 64, 3] in RGB, `sound` float [n], `faces` boxes."""
    count, samples = frame_count(seconds, FPS), sample_count(seconds, RATE)
    members, columns = {"txt": text.encode(), "words.json": json.dumps(list(words)).encode()}, None
    frames = smooth(count) if frames is None and has_video else frames
    members["frames.jpg"], columns = strip(frames) if has_video else Strip(SIZE).finish(count)
    if faces is not None:
        members["faces.jpg"] = strip(strip_of_faces)[0] if strip_of_faces is not None else Strip(SIZE).finish(count)[0]
    sound = voice(samples) if sound is None else sound
    members["flac"] = encode_flac(np.rint(sound * 32767 * has_audio).astype(np.int16), RATE)
    faces = [] if faces is None else faces
    facts = {"key": "a", "text": text, "start": 1.5, "end": 1.5 + seconds, "frames": count, "fps": float(FPS),
             "samples": samples, "sample_rate": RATE, "has_video": has_video, "has_audio": has_audio, "has_text": True,
             "flags": [], "emotion": "joy", "size": SIZE, "columns": columns, "view": view if has_video else [],
             "faces": faces, "face_mask": [int(bool(box)) for box in faces],
             "face_rule": "only-face" if any(faces) else None}
    return {"json": json.dumps({**facts, **more}, separators=(",", ":")).encode(), **members}


def strip(frames):
    made = Strip(frames.shape[1])
    made.extend(np.ascontiguousarray(frames))
    return made.finish(len(frames))


def smooth(count, size=SIZE):
    """Return uint8 [count, size, size, 3]: smooth pictures, alike nowhere and never, which JPEG leaves as they are."""
    down, across = np.mgrid[:size, :size] / size
    moment = np.arange(count)[:, None, None] / max(count, 1)
    shade = 120 + 50 * np.sin(3 * across + 2 * moment) + 40 * np.cos(4 * down + across)
    return np.stack([shade, 0.5 * shade + 60 * across, 200 - 0.6 * shade], axis=-1).clip(0, 255).astype(np.uint8)


def voice(samples, rate=RATE, pitch=220.0):
    """Return float [samples]: a tone and its overtones, louder and softer twice a second."""
    moment = np.arange(samples) / rate
    tone = sum(np.sin(2 * np.pi * pitch * number * moment) / number for number in range(1, 6))
    return 0.15 * tone * (1 + 0.5 * np.sin(4 * np.pi * moment))


def facts_of(members):
    return json.loads(members["json"])
