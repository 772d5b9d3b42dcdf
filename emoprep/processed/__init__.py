"""One format of processed feature sets, one file (see `contracts.ProcessedModule`)."""
