"""Files that others made, read as hostile until parsed: .csd, pickles, tables of rows, embeddings, model weights."""
