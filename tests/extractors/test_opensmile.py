"""openSMILE behind our contract, where the extra is installed."""

import numpy as np
import pytest

from emoprep.errors import UsageError
from emoprep.extractors import opensmile_audio
from emoprep.utterance import Sample

opensmile = pytest.importorskip("opensmile", reason="openSMILE is not for commerce, so the tests do not install it")


def sample(seconds):
    sound = 0.3 * np.sin(2 * np.pi * 180 * np.arange(round(seconds * 16000)) / 16000)
    return Sample("k", None, None, 10.0, sound.astype(np.float32), 16000)


@pytest.mark.parametrize(("feature_set", "dim"), [("eGeMAPSv02", 88), ("IS13", 6373), ("ComParE_2016", 6373)])
def test_functionals_are_opensmiles_own(feature_set, dim):
    settings = opensmile_audio.prepare(feature_set, "mean")
    found = opensmile_audio.describe(sample(1.2), settings)
    plain = opensmile.Smile(feature_set=opensmile.FeatureSet[feature_set],
                            feature_level=opensmile.FeatureLevel.Functionals)
    expected = plain.process_signal(sample(1.2).samples, 16000).to_numpy()[0]
    assert found.shape == (dim,)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("seconds", [1 / 16000, 0.02, 0.3])
@pytest.mark.parametrize("pool", ["mean", "none"])
def test_short_sound_gives_numbers(seconds, pool):
    found = opensmile_audio.describe(sample(seconds), opensmile_audio.prepare("eGeMAPSv02", pool))
    assert np.isfinite(found).all() and found.any()


def test_fit_keeps_the_dimension_and_tells_the_licence():
    settings = opensmile_audio.prepare("eGeMAPSv02", "mean")
    rows = [opensmile_audio.describe(sample(seconds), settings) for seconds in (0.6, 0.9, 1.3, 2.0)]
    for dim in (None, 3):
        fitted = opensmile_audio.fit(lambda: iter(rows), dim, 0)
        assert fitted.dim == (dim or 88) and fitted.transform(rows[0]).shape == (dim or 88,)
        assert opensmile_audio.NOTICE in fitted.notes


def test_unknown_set_is_told():
    with pytest.raises(UsageError, match="expected ComParE_2016 or GeMAPS"):
        opensmile_audio.prepare("nope", "mean")
