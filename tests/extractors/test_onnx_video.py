"""Frames through a tiny ONNX model that the test makes itself."""

import hashlib
import json

import numpy as np
import pytest

from emoprep.contracts import find_extractor
from emoprep.errors import MissingInput, UsageError
from emoprep.extractors import onnx_video
from emoprep.utterance import Sample

onnx = pytest.importorskip("onnx", reason="the tests build their models with it")
pytest.importorskip("onnxruntime", reason="the extra that the extractor needs")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
FREE = ("N", 3, "H", "W")


def write(path, shape=FREE, pooled=(2, 3), weights=None):
    """Write a model: the mean of the frames over the axes `pooled`, times `weights` [3, d]."""
    weights = np.eye(3, 5, dtype=np.float32) if weights is None else weights
    nodes = [helper.make_node("ReduceMean", ["frames", "axes"], ["means"], keepdims=0),
             helper.make_node("MatMul", ["means", "weights"], ["vectors"])]
    return save(path, nodes, [helper.make_tensor_value_info("frames", FLOAT, shape)],
                [numpy_helper.from_array(weights, "weights"),
                 numpy_helper.from_array(np.array(pooled), "axes")])


def save(path, nodes, inputs, constants=()):
    output = helper.make_tensor_value_info("vectors", FLOAT, None)
    graph = helper.make_graph(nodes, "tiny", inputs, [output], constants)
    # The versions are fixed so that an onnx newer than onnxruntime does no harm.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def sample(count=40, side=16):
    frames = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return Sample("meld_train_dia0_utt0", "", frames, 10.0, None, 16000)


@pytest.mark.parametrize("shape", [FREE, (None, 3, None, None), (1, 3, 16, 16), ("N", 3, 16, 16)])
def test_each_frame_goes_through_in_rgb_from_0_to_1(tmp_path, shape):
    module, argument = find_extractor("video", f"onnx:{write(tmp_path / 'mean.onnx', shape)}")
    assert module is onnx_video
    prepared = module.prepare(argument, "none")
    rows = module.describe(sample(), prepared)
    assert rows.shape == (40, 5) and rows.dtype == np.float32
    np.testing.assert_allclose(rows[:, :3], sample().frames.mean(axis=(1, 2)) / 255, atol=1e-5)
    assert module.clock(prepared, 10.0) == "fps:10"
    pooled = module.describe(sample(), module.prepare(argument, "mean"))
    np.testing.assert_allclose(pooled, rows.mean(axis=0), atol=1e-6)


def test_frames_are_scaled_to_the_models_size(tmp_path):
    path = write(tmp_path / "m.onnx", ("N", 3, 8, 24), weights=np.eye(3, dtype=np.float32))
    prepared = onnx_video.prepare(str(path), "none")
    flat = Sample("k", "", np.full((2, 16, 16, 3), (255, 51, 0), np.uint8), 10.0, None, 16000)
    np.testing.assert_allclose(onnx_video.describe(flat, prepared), [[1, 0.2, 0]] * 2, atol=1e-6)


def test_the_manifest_gets_name_and_sha256_but_no_path(tmp_path):
    path = write(tmp_path / "face.onnx")
    prepared = onnx_video.prepare(str(path), "mean")
    assert prepared.pop("argument") == str(path)
    assert prepared == {"pool": "mean", "model": "face.onnx", "pixels": "RGB 0..1",
                        "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert str(tmp_path) not in json.dumps(prepared)


def test_its_own_dimension_is_kept_unless_one_is_asked_for(tmp_path):
    prepared = onnx_video.prepare(str(write(tmp_path / "m.onnx")), "mean")
    rows = [onnx_video.describe(sample(3 + number), prepared) for number in range(6)]
    assert onnx_video.fit(lambda: iter(rows), None, 0).dim == 5
    assert onnx_video.fit(lambda: iter(rows), 2, 0).transform(rows[0]).shape == (2,)
    bare = Sample("k", "", None, 10.0, None, 16000)
    assert onnx_video.describe(bare, prepared) is None


@pytest.mark.parametrize(("inputs", "got"), [
    ([(FLOAT, ("N", 1, 16, 16))], "tensor(float) ['N', 1, 16, 16]"),
    ([(FLOAT, (4, 3, 16, 16))], "tensor(float) [4, 3, 16, 16]"),
    ([(FLOAT, ("N", 3))], "tensor(float) ['N', 3]"),
    ([(FLOAT, ("N",))], "tensor(float) ['N']"),
    ([(UINT8, FREE)], "tensor(uint8) ['N', 3, 'H', 'W']"),
    ([(FLOAT, FREE), (FLOAT, ("N",))], "tensor(float) ['N', 3, 'H', 'W'] and tensor(float) ['N']")])
def test_a_model_that_takes_no_frames_is_refused(tmp_path, inputs, got):
    described = [helper.make_tensor_value_info(f"input{number}", kind, shape)
                 for number, (kind, shape) in enumerate(inputs)]
    path = save(tmp_path / "m.onnx", [helper.make_node("Cast", ["input0"], ["vectors"], to=FLOAT)], described)
    with pytest.raises(UsageError) as caught:
        onnx_video.prepare(str(path), "mean")
    assert str(caught.value) == (f"{path}: this model does not take frames: expected one input, "
                                 f"tensor(float) [N, 3, H, W] with N free or 1, got {got}")


def test_a_model_without_a_vector_a_frame_is_refused(tmp_path):
    path = write(tmp_path / "map.onnx", ("N", 3, 16, 16), pooled=(1,), weights=np.ones((16, 2), np.float32))
    with pytest.raises(UsageError, match=r"no vector a frame: expected \[1, d\], got \[1, 16, 2\]"):
        onnx_video.prepare(str(path), "mean")
    free = write(tmp_path / "free.onnx", pooled=(1,), weights=np.ones((16, 2), np.float32))
    prepared = onnx_video.prepare(str(free), "mean")
    with pytest.raises(UsageError, match=r"no vector a frame: expected \[3, d\], got \[3, 16, 2\]"):
        onnx_video.describe(sample(3), prepared)
    with pytest.raises(UsageError, match=r"cannot run on frames: expected an input of \[3, 3, 24, 24\]"):
        onnx_video.describe(sample(3, side=24), prepared)


@pytest.mark.parametrize("content", [b"", b"this is no model", b"\x00" * 100])
def test_a_file_that_is_no_model_is_one_line(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="this is no usable ONNX model") as caught:
        onnx_video.prepare(str(path), "mean")
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_weights_in_another_file_are_refused(tmp_path, monkeypatch):
    model = onnx.load(write(tmp_path / "m.onnx", weights=np.ones((3, 500), np.float32)))
    outside = tmp_path / "outside.onnx"
    onnx.save_model(model, outside, save_as_external_data=True, location="weights.data", size_threshold=100)
    # From the working folder the runtime would open them.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="this model keeps weights in another file: expected one file"):
        onnx_video.prepare(str(outside), "mean")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    with pytest.raises(MissingInput, match=r"gone\.onnx: this is no file: expected an ONNX model"):
        onnx_video.prepare(str(tmp_path / "gone.onnx"), "mean")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingInput, match=r'no onnxruntime; pip install "emoprep\[onnx\]"'):
        onnx_video.prepare(str(tmp_path / "gone.onnx"), "mean")
