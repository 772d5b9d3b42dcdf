"""The store on disk: shards, feature tables, index, manifest and card; the only room that knows the layout.

    folder.py    a folder that is being filled or is complete: lock, fingerprint, draft-then-rename
    manifest.py  manifest.json, and opening a finished store
    index.py     utterances.parquet: its columns, and a row of it
    shards.py    WebDataset tar files
    tables.py    feature tables
    card.py      README.md for a person and for `load_dataset`
"""
