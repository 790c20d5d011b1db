"""Samples of the skin: chosen evenly, and posed as the mesh is."""

import numpy as np
import pytest

from tests.support import larger_body
from tests.support.closeness import assert_close
from tests.support.reference_body import random_betas, random_rotmats
from tf_hmr import rendering
from tf_hmr.body import skin_samples
from tf_hmr.body.model import Body

COUNT = 400


@pytest.fixture(scope="module")
def samples(body_data):
    return skin_samples.choose(body_data, COUNT)


def test_samples_are_sorted_by_part_and_share_all_of_the_skin(
    samples, body_data
):
    labels, names = body_data.parts("part14")
    assert len(set(samples.vertices)) == COUNT
    expected = np.repeat(np.arange(len(names)), samples.counts)
    assert_close("exact", labels[samples.vertices], expected)
    corners = body_data.v_template[body_data.faces].astype(np.float64)
    sides = corners[:, 1:] - corners[:, :1]
    cross = np.cross(sides[:, 0], sides[:, 1])
    skin = np.linalg.norm(cross, axis=1).sum() / 2
    assert_close("relative_float32", samples.areas.sum(dtype=np.float64), skin)
    assert 1.4 < skin < 2.4


def test_samples_are_even_and_face_outwards(samples, body_data):
    points = body_data.v_template[samples.vertices]
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    distances += 9 * np.eye(COUNT)
    nearest = distances.min(1)
    # A random choice has neighbours at a fourth of the mean distance.
    assert nearest.min() > 0.5 * nearest.mean()
    mesh_normals = rendering.vertex_normals(
        body_data.v_template, body_data.faces
    )[samples.vertices]
    assert_close(
        "relative_float32",
        np.linalg.norm(samples.normals, axis=1),
        np.ones(COUNT),
    )
    assert (np.sum(mesh_normals * samples.normals, axis=1) > 0.5).mean() > 0.98


def test_posed_samples_are_vertices_of_the_mesh(body, samples, rng):
    rotmats, betas = random_rotmats(rng, 3, spread=0.5), random_betas(rng, 3)
    points, normals = body.skin_sampler(samples)(rotmats, betas)
    mesh = body(rotmats, betas).vertices.numpy()
    assert_close("body_metres", points, mesh[:, samples.vertices])
    for vertices, sample_normals in zip(mesh, normals.numpy(), strict=True):
        mesh_normals = rendering.vertex_normals(vertices, body.data.faces)
        cosines = np.sum(
            mesh_normals[samples.vertices] * sample_normals, axis=1
        )
        assert np.median(cosines) > 0.95


def test_sizes_are_the_bodys(body_data, rng):
    data = larger_body.with_fingers(body_data, rng)
    samples = skin_samples.choose(data, 50)
    sample = Body(data, jit=False).skin_sampler(samples)
    rotmats = np.tile(np.eye(3), (2, data.num_joints, 1, 1))
    points, _ = sample(rotmats, np.zeros((2, data.num_betas)))
    expected = data.v_template[samples.vertices]
    assert_close("body_metres", points[1], expected)


def test_too_few_points_are_refused_with_the_parts_that_get_none(body_data):
    with pytest.raises(ValueError, match="13 points of the skin, expected 14"):
        skin_samples.choose(body_data, 13)
    with pytest.raises(ValueError, match="leave none for .* more points"):
        skin_samples.choose(body_data, 14)
    with pytest.raises(ValueError, match="expected 14"):
        skin_samples.choose(body_data, body_data.num_vertices + 1)
    with pytest.raises(ValueError, match="no division"):
        skin_samples.choose(body_data, 50, "part99")
