"""HKMR's chains: order, what depends on what, and the sums by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support import larger_body
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.networks import kinematic_chains

FEATURES = 7
OPTIONS = kinematic_chains.Options(
    outer_steps=2,
    inner_passes=2,
    hierarchy=True,
    forward_only=False,
    embedding=5,
    hidden=6,
)


def make_chain(name="left_leg", **values) -> kinematic_chains.Chain:
    """A chain whose weights are large enough to be seen."""
    chain = kinematic_chains.Chain(name, OPTIONS._replace(**values))
    chain.build(FEATURES)
    spread(chain)
    return chain


def spread(layer) -> None:
    rng = np.random.default_rng(11)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.4, variable.shape))


def literal(chain, features, pose, context) -> np.ndarray:
    """Section 3.2 as its text says it, joint after joint."""
    options, count = chain.options, len(chain.joints)
    layer = chain.embedding
    for number in range(options.inner_passes):
        state = np.concatenate([features, pose, *context], axis=1)
        psi = np.maximum(state @ layer.kernel.numpy() + layer.bias.numpy(), 0)
        forward = options.forward_only or number % 2 == 0
        heads = chain.passes["forward" if forward else "backward"]
        residuals = []
        for head in heads:
            preceding = (
                residuals[::-1] if options.hierarchy else residuals[::-1][:1]
            )
            preceding = preceding or [np.zeros((len(pose), 3))]
            head_input = np.concatenate([psi, *preceding], axis=1)
            residuals.append(
                head_input @ head.kernel.numpy() + head.bias.numpy()
            )
        if not forward:
            residuals = residuals[::-1]
        assert len(residuals) == count
        pose = pose + np.concatenate(residuals, axis=1)
    return pose


def refined(chain, features, pose, context):
    return chain.refine(chain.prepare(features), pose, *context).numpy()


def inputs(chain, rng, root=True):
    features = rng.normal(size=(3, FEATURES)).astype(np.float32)
    pose = rng.normal(size=(3, 3 * len(chain.joints))).astype(np.float32)
    context = [rng.normal(size=(3, 10)).astype(np.float32)]
    if root:
        context.append(rng.normal(size=(3, 12)).astype(np.float32))
    return features, pose, context


def test_chains_are_the_papers():
    """24 joints once each; every joint but the first follows its parent."""
    assert sorted(kinematic_chains.ORDER) == sorted(joints.SMPL24)
    for name, chain in kinematic_chains.CHAINS.items():
        for parent, joint in zip(chain, chain[1:], strict=False):
            assert joints.SMPL24_PARENTS[joint] == parent
        if name != "root":
            assert joints.SMPL24_PARENTS[chain[0]] in kinematic_chains.ROOT
    sizes = [len(chain) for chain in kinematic_chains.CHAINS.values()]
    assert sizes == [4, 2, 5, 5, 4, 4]


def test_orders_are_each_others_inverse(rng):
    values = rng.normal(size=(24, 3)).astype(np.float32)
    reordered = kinematic_chains.to_chain_order(values)
    assert_close("exact", reordered[0], values[0])
    head = kinematic_chains.ORDER.index("head")
    assert_close("exact", reordered[head], values[joints.SMPL24.index("head")])
    back = kinematic_chains.to_smpl_order(tf.constant(reordered[None]))[0]
    assert_close("exact", back, values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"hierarchy": False},
        {"forward_only": True, "inner_passes": 3},
        {"inner_passes": 4},
    ],
)
def test_passes_are_the_papers_equations(values, rng):
    chain = make_chain(**values)
    chain_inputs = inputs(chain, rng)
    assert_close(
        "loss", refined(chain, *chain_inputs), literal(chain, *chain_inputs)
    )


def residuals(chain, way, rng) -> np.ndarray:
    """(K, 3) of a pass, joints from the torso outwards."""
    kernel, bias = chain.residual_map(way)
    psi = rng.normal(size=(1, OPTIONS.embedding)).astype(np.float32)
    return (psi @ kernel + bias).numpy().reshape(-1, 3)


@pytest.mark.parametrize("hierarchy", [True, False])
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_head_moves_the_joints_after_it_alone(way, hierarchy):
    """Forward those farther out, backward those nearer to the torso."""
    chain = make_chain("right_arm", hierarchy=hierarchy)
    before = residuals(chain, way, np.random.default_rng(1))
    changed = chain.passes[way][3]
    changed.bias.assign_add(tf.ones(3))
    after = residuals(chain, way, np.random.default_rng(1))
    is_moved = np.abs(after - before).max(axis=1) > 1e-6
    names = [n for n, one in zip(chain.joints, is_moved, strict=True) if one]
    out = ["right_wrist", "right_hand"]
    joints_before = ["right_collar", "right_shoulder"]
    assert names == (out if way == "forward" else joints_before)


@pytest.mark.parametrize("hierarchy", [True, False])
def test_a_joint_is_given_what_the_options_say(hierarchy):
    """A head's kernel on an earlier residual, changed, moves its joint."""
    chain = make_chain("right_arm", hierarchy=hierarchy)
    last = chain.passes["forward"][4]
    rows = last.kernel.shape[0] - OPTIONS.embedding
    assert rows == (12 if hierarchy else 3)
    before = residuals(chain, "forward", np.random.default_rng(1))
    kernel = last.kernel.numpy()
    kernel[OPTIONS.embedding : OPTIONS.embedding + 3] = 0
    last.kernel.assign(kernel)
    after = residuals(chain, "forward", np.random.default_rng(1))
    # The first rows are the wrist's, whose residual came last.
    expected = before[4] - before[3] @ _block(chain, hierarchy)
    assert_close("loss", after[4], expected)
    assert_close("exact", after[:4], before[:4])


def _block(chain, hierarchy) -> np.ndarray:
    """The rows that were there before."""
    head = make_chain("right_arm", hierarchy=hierarchy).passes["forward"][4]
    return head.kernel.numpy()[OPTIONS.embedding : OPTIONS.embedding + 3]


def regressor(**values) -> kinematic_chains.Regressor:
    layer = kinematic_chains.Regressor(
        OPTIONS._replace(**values), (0.9, 0.0, 0.0)
    )
    layer.build((None, FEATURES))
    return layer


def parts_moved(state, other_state) -> set[str]:
    """The chains whose rotations differ between two estimates."""
    differ = np.abs(state.pose.numpy() - other_state.pose.numpy()).max(axis=0)
    differ = differ.reshape(-1, 3).max(axis=1) > 1e-6
    return {
        name
        for name, chain in kinematic_chains.CHAINS.items()
        if any(differ[kinematic_chains.ORDER.index(j)] for j in chain)
    }


def test_takes_as_many_betas_as_the_body_has(rng):
    layer = kinematic_chains.Regressor(OPTIONS, (0.9, 0.0, 0.0), num_betas=12)
    layer.build((None, FEATURES))
    betas = rng.normal(size=12).astype(np.float32)
    layer.start(np.zeros((24, 3), np.float32), betas)
    states = layer(tf.zeros((2, FEATURES)))
    assert states[-1].betas.shape == (2, 12)
    assert states[-1].pose.shape == (2, 72)
    assert_close("exact", layer.mean[0, 72:], betas)


def test_joints_without_a_chain_are_refused_by_name():
    with pytest.raises(ValueError, match="chains .*'left_index1'"):
        kinematic_chains.Regressor(
            OPTIONS, (0.9, 0.0, 0.0), joint_names=larger_body.JOINT_NAMES
        )


def test_the_roots_pose_reaches_its_children_at_once(rng):
    """And a child's reaches no other chain but by the shape."""
    features = tf.constant(rng.normal(size=(2, FEATURES)), tf.float32)
    model = regressor()
    spread(model)
    before = model(features)
    bias = model.chains["root"].passes["forward"][0].bias
    old_bias = bias.numpy()
    bias.assign_add([1.0, 0, 0])
    all_chains = {*kinematic_chains.CHAINS}
    assert parts_moved(model(features)[0], before[0]) == all_chains
    bias.assign(old_bias)
    model.chains["left_arm"].passes["forward"][0].bias.assign_add([1.0, 0, 0])
    after = model(features)
    assert parts_moved(after[0], before[0]) == {"left_arm"}
    # By the new shape, which the next outer step begins with.
    assert np.abs(after[0].betas - before[0].betas).max() > 1e-4
    assert parts_moved(after[1], before[1]) == all_chains


def test_shape_and_camera_see_the_new_pose_and_shape(rng):
    features = tf.constant(rng.normal(size=(2, FEATURES)), tf.float32)
    model = regressor(outer_steps=1)
    spread(model)
    state = model(features)[0]
    mean = model.mean.numpy()[0]
    for layer, betas, estimate in (
        (model.shape_network, mean[72:] + np.zeros((2, 10)), None),
        (model.camera_network, state.betas.numpy(), state.camera.numpy()),
    ):
        layer_input = np.concatenate([features, state.pose, betas], axis=1)
        inner = layer.embedding
        hidden = layer_input @ inner.kernel.numpy() + inner.bias.numpy()
        expected = np.maximum(hidden, 0) @ layer.out.kernel.numpy()
        expected = expected + layer.out.bias.numpy()
        if estimate is None:
            estimate, expected = state.betas.numpy(), expected + mean[72:]
        assert_close("loss", estimate, expected)


def test_starts_at_the_mean_and_camera_given(rng):
    model = regressor()
    pose, betas = rng.normal(size=(24, 3)), rng.normal(size=10)
    model.start(pose, betas)
    for layer in [*model.chains.values()]:
        for heads in layer.passes.values():
            for head in heads:
                head.kernel.assign(tf.zeros_like(head.kernel))
    for network in (model.shape_network, model.camera_network):
        kernel = network.out.kernel
        kernel.assign(tf.zeros_like(kernel))
    last = model(tf.constant(rng.normal(size=(2, FEATURES)), tf.float32))[-1]
    final_pose = tf.reshape(last.pose, (2, 24, 3))
    final_pose = kinematic_chains.to_smpl_order(final_pose)
    assert_close("exact", final_pose[1], np.float32(pose))
    assert_close("exact", last.betas[1], np.float32(betas))
    assert_close("exact", last.camera[1], np.float32([0.9, 0, 0]))


def test_residuals_start_small():
    """As HMR's last layer, so that training starts at the mean."""
    model = regressor(embedding=64, hidden=64)
    heads = [model.shape_network.out, model.camera_network.out]
    for chain in model.chains.values():
        heads += [head for way in chain.passes.values() for head in way]
    shares = []
    for head in heads:
        limit = (0.01 * 6 / sum(head.kernel.shape)) ** 0.5
        shares.append(np.abs(head.kernel).max() / limit)
    assert 0.9 < min(shares) and max(shares) <= 1.0001


def count(layer) -> int:
    return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


def paper_count(hierarchy=True, forward_only=False, features=2048) -> int:
    """Sizes by the text, with 128 and 256 units for 26.2 M parameters."""
    total = 0
    for name, chain in kinematic_chains.CHAINS.items():
        input_size = features + 10 + 3 * len(chain) + 12 * (name != "root")
        total += (input_size + 1) * 128
        for number in range(len(chain)):
            num_preceding = max(number, 1) if hierarchy else 1
            total += (
                (1 if forward_only else 2) * (128 + 3 * num_preceding + 1) * 3
            )
    for outputs in (10, 3):
        total += (features + 72 + 10 + 1) * 256 + (256 + 1) * outputs
    return total


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 2_712_007),
        ({"hierarchy": False}, 2_711_629),
        ({"forward_only": True}, 2_702_314),
    ],
)
def test_parameter_counts(values, expected):
    options = OPTIONS._replace(embedding=128, hidden=256, **values)
    model = kinematic_chains.Regressor(options, (0.9, 0.0, 0.0))
    model.build((None, 2048))
    assert count(model) == paper_count(**values) == expected
