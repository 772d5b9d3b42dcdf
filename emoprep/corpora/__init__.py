"""One corpus, one file: annotations → utterances (see `contracts.CorpusModule`)."""
