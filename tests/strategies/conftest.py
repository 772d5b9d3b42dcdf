"""Real labels that several strategies are held to."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def mosei_labels(shared):
    """Return the labels of all 23,259 CMU-MOSEI segments, int8 [N, 6]: happy, sad, anger, surprise, disgust, fear."""
    from emoprep.balance.problem import open_input

    return np.array(open_input(shared / "real/mosei").index.column("y_mosei_6").to_pylist(), np.int8)
