"""The methods as pure functions: what to draw, how to weigh, measure, align and project; no file is opened here."""
