"""Results → tables for a person, JSON for a program; a file a command.

Results go to stdout; progress and notes go to stderr.
"""

from emoprep.terminal.console import Terminal

__all__ = ["Terminal"]
