"""emoprep: aligned shards, class skew and traceable balancing for conversational emotion recognition."""

__version__ = "0.1.0"
