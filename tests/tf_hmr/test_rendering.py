import cv2
import numpy as np
import pytest
import trimesh

from tests.support.closeness import assert_close
from tf_hmr import joints, rendering
from tf_hmr.geometry import camera

WHITE = 255


def rectangle(view, left, top, right, bottom, z=2.0):
    """A flat rectangle whose corners project to these pixel coordinates."""
    corners = np.array(
        [(left, top), (right, top), (right, bottom), (left, bottom)]
    )
    xy = (corners - view.centre) * z / view.focal_px
    vertices = np.concatenate([xy, np.full((4, 1), z)], axis=1)
    return vertices, np.array([[0, 2, 1], [0, 3, 2]])


def facing_camera(body_data, z=4.0):
    """The resting body upright before the camera, looking at it."""
    return body_data.v_template * [1, -1, -1] + [0, 0, z]


@pytest.mark.parametrize(
    ("width", "height", "centre"),
    [
        (64, 64, (31.5, 31.5)),
        (81, 60, (40, 29.5)),
        (60, 81, (-20.3, 95.7)),
    ],
)
def test_pixels_whose_centres_are_inside_are_drawn(width, height, centre):
    view = rendering.View(width, height, 120.0, centre)
    vertices, faces = rectangle(view, 10.2, 20.7, 30.4, 40.1)
    expected = np.zeros((height, width), bool)
    expected[21:41, 11:31] = True
    assert (rendering.silhouette(vertices, faces, view) == expected).all()


@pytest.mark.parametrize("z", [0.3, 1.0, 6.0, 9.37, 99.0, 1234.5])
def test_background_is_empty_at_any_distance(z):
    view = rendering.View.of_crop(40, 300.0)
    vertices, faces = rectangle(view, 9.5, 9.5, 19.5, 19.5, z)
    distance = rendering.depth(vertices, faces, view)
    assert np.count_nonzero(np.isfinite(distance)) == 100
    assert_close("drawn_depth", distance[15, 15], z)
    assert np.isinf(distance[0, 0])


def test_depth_of_a_slanted_plane_is_perspective_correct():
    view = rendering.View(50, 40, 60.0, (20.0, 25.0))
    corners = np.array([(-3, -3), (3, -3), (3, 3), (-3, 3)], float)
    # The plane z = 2 + 0.4 x - 0.2 y.
    z = 2 + corners @ (0.4, -0.2)
    vertices = np.column_stack([corners, z])
    distance = rendering.depth(vertices, np.array([[0, 1, 2], [0, 2, 3]]), view)
    row, column = np.mgrid[:40, :50]
    ray_x, ray_y = (column - 20.0) / 60, (row - 25.0) / 60
    expected = 2 / (1 - 0.4 * ray_x + 0.2 * ray_y)
    assert_close("drawn_depth", distance, expected)


def test_nearer_surface_hides_the_farther():
    view = rendering.View.of_crop(32, 50.0)
    near_vertices, faces = rectangle(view, 8.5, 8.5, 15.5, 15.5, 1.0)
    far_vertices, _ = rectangle(view, 0.5, 0.5, 25.5, 25.5, 3.0)
    for order in ((near_vertices, far_vertices), (far_vertices, near_vertices)):
        distance = rendering.depth(
            np.concatenate(order), np.concatenate([faces, faces + 4]), view
        )
        assert_close("drawn_depth", distance[12, 12], 1.0)
        assert_close("drawn_depth", distance[4, 4], 3.0)


def test_parts_are_where_the_body_has_them(body_data):
    labels, names = body_data.parts("part14")
    view = rendering.View(300, 220, 480, (150, 75))
    vertices = facing_camera(body_data)
    parts = rendering.part_labels(vertices, body_data.faces, labels, view)
    mask = rendering.silhouette(vertices, body_data.faces, view)
    assert ((parts > 0) == mask).all()
    assert set(np.unique(parts)) == set(range(len(names) + 1))
    middle = {
        name: np.argwhere(parts == index + 1).mean(axis=0)
        for index, name in enumerate(names)
    }
    assert middle["head"][0] < middle["torso"][0] < middle["left_foot"][0]
    # Who looks at the camera has the left hand on the picture's right.
    assert middle["right_hand"][1] < middle["torso"][1]
    assert middle["torso"][1] < middle["left_hand"][1]


def test_skipping_faces_turned_away_changes_nothing(body_data):
    view = rendering.View.of_crop(200, 350.0)
    vertices = facing_camera(body_data)
    both_sides = rendering.vertex_ids(vertices, body_data.faces, view)
    front = rendering.vertex_ids(vertices, body_data.faces, view, closed=True)
    assert (both_sides == front).all()
    assert (both_sides >= 0).sum() > 1000


def test_vertex_ids_name_a_vertex_of_the_face_seen(body_data):
    view = rendering.View.of_crop(200, 350.0)
    vertices = facing_camera(body_data)
    ids = rendering.vertex_ids(vertices, body_data.faces, view)
    row, column = np.nonzero(ids >= 0)
    offsets = view.project(vertices[ids[row, column]])
    offsets -= np.stack([column, row], axis=1)
    edges = np.diff(vertices[body_data.faces[:, [0, 1, 2, 0]]], axis=1)
    longest = np.linalg.norm(edges, axis=-1).max() * 350 / 3.5
    assert np.linalg.norm(offsets, axis=1).max() < longest
    assert ids[0, 0] == -1


def test_window_is_a_piece_of_the_view():
    view = rendering.View(100, 80, 90.0, (40.0, 33.0))
    piece = view.window(12, 20, 30, 25, zoom=3)
    assert (piece.width, piece.height) == (90, 75)
    points = np.array([[0.1, -0.2, 2.0], [0.0, 0.3, 4.0]])
    # Edges scale: (pixel + 1/2 - corner) * zoom - 1/2.
    expected = (view.project(points) + 0.5 - [12, 20]) * 3 - 0.5
    assert_close("float64", piece.project(points), expected)


def test_normals_of_a_sphere_point_outwards():
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=2.0)
    normals = rendering.vertex_normals(
        np.asarray(sphere.vertices), np.asarray(sphere.faces)
    )
    assert_close("sphere_normal", normals, sphere.vertices / 2.0)


def test_shade_leaves_the_photo_where_no_body_is(body_data, rng):
    photo = rng.integers(0, 256, (160, 200, 3), np.uint8)
    view = rendering.View(200, 160, 250, (100, 60))
    vertices = facing_camera(body_data)
    picture = rendering.shade(vertices, body_data.faces, view, photo)
    near_body = cv2.dilate(
        rendering.silhouette(vertices, body_data.faces, view).astype(np.uint8),
        np.ones((3, 3)),
    ).astype(bool)
    assert (picture[~near_body] == photo[~near_body]).all()
    assert (picture[near_body] != photo[near_body]).any(axis=1).mean() > 0.8


@pytest.mark.parametrize("z", [3.0, 4.0, 5.3, 6.1])
def test_shade_is_white_around_and_smooth_at_the_edge(z):
    view = rendering.View.of_crop(64, 100.0)
    vertices, faces = rectangle(view, 10.0, 10.25, 40.0, 40.0, z)
    picture = rendering.shade(vertices, faces, view, colour=(0, 0, 0))
    assert (picture[:5] == WHITE).all()
    assert (picture[20, 20] == 0).all()
    # The edge at 10.25 halves this row of two samples per axis.
    assert 100 < picture[10, 20, 0] < 155


def test_light_comes_from_the_camera():
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
    vertices = np.asarray(sphere.vertices) + [0, 0, 6.0]
    view = rendering.View.of_crop(64, 150.0)
    picture = rendering.shade(
        vertices, np.asarray(sphere.faces), view, colour=(0.9, 0.9, 0.9)
    )
    # From above and the left: darker below and on the right.
    assert picture[20, 22, 0] > picture[44, 44, 0] + 50


def test_vertex_colours_replace_the_one_colour():
    view = rendering.View.of_crop(32, 50.0)
    vertices, faces = rectangle(view, 5, 5, 25, 25)
    red = np.tile([1.0, 0.0, 0.0], (4, 1))
    picture = rendering.shade(vertices, faces, view, vertex_colours=red)
    assert picture[15, 15, 0] > 0
    assert (picture[15, 15, 1:] == 0).all()


def test_shade_refuses_a_background_of_another_size(body_data):
    with pytest.raises(ValueError, match=r"\(10, 12, 3\).*\(20, 20, 3\)"):
        rendering.shade(
            facing_camera(body_data),
            body_data.faces,
            rendering.View.of_crop(20, 30.0),
            background=np.zeros((10, 12, 3), np.uint8),
        )


def test_side_view_turns_depth_into_width():
    box = trimesh.creation.box(extents=(0.2, 1.0, 0.6))
    vertices = np.asarray(box.vertices) + [3.0, -2.0, 7.0]
    # A nose towards the camera.
    nose = trimesh.creation.box(extents=(0.05, 0.05, 0.3))
    vertices = np.concatenate(
        [vertices, np.asarray(nose.vertices) + [3.0, -2.4, 6.6]]
    )
    faces = np.concatenate([box.faces, np.asarray(nose.faces) + 8])
    picture = rendering.side_view(vertices, faces, 200)
    mask = (picture < WHITE).any(axis=2)
    rows, columns = np.nonzero(mask)
    assert np.ptp(rows) > np.ptp(columns) > 0.7 * np.ptp(rows)
    upper, lower = mask[rows.min() + 15], mask[rows.max() - 15]
    assert np.nonzero(upper)[0].max() > np.nonzero(lower)[0].max() + 5


def test_skeleton_draws_what_is_visible():
    image = np.zeros((100, 100, 3), np.uint8)
    names = ("left_shoulder", "left_elbow", "right_shoulder", "right_elbow")
    points = np.array([(20, 20), (20, 60), (70, 20), (70, 60)], float)
    drawing = rendering.skeleton(image, points, names, (1, 1, 1, 0))
    assert (image == 0).all()
    assert drawing[40, 20].any(), "the left upper arm"
    assert not drawing[40, 70].any(), "a bone to a hidden joint"
    red, green, blue = drawing[60, 70].tolist()
    assert red == green == blue > 0, "a hidden joint is grey"
    assert (drawing[20, 20] != drawing[20, 70]).any(), "sides differ in colour"


def test_skeleton_survives_points_that_are_nowhere():
    image = np.zeros((50, 50, 3), np.uint8)
    points = np.array([(np.nan, 3.0), (1e12, -1e12), (25.0, 25.0)])
    names = ("left_hip", "left_knee", "nose")
    drawing = rendering.skeleton(image, points, names)
    assert drawing[25, 25].any()


def test_placed_mesh_is_where_the_weak_camera_sees_it(rng):
    points = rng.uniform(-0.5, 0.5, (20, 3))
    weak = np.array([0.8, 0.15, -0.1])
    size, focal_px = 224, 1e6
    translated = rendering.apply_weak_camera(points, weak, size, focal_px)
    pixels = rendering.View.of_crop(size, focal_px).project(translated)
    ndc = camera.project_weak_perspective(points, weak)
    assert_close("far_camera_px", pixels, (ndc + 1) * size / 2 - 0.5)


def test_every_bone_is_drawn_between_known_joints():
    size = 400
    for start, end in joints.BONES:
        points = np.full((len(joints.KEYPOINTS), 2), np.nan)
        indices = joints.select((start, end), of=joints.KEYPOINTS)
        points[list(indices)] = [(50, 50), (350, 350)]
        image = np.zeros((size, size, 3), np.uint8)
        drawing = rendering.skeleton(image, points, joints.KEYPOINTS)
        assert drawing[200, 200].any(), (start, end)
