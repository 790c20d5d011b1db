"""From the device's lines to BVH and glTF: readers of their own read back."""

import dataclasses
import json
import struct

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from tests.support import larger_body
from tests.support.closeness import assert_close
from tf_hmr import clip, joints
from tf_hmr.body.model import Body
from tf_hmr.formats import bvh, gltf

FPS = 25.0
COUNT = 12
TO_Y_UP = np.diag([1.0, -1.0, -1.0])


@pytest.fixture
def motion(rng):
    """Rotation vectors (T, 24, 3), betas and translations of a walk-like run:
    upright, every joint moving, also past half a turn."""
    times = np.arange(COUNT)[:, None, None] / FPS
    swing = rng.normal(0, 0.5, (1, 24, 3))
    rotvecs = swing * np.sin(4 * times + rng.uniform(0, 6, (1, 24, 1)))
    turn = Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_rotvec(
        np.linspace(0, 11, COUNT)[:, None] * [[0, 1, 0]]
    )
    rotvecs[:, 0] = turn.as_rotvec()
    translations = np.array([0.1, 0.2, 8.0]) + rng.normal(0, 0.1, (COUNT, 3))
    return rotvecs, rng.normal(0, 1, 10), translations


def write_lines(path, motion, body_data, lost_frames=(), track=0):
    rotvecs, betas, translations = motion
    with open(path, "a") as file:
        for frame in range(len(rotvecs)):
            line = {"frame": frame, "time_s": frame / FPS, "track": track}
            line |= {"state": "lost", "topology": body_data.topology}
            if frame not in lost_frames:
                line |= {
                    "state": "tracked",
                    "pose_rotvec": rotvecs[frame].tolist(),
                    "betas": betas.tolist(),
                    "translation_m": translations[frame].tolist(),
                }
            file.write(json.dumps(line) + "\n")
    return path


def expected(motion, data):
    """Vertices and skeleton by Body, placed, y up."""
    rotvecs, betas, translations = motion
    rotmats = Rotation.from_rotvec(rotvecs.reshape(-1, 3)).as_matrix()
    count = len(rotvecs)
    mesh = Body(data, jit=False)(
        np.float32(rotmats.reshape(count, -1, 3, 3)),
        np.float32(np.tile(betas, (count, 1))),
    )
    return [
        (points.numpy() + translations[:, None]) @ TO_Y_UP
        for points in (mesh.vertices, mesh.skeleton)
    ]


def read_bvh(path):
    """Joint names, frame time and positions (T, J, 3): a small BVH player."""
    words = path.read_text().split()
    at, stack, names, offsets, parents, channels = 0, [], [], [], [], []
    while words[at] != "MOTION":
        word = words[at]
        if word in ("ROOT", "JOINT", "End"):
            names.append("" if word == "End" else words[at + 1])
            parents.append(stack[-1] if stack else -1)
            channels.append([])
            offsets.append(None)
        elif word == "{":
            stack.append(len(names) - 1)
        elif word == "}":
            stack.pop()
        elif word == "OFFSET":
            offsets[stack[-1]] = np.array(words[at + 1 : at + 4], float)
        elif word == "CHANNELS":
            count = int(words[at + 1])
            channels[stack[-1]] = words[at + 2 : at + 2 + count]
        at += 1
    frames, frame_s = int(words[at + 2]), float(words[at + 5])
    values = np.array(words[at + 6 :], float).reshape(frames, -1)
    positions = np.zeros((frames, len(names), 3))
    for frame, row in enumerate(values):
        numbers, turns = iter(row), {}
        for joint, parent in enumerate(parents):
            local, turn = offsets[joint].copy(), np.eye(3)
            for channel in channels[joint]:
                axis, value = "XYZ".index(channel[0]), next(numbers)
                if channel.endswith("position"):
                    local[axis] += value
                else:
                    vector = np.deg2rad(value) * np.eye(3)[axis]
                    turn = turn @ Rotation.from_rotvec(vector).as_matrix()
            above = turns[parent] if joint else np.eye(3)
            start = positions[frame, parent] if joint else 0
            positions[frame, joint] = start + above @ local
            turns[joint] = above @ turn
    return names, frame_s, positions


def run(lines, **options):
    return clip.main(clip.Args(lines, **options))


def test_bvh_has_the_joints_of_the_body(motion, body_data, tmp_path):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    assert run(lines, bvh=tmp_path / "a.bvh") == 0
    names, frame_s, positions = read_bvh(tmp_path / "a.bvh")
    _, skeleton = expected(motion, body_data)
    named = [names.index(name) for name in joints.SMPL24]
    assert frame_s == pytest.approx(1 / FPS, abs=1e-6)
    assert_close("bvh_metres", positions[:, named], skeleton)


def test_a_larger_body_keeps_its_joints(motion, body_data, rng, tmp_path):
    data = larger_body.with_fingers(body_data, rng)
    plain, betas, translations = motion
    rotvecs = rng.normal(0, 0.3, (COUNT, data.num_joints, 3))
    rotvecs[:, larger_body.FROM_SMPL24] = plain
    larger = rotvecs, np.append(betas, [1.0, -1.0]), translations
    data.save(tmp_path / "larger.npz")
    lines = write_lines(tmp_path / "a.jsonl", larger, data)
    files = {kind: tmp_path / f"a.{kind}" for kind in ("bvh", "glb")}
    assert run(lines, body=str(tmp_path / "larger.npz"), **files) == 0
    names, _, positions = read_bvh(files["bvh"])
    vertices, skeleton = expected(
        larger,
        dataclasses.replace(data, posedirs=np.zeros_like(data.posedirs)),
    )
    named = [names.index(name) for name in data.joint_names]
    assert_close("bvh_metres", positions[:, named], skeleton)
    nodes = read_glb(files["glb"])[0]["nodes"]
    assert [node["name"] for node in nodes][: len(named)] == [*data.joint_names]
    distances = np.linalg.norm(played(files["glb"], 3) - vertices[3], axis=-1)
    assert np.median(distances) < 1e-4


def test_bodies_of_other_joints_are_refused(
    motion, body_data, rng, tmp_path, caplog
):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    larger_body.with_fingers(body_data, rng).save(tmp_path / "larger.npz")
    options = {"bvh": tmp_path / "a.bvh", "body": str(tmp_path / "larger.npz")}
    assert run(lines, **options) == 1
    assert "24 joints, but the body" in caplog.text
    assert "has 26" in caplog.text
    assert not options["bvh"].exists()


def test_lost_frames_are_interpolated(motion, body_data, tmp_path):
    rotvecs, betas, _ = motion
    steady = (np.tile(rotvecs[:1], (COUNT, 1, 1)), betas)
    translations = np.linspace([0, 0, 8], [1, 0, 8], COUNT)
    moving = (*steady, translations)
    lines = write_lines(
        tmp_path / "a.jsonl", moving, body_data, lost_frames=(4, 5, 6)
    )
    assert run(lines, bvh=tmp_path / "a.bvh") == 0
    _, frame_s, positions = read_bvh(tmp_path / "a.bvh")
    assert len(positions) == COUNT
    assert_close(
        "bvh_metres", positions[:, 0], expected(moving, body_data)[1][:, 0]
    )


def read_glb(path):
    """The json of a .glb and a function that reads an accessor."""
    content = path.read_bytes()
    size, kind = struct.unpack("<I4s", content[12:20])
    assert kind == b"JSON"
    document, binary = json.loads(content[20 : 20 + size]), content[28 + size :]
    types = {5126: "<f4", 5125: "<u4", 5121: "u1"}

    def array(index):
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        dtype = types[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
        count = accessor["count"] * width[accessor["type"]]
        flat = np.frombuffer(binary, dtype, count, view["byteOffset"])
        return flat.reshape(accessor["count"], -1)

    return document, array


def played(path, frame):
    """Vertices of the first mesh of a .glb, skinned as a viewer does it."""
    document, array = read_glb(path)
    nodes = [dict(node) for node in document["nodes"]]
    (animation,) = document["animations"]
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        values = array(sampler["output"])
        target = channel["target"]
        nodes[target["node"]][target["path"]] = values[frame]
    world = {}

    def pose_node(index, above):
        node, local = nodes[index], np.eye(4)
        local[:3, 3] = node.get("translation", (0, 0, 0))
        turn = Rotation.from_quat(node.get("rotation", (0, 0, 0, 1)))
        local[:3, :3] = turn.as_matrix()
        world[index] = above @ local
        for child in node.get("children", ()):
            pose_node(child, world[index])

    for root in document["scenes"][document["scene"]]["nodes"]:
        pose_node(root, np.eye(4))
    skin = document["skins"][0]
    binds = array(skin["inverseBindMatrices"]).reshape(-1, 4, 4)
    moves = [
        world[node] @ bind.T
        for node, bind in zip(skin["joints"], binds, strict=True)
    ]
    shape = document["meshes"][0]["primitives"][0]["attributes"]
    points = np.insert(array(shape["POSITION"]), 3, 1, axis=1)
    blended = np.einsum(
        "vk,vkab->vab",
        array(shape["WEIGHTS_0"]),
        np.array(moves)[array(shape["JOINTS_0"])],
    )
    return np.einsum("vab,vb->va", blended, points)[:, :3]


def test_glb_plays_the_body(motion, body_data, tmp_path):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    assert run(lines, glb=tmp_path / "a.glb") == 0
    plain = dataclasses.replace(
        body_data, posedirs=np.zeros_like(body_data.posedirs)
    )
    vertices, _ = expected(motion, plain)
    for frame in (0, COUNT // 2, COUNT - 1):
        distances = np.linalg.norm(
            played(tmp_path / "a.glb", frame) - vertices[frame], axis=-1
        )
        # Seven vertices have a fifth joint, of weight 0.03 at most.
        assert np.sort(distances)[-8] < 1e-4
        assert distances.max() < 0.03


def test_glb_is_matt_and_its_normals_point_outward(motion, body_data, tmp_path):
    """Viewers show a metal, glTF's default, as black."""
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    assert run(lines, glb=tmp_path / "a.glb") == 0
    document, array = read_glb(tmp_path / "a.glb")
    primitive = document["meshes"][0]["primitives"][0]
    material = document["materials"][primitive["material"]]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
    points = array(primitive["attributes"]["POSITION"])
    normals = array(primitive["attributes"]["NORMAL"])
    lengths = np.linalg.norm(normals, axis=1)
    assert_close("rotation", lengths, np.ones(len(lengths)))
    # A body grows where its points move along them.
    volume = [
        trimesh.Trimesh(points + step * normals, body_data.faces).volume
        for step in (0.0, 0.001)
    ]
    assert volume[1] > 1.01 * volume[0] > 0


def test_glb_opens_with_every_track(motion, body_data, tmp_path):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    write_lines(lines, motion, body_data, track=1)
    assert run(lines, glb=tmp_path / "a.glb", bvh=tmp_path / "a.bvh") == 0
    scene = trimesh.load(tmp_path / "a.glb")
    assert list(scene.geometry) == ["track 0", "track 1"]
    for mesh in scene.geometry.values():
        np.testing.assert_array_equal(mesh.faces, body_data.faces)
    document, array = read_glb(tmp_path / "a.glb")
    assert len(document["animations"][0]["channels"]) == 2 * 25
    times = array(document["animations"][0]["samplers"][0]["input"])[:, 0]
    assert_close("relative_float32", times, np.arange(COUNT) / FPS)
    assert (tmp_path / "a-1.bvh").is_file()


def test_quaternions_take_the_short_way(motion, body_data, tmp_path):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    run(lines, glb=tmp_path / "a.glb")
    document, array = read_glb(tmp_path / "a.glb")
    for sampler in document["animations"][0]["samplers"][1:]:
        quats = array(sampler["output"])
        assert (np.sum(quats[1:] * quats[:-1], axis=1) > 0).all()


def test_tracks_keep_one_clock(motion, body_data, tmp_path):
    lines = write_lines(
        tmp_path / "a.jsonl", motion, body_data, lost_frames=(0,)
    )
    late = (0, 1, 2, 3)
    write_lines(lines, motion, body_data, lost_frames=late, track=1)
    assert run(lines, glb=tmp_path / "a.glb", bvh=tmp_path / "a.bvh") == 0
    document, array = read_glb(tmp_path / "a.glb")
    samplers = document["animations"][0]["samplers"]
    times = [array(sampler["input"])[:, 0] for sampler in samplers]
    first, last = (np.arange(start, COUNT) - 1 for start in (1, 4))
    assert_close("relative_float32", times[0], first / FPS)
    assert_close("relative_float32", times[-1], last / FPS)
    _, frame_s, positions = read_bvh(tmp_path / "a-1.bvh")
    assert frame_s == pytest.approx(1 / FPS, abs=1e-6)
    assert len(positions) == COUNT - 4


@pytest.mark.parametrize("mark", ["", '"ms": {"crop": 1}'])
def test_a_cut_last_line_is_left_out(motion, body_data, tmp_path, caplog, mark):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    lines.write_text(lines.read_text()[:-200] + mark)
    assert run(lines, bvh=tmp_path / "a.bvh") == 0
    assert "the last line is cut off" in caplog.text
    assert len(read_bvh(tmp_path / "a.bvh")[2]) == COUNT - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no frame shows a person"),
        ("{}\n{}", "line 1 is no line of edge.run"),
        ("no json\n", "line 1 is no line of edge.run"),
    ],
)
def test_wrong_lines_are_one_error(tmp_path, caplog, content, message):
    lines = tmp_path / "a.jsonl"
    lines.write_text(content)
    assert run(lines, glb=tmp_path / "a.glb") == 1
    assert message in caplog.text and len(caplog.records) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_s": 0.0}, "time_s 0 is not after 0.04 of"),
        ({"time_s": 0.04}, "time_s 0.04 is not after 0.04 of"),
        ({"time_s": float("nan")}, "time_s is not finite"),
        ({"time_s": 10**400}, "OverflowError"),
        ({"time_s": None}, "time_s"),
        ({"time_s": [1.0]}, r"time_s has shape (1,), expected ()"),
        ({"betas": 3.0}, "TypeError"),
        ({"betas": [1.0]}, "betas has another length"),
        ({"pose_rotvec": [[0.0, 0.0]]}, "pose_rotvec has shape (1, 2)"),
        ({"pose_rotvec": [[0.0, 0.0, 0.0]]}, "pose_rotvec has another length"),
        ({"translation_m": [float("inf"), 0, 0]}, "translation_m is not fin"),
        ({"track": []}, "TypeError"),
    ],
)
def test_wrong_numbers_name_file_and_line(
    motion, body_data, tmp_path, caplog, changes, words
):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    texts = lines.read_text().splitlines()
    texts[2] = json.dumps(json.loads(texts[2]) | changes)
    lines.write_text("\n".join(texts))
    assert run(lines, bvh=tmp_path / "a.bvh") == 1
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith(f"{lines}: line 3 is no line of edge.run")
    assert words in text and "\n" not in text


@pytest.mark.parametrize(
    "key", ["time_s", "pose_rotvec", "betas", "translation_m"]
)
def test_a_missing_field_names_file_and_line(
    motion, body_data, tmp_path, caplog, key
):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    texts = lines.read_text().splitlines()
    line = json.loads(texts[4])
    del line[key]
    texts[4] = json.dumps(line)
    lines.write_text("\n".join(texts))
    assert run(lines, bvh=tmp_path / "a.bvh") == 1
    (record,) = caplog.records
    assert f"{lines}: line 5 is no line" in record.getMessage()
    assert key in record.getMessage()


def test_a_far_time_is_refused_before_memory_is_taken(
    motion, body_data, tmp_path, caplog
):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    texts = lines.read_text().splitlines()
    texts[-1] = json.dumps(json.loads(texts[-1]) | {"time_s": 1e12})
    lines.write_text("\n".join(texts))
    assert run(lines, bvh=tmp_path / "a.bvh") == 1
    (record,) = caplog.records
    assert str(lines) in record.getMessage()
    assert str(clip.MAX_FRAMES) in record.getMessage()


def test_another_topology_is_refused(motion, body_data, tmp_path, caplog):
    lines = write_lines(tmp_path / "a.jsonl", motion, body_data)
    text = lines.read_text().replace(body_data.topology, "smpl")
    lines.write_text(text)
    assert run(lines, glb=tmp_path / "a.glb") == 1
    assert "belongs to the body topology 'smpl'" in caplog.text


def test_nothing_asked_for_is_an_error(tmp_path, caplog):
    assert run(tmp_path / "a.jsonl") == 1
    assert "--glb FILE, --bvh FILE or both" in caplog.text


def test_layout_of_the_files_is_stated():
    assert "Rz Ry Rx" in bvh.__doc__ and bvh.CHANNELS in bvh.__doc__
    assert gltf.INFLUENCES == 4  # Viewers read one set.
