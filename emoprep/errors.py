"""What can go wrong for a user: one line each, and the exit code it ends with."""

__all__ = ["FOUND", "CorpusError", "EmoprepError", "MissingInput", "TooManySkipped", "UsageError"]

FOUND = 4
"""The exit code of a check that found something: it did its work, so nothing is raised."""


class EmoprepError(Exception):
    """An expected failure, told in one line: where, what, expected, got, and the remedy.

    `__main__` is the only place that turns it into output and an exit code.

    >>> print(EmoprepError("bad time", where="dev_sent_emo.csv:7", expected="H:MM:SS,mmm", got="'1:2'",
    ...                    remedy="mend the row"))
    dev_sent_emo.csv:7: bad time: expected H:MM:SS,mmm, got '1:2'; mend the row
    """

    exit_code = 1

    def __init__(self, what, *, where="", expected="", got="", remedy=""):
        self.what, self.where, self.expected, self.got, self.remedy = what, where, expected, got, remedy
        super().__init__(what, where, expected, got, remedy)

    def __reduce__(self):
        # Failures cross process boundaries, and the default pickling would forget the keywords.
        return _rebuild, (type(self), self.args)

    def __str__(self):
        line = f"{self.where}: {self.what}" if self.where else str(self.what)
        facts = [f"{name} {value}" for name, value in (("expected", self.expected), ("got", self.got)) if value]
        if facts:
            line += ": " + ", ".join(facts)
        if self.remedy:
            line += f"; {self.remedy}"
        return " ".join(line.split())


def _rebuild(kind, parts):
    what, where, expected, got, remedy = parts
    return kind(what, where=where, expected=expected, got=got, remedy=remedy)


class CorpusError(EmoprepError):
    """An annotation file that cannot be read as what it claims to be (names file and line)."""


class UsageError(EmoprepError):
    """A request that makes no sense: a bad option, or an OUT that holds another run."""

    exit_code = 2


class TooManySkipped(EmoprepError):
    """All work was done, but more utterances were skipped than --max-skipped allows."""

    exit_code = 3


class MissingInput(EmoprepError):
    """IN is missing or no corpus, or a program or an optional package is missing."""

    exit_code = 5
