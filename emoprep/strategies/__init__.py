"""One strategy, one file: labels (+ features) → a decision (see `contracts.StrategyModule`)."""
