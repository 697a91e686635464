"""Transforms: each by a hand-worked case, what it must keep, and the same pictures by every plan."""

import numpy as np
import pytest
import tensorflow as tf

from engine.data.augment import Chain, Flip, Resize, Shift, rgb, scale
from engine.errors import Invalid
from engine.noise import Noise

PICTURES = np.random.default_rng(0).integers(1, 256, (16, 9, 7, 3)).astype(np.uint8)
FLIPS = np.linspace(0, 0.99, 16, dtype=np.float32)
SHIFTS = np.random.default_rng(1).random((16, 2), dtype=np.float32)


def drawn(**draws):
    return Noise(drawn={name: tf.constant(value, tf.float32) for name, value in draws.items()})


def apply(transform, image, **draws):
    return transform({"image": tf.constant(image)}, drawn(**draws))["image"].numpy()


def test_scale_is_exact_at_every_grey():
    greys = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    scaled = apply(scale, greys)
    assert scaled.dtype == np.float32 and scaled.min() == 0 and scaled.max() == 1
    np.testing.assert_allclose(scaled, greys / 255, rtol=1.2e-7)
    assert len(np.unique(scaled)) == 256


def test_other_keys_pass_untouched_and_the_batch_is_not_changed():
    label = tf.range(16)
    batch = {"image": tf.constant(PICTURES), "label": label}
    transform = Chain(Flip(), Shift(2), Resize(4, 5), scale)
    result = transform(batch, Noise(seed=1, examples=16))
    assert result["label"] is label and set(result) == {"image", "label"}
    assert batch["image"].dtype == tf.uint8 and result["image"].shape == [16, 4, 5, 3]


def test_flip_mirrors_left_to_right_below_its_probability():
    image = np.array([[[1, 2, 3], [4, 5, 6]]] * 3, np.uint8)[..., None]
    flipped = apply(Flip(0.3), image, flip=[0.0, 0.29, 0.3])
    assert flipped[..., 0].tolist() == [[[3, 2, 1], [6, 5, 4]]] * 2 + [[[1, 2, 3], [4, 5, 6]]]


def test_flip_twice_is_no_flip():
    once = apply(Flip(), PICTURES, flip=FLIPS)
    assert (once != PICTURES).any(axis=(1, 2, 3)).tolist() == (FLIPS < 0.5).tolist()
    np.testing.assert_array_equal(apply(Flip(), once, flip=FLIPS), PICTURES)


def test_flip_always_and_never():
    for seed in range(20):
        batch = {"image": tf.constant(PICTURES)}
        never, always = (Flip(each)(batch, Noise(seed, examples=16))["image"] for each in (0, 1.0))
        np.testing.assert_array_equal(never, PICTURES)
        np.testing.assert_array_equal(always, PICTURES[:, :, ::-1])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("far", [0, 1, 3, 20])
def test_shift_moves_by_whole_pixels_and_fills_with_zeros(dtype, far):
    moved = apply(Shift(far), PICTURES.astype(dtype), shift=SHIFTS)
    assert moved.dtype == dtype
    padded = np.pad(PICTURES, [(0, 0), (far, far), (far, far), (0, 0)])
    for example, (row, column) in enumerate(np.floor(SHIFTS.astype(np.float64) * (2 * far + 1)).astype(int)):
        np.testing.assert_array_equal(moved[example], padded[example, row:row + 9, column:column + 7])


def test_shift_keeps_the_pixels_that_stay_in_the_frame():
    # A margin of 2 zeros all round, moved by at most 2: every pixel stays, as often as it was.
    framed = np.pad(PICTURES, [(0, 0), (2, 2), (2, 2), (0, 0)])
    moved = apply(Shift(2), framed, shift=SHIFTS)
    for before, after in zip(framed, moved, strict=True):
        np.testing.assert_array_equal(np.bincount(before.ravel()), np.bincount(after.ravel()))


def test_shift_reaches_every_move_equally_and_none_beyond():
    dots = np.zeros((2000, 5, 5, 1), np.uint8)
    dots[:, 2, 2] = 1
    moved = Shift(2)({"image": tf.constant(dots)}, Noise(seed=5, examples=2000))["image"].numpy()[..., 0]
    assert (moved.sum(axis=(1, 2)) == 1).all()
    counts = moved.sum(axis=0)  # 25 places, 80 expected at each; five standard deviations of sqrt(80) are 45
    assert (abs(counts.astype(int) - 80) < 45).all()
    just_under_one = np.float32(1 - 2**-24)
    for far in (1, 4, 100):
        edge = apply(Shift(far), dots[:1], shift=[[just_under_one] * 2])
        np.testing.assert_array_equal(edge, apply(Shift(far), dots[:1], shift=[[0.9999] * 2]))


@pytest.mark.parametrize("height, width", [(9, 7), (20, 30), (4, 3), (1, 64)])
def test_resize_is_antialiased_bilinear(height, width):
    image = (PICTURES / 255).astype(np.float32)
    reference = tf.image.resize(image, [height, width], antialias=True)
    np.testing.assert_allclose(apply(Resize(height, width), image), reference, atol=2e-6)


def test_resize_by_hand():
    # 2 pixels to 4: centres at 0.25, 0.75, 1.25, 1.75 old pixels; the old ones' are at 0.5 and 1.5.
    image = np.array([0, 100], np.uint8).reshape(1, 1, 2, 1)
    assert apply(Resize(1, 4), image).ravel().tolist() == [0, 25, 75, 100]
    assert apply(Resize(1, 4), image).dtype == np.uint8
    white = np.full((1, 28, 28, 1), 255, np.uint8)
    np.testing.assert_array_equal(apply(Resize(64, 64), white), np.full((1, 64, 64, 1), 255))
    np.testing.assert_array_equal(apply(Resize(9, 7), PICTURES), PICTURES)


@pytest.mark.parametrize("transform, tolerance", [
    (Chain(scale), 0), (Flip(), 0), (Shift(3), 0), (Chain(Flip(), Shift(2), scale), 0),
    (Chain(scale, Resize(12, 20)), 1e-6)])
def test_every_plan_gives_the_same_pictures(transform, tolerance):
    def run(image, flips, shifts):
        result = transform({"image": image}, Noise(drawn={"flip": flips, "shift": shifts}))["image"]
        assert result.shape.is_fully_defined()
        return result

    arguments = tf.constant(PICTURES), tf.constant(FLIPS), tf.constant(SHIFTS)
    eager = run(*arguments)
    for compiled in (tf.function(run), tf.function(run, jit_compile=True)):
        np.testing.assert_allclose(eager, compiled(*arguments), rtol=0, atol=tolerance)


def test_draws_are_keyed_by_update_and_asked_for_by_name():
    batch = {"image": tf.constant(PICTURES)}
    transform = Chain(Flip(), Shift(3))
    noises = [Noise(seed=1, phase="p", update=update, examples=16) for update in (0, 0, 1)]
    first, again, other = (transform(batch, noise)["image"].numpy() for noise in noises)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert {name: tuple(request) for name, request in noises[0].requests.items()} == {
        "flip": ("uniform", (), ""), "shift": ("uniform", (2,), "")}
    with pytest.raises(Invalid, match=r"`noise name` \(flip\) must be used once per loss"):
        Chain(Flip(), Flip())(batch, Noise(examples=16))


def test_transforms_describe_themselves_and_compare():
    assert repr(Chain(scale, Flip(), Shift(2))) == "Chain(scale, Flip(probability=0.5), Shift(pixels=2))"
    assert Chain(scale, Flip()) == Chain(scale, Flip()) != Chain(scale, Flip(0.1))


@pytest.mark.parametrize("make, text", [
    (lambda: Flip(1.5), r"`probability` \(1.5\) must be in \[0, 1\]"),
    (lambda: Flip(float("nan")), r"`probability` \(nan\) must be in \[0, 1\]"),
    (lambda: Shift(-1), r"`pixels` \(-1\) must be an integer of at least 0"),
    (lambda: Shift(1.5), r"`pixels` \(1.5\) must be an integer of at least 0"),
    (lambda: Resize(0, 4), r"`height` \(0\) must be an integer of at least 1"),
    (lambda: Resize(4, "5"), r"`width` \(5\) must be an integer of at least 1"),
    (lambda: apply(scale, PICTURES.astype(np.float32)), r"`image` \(float32\) must be uint8 to be scaled"),
    (lambda: apply(Flip(), PICTURES[0], flip=FLIPS), r"`image` \(\(9, 7, 3\)\) must be \[B, h, w, c\]"),
    (lambda: scale({"picture": 1, "label": 2}, Noise()), r"`batch` \(picture, label\) must be of pictures"),
])
def test_wrong_use_is_named(make, text):
    with pytest.raises(Invalid, match=text):
        make()


def test_rgb_repeats_a_grey_channel_and_leaves_colours_alone():
    grey = tf.constant([[[[7], [8]]]], tf.uint8)
    colour = rgb({"image": grey, "label": 1}, Noise())
    assert colour["label"] == 1
    np.testing.assert_array_equal(colour["image"], [[[[7, 7, 7], [8, 8, 8]]]])
    np.testing.assert_array_equal(rgb(colour, Noise())["image"], colour["image"])
    with pytest.raises(Invalid, match=r"`image` \(4 channels\) must be of 1 or 3 channels"):
        rgb({"image": tf.zeros([1, 2, 2, 4])}, Noise())
