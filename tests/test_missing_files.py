"""A file that is missing, or a wrong word, is said before TensorFlow starts."""

import pytest

from tests.support import command_help
from tests.support.paths import ROOT

MISSING = "no_such_thing"
_PHOTO = str(ROOT / "docs" / "photos" / "cyclists.jpg")
_WEIGHTS = ("--weights", MISSING)
_RECORDS = ("--records", MISSING)
_LIFTER = ("--weights", str(ROOT / "tf_hmr" / "assets" / "lifter"))
LINES = [
    ("tf_hmr", MISSING),
    ("tf_hmr", _PHOTO, *_WEIGHTS),
    ("tf_hmr", _PHOTO, "--boxes", MISSING),
    ("tf_hmr", _PHOTO, f"--{MISSING}"),
    ("tf_hmr.convert", "spin", MISSING, "--body=open", "--out=out"),
    ("tf_hmr.convert", "hmr-tf1", MISSING, "--body=open", "--out=out"),
    ("tf_hmr.fit_keypoints", "--keypoints", MISSING),
    ("tf_hmr.fit_keypoints", f"--keypoints={_PHOTO}", f"--body={MISSING}"),
    ("training.fit", MISSING),
    ("training.evaluate", *_WEIGHTS),
    ("training.evaluate", *_LIFTER, "--protocol", MISSING),
    ("training.evaluate", *_LIFTER, *_RECORDS),
    ("training.evaluate", "--predictions", MISSING),
    ("training.evaluate_landmarks", *_RECORDS),
    ("training.sensitivity", *_LIFTER, *_RECORDS, "--out=out"),
    ("training.sensitivity", *_WEIGHTS, *_RECORDS, "--out=out"),
    ("training.pose_vae", *_LIFTER, *_RECORDS, "--out=out"),
    ("training.smplr_parts", *_LIFTER, *_RECORDS, "--out=out"),
    ("training.draw_batches", MISSING, "--out=sheet.png"),
    ("training.draw_fits", MISSING, "--out=fits.png"),
    ("training.doctor", MISSING),
    ("training.claims", MISSING),
    ("training.report", "--results", MISSING),
    ("training.prepare", MISSING),
    ("training.prepare", "coco", "--root", MISSING, "--out=out"),
    ("training.benchmark", MISSING),
    ("training.gpu_check", "--checks", MISSING),
    ("training.gpu_check", "--devices", MISSING),
    ("training.gpu_check", "--methods", MISSING),
    ("training.data_service", "worker", "--dispatcher=a:1", f"--{MISSING}"),
    ("edge.export", *_WEIGHTS, "--out=out.tflite"),
    ("edge.report", *_WEIGHTS),
    ("edge.apk", "--model", MISSING),
    ("edge.lint", MISSING),
    ("edge.benchmark", MISSING),
    ("edge.site", "--out=out", f"--model={MISSING}.tflite"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    return command_help.answers(LINES, tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_what_is_missing_is_named_without_tensorflow(words, answers):
    answer = answers[words]
    assert answer.status not in (0, None)
    text = answer.text + answer.errors
    assert MISSING in text and "Traceback" not in text, text
    assert not answer.has_tensorflow
