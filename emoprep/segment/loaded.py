"""Imports what each worker of `segment` needs; the server of workers does so once for all of them."""

from importlib import import_module

for _name in ("emoprep.segment.cut", "emoprep.media.pyav", "emoprep.media.encode", "webdataset.writer", "soundfile",
              "PIL.JpegImagePlugin"):
    import_module(_name)
