"""What the tests of the audit share: the table of planted leaks and the store cut from it; MELD's layout by hand."""

import csv

import leaky
import pytest

from emoprep.audit import audit, plan_audit
from emoprep.media.decode import make_recipe
from emoprep.segment import plan_segment, segment


@pytest.fixture(scope="session")
def leaky_store(once):
    """Return the store cut from the table of `leaky`. Read only."""
    def make(folder):
        table = leaky.build_leaky(folder)
        segment(plan_segment(table, folder / "store", recipe=make_recipe(size=112)), folder / "store")
    return once("audit-leaky", make) / "store"


@pytest.fixture
def findings_of():
    """Return the function `findings_of(path, **how)`: the result of an audit, and its findings by check."""
    def run(path, *, jobs=1, **how):
        result = audit(plan_audit(path, **how), jobs=jobs)
        found = {}
        for finding in result.findings:
            found.setdefault(finding.check, []).append(finding)
        return result, found
    return run


def write_meld(folder, rows):
    """Write rows (split, dialogue, utterance, speaker, text, emotion, sentiment, season, episode, start, end)."""
    folder.mkdir(parents=True, exist_ok=True)
    header = ("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season",
              "Episode", "StartTime", "EndTime")
    for split in ("train", "dev", "test"):
        with (folder / f"{split}_sent_emo.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for number, row in enumerate(row for row in rows if row[0] == split):
                _, dialogue, utterance, speaker, text, emotion, sentiment, season, episode, start, end = row
                writer.writerow([number, text, speaker, emotion, sentiment, dialogue, utterance, season, episode,
                                 *(f"00:{at // 60:02}:{at % 60:02},000" for at in (start, end))])
    return folder


@pytest.fixture
def meld(tmp_path):
    """Return the function `meld(rows)`: a folder in MELD's layout; a row is (split, …) as in `write_meld`."""
    return lambda rows: write_meld(tmp_path / "meld", rows)


@pytest.fixture
def row():
    """Return the function `row(split, dialogue, utterance, **other)` with the columns that do not matter filled in."""
    def make(split, dialogue, utterance, *, speaker=None, text=None, emotion="joy", sentiment="positive", season=1,
             episode=None, start=None, end=None):
        number = ("train", "dev", "test").index(split) * 100 + dialogue * 10 + utterance
        start = 4 * number if start is None else start
        return (split, dialogue, utterance, f"{split} {number}" if speaker is None else speaker,
                f"Words of number {number}" if text is None else text, emotion, sentiment, season,
                ("train", "dev", "test").index(split) if episode is None else episode, start,
                start + 3 if end is None else end)
    return make
