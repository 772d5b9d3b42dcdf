"""One feature extractor, one file: sample → vector or sequence (see `contracts.ExtractorModule`)."""
