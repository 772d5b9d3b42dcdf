"""What mkdocs calls while it builds the site: the report of the demo's corpus, which report.md shows, is made here."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPORT = "demo-report.html"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page that `emoprep demo` leaves; raises CalledProcessError where it fails, which ends the build."""
    with tempfile.TemporaryDirectory() as folder:
        # In that folder, so that the report names its stores as a reader would.
        subprocess.run([sys.executable, "-m", "emoprep", "demo", "demo-out", "-q"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        report = Path(folder, "demo-out", "report.html").read_bytes()
    files.append(File.generated(config, REPORT, content=report))
    return files
