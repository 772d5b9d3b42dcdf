"""Everything about pictures and sound: the clock, the decoders, the encoders; the only room that starts a program.

A decoder is a module with `pictures_and_sound(path, recipe)`; `media.decode.decode` runs one over a source and
hands out what lies in each window. To add a decoder, add a file and name it in `media.decode.DECODERS`.
"""
