"""Figures of merit on cases whose answer is known on paper."""

import math

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from scipy.linalg import sqrtm
from scipy.ndimage import correlate1d, gaussian_filter, laplace

from vdd.evaluation import metrics


def clips(seed: int = 0, shape=(3, 2, 20, 24, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_psnr_of_a_known_error(peak):
    reference = np.zeros((2, 1, 4, 4, 3), np.float32)
    estimate = reference + np.array([0.1, 0.01], np.float32).reshape(2, 1, 1, 1, 1) * peak
    np.testing.assert_allclose(metrics.psnr(reference, estimate, peak), [20, 40], rtol=1e-4)


def test_psnr_of_uint8_does_not_wrap_around():
    black, white = np.zeros((1, 1, 2, 2, 3), np.uint8), np.full((1, 1, 2, 2, 3), 255, np.uint8)
    assert metrics.psnr(black, white, 255)[0] == metrics.psnr(white, black, 255)[0] == 0
    assert metrics.psnr(white, white, 255)[0] == math.inf


def test_ssim_is_one_for_equal_clips_and_symmetric():
    x, y = clips(0), clips(1)
    np.testing.assert_allclose(metrics.ssim(x, x, 255), 1, rtol=1e-6)
    np.testing.assert_allclose(metrics.ssim(x, y, 255), metrics.ssim(y, x, 255), rtol=1e-6)
    assert (metrics.ssim(x, y, 255) < 0.2).all()


def test_ssim_of_flat_frames_is_the_luminance_term():
    x, y = np.full((1, 1, 16, 16, 3), 100.0), np.full((1, 1, 16, 16, 3), 150.0)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    np.testing.assert_allclose(metrics.ssim(x, y, 255), expected, rtol=1e-5)


def test_ssim_agrees_with_windows_computed_another_way():
    x = clips(0).astype(float)
    y = np.clip(x + np.random.default_rng(1).normal(0, 30, x.shape), 0, 255)
    weight = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weight /= weight.sum()

    def mean(image):
        return correlate1d(correlate1d(image, weight, axis=2), weight, axis=3)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean((x - 128) ** 2), mean((y - 128) ** 2), mean((x - 128) * (y - 128))
    vx, vy, vxy = vx - (mx - 128) ** 2, vy - (my - 128) ** 2, vxy - (mx - 128) * (my - 128)
    index = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    expected = index[:, :, 5:-5, 5:-5].mean((1, 2, 3, 4))
    np.testing.assert_allclose(metrics.ssim(x, y, 255), expected, rtol=1e-5)


def test_ssim_refuses_frames_smaller_than_its_window():
    with pytest.raises(ValueError, match="11 pixels"):
        metrics.ssim(clips(shape=(1, 1, 8, 16, 3)), clips(shape=(1, 1, 8, 16, 3)), 255)


def test_accuracies():
    predicted, label = np.array([[0, 1], [2, 3], [4, 5]]), np.array([[0, 1], [2, 0], [0, 0]])
    assert metrics.accuracy(predicted, label) == 0.5
    assert metrics.joint_accuracy(predicted, label) == pytest.approx(1 / 3)
    assert metrics.leak_share(np.array([1, 2, 3, 4]), np.array([1, 0, 0, 0])) == 0.25


def test_predictions_of_another_shape_are_refused():
    with pytest.raises((ValueError, TypeCheckError)):  # the latter is there in tests only
        metrics.accuracy(np.zeros((3, 1), int), np.zeros(3, int))


def test_a_certain_and_balanced_judge_scores_the_number_of_classes():
    probs = np.eye(9)[np.arange(90) % 9]
    assert metrics.inception_score(probs) == pytest.approx(9)
    assert metrics.conditional_entropy(probs) == 0
    assert metrics.marginal_entropy(probs) == pytest.approx(math.log(9))


def test_an_undecided_judge_scores_one():
    probs = np.full((10, 9), 1 / 9)
    assert metrics.inception_score(probs) == pytest.approx(1)
    assert metrics.conditional_entropy(probs) == pytest.approx(math.log(9))


def test_a_certain_judge_of_one_class_scores_one():
    probs = np.eye(9)[np.zeros(10, int)]
    assert metrics.inception_score(probs) == pytest.approx(1)
    assert metrics.marginal_entropy(probs) == 0


def test_entropies_of_codes_whose_groups_repeat_each_other():
    codes = np.stack([np.arange(64) % 8] * 2, -1)
    np.testing.assert_allclose(metrics.group_entropies(codes), [3, 3])
    assert metrics.joint_entropy(codes) == pytest.approx(3)
    assert metrics.distinct_codes(codes) == 8
    assert metrics.codebook_usage(codes, 32) == 0.25


def test_entropies_of_codes_whose_groups_are_independent():
    codes = np.stack([np.arange(64) % 8, np.arange(64) // 8], -1)
    np.testing.assert_allclose(metrics.group_entropies(codes), [3, 3])
    assert metrics.joint_entropy(codes) == pytest.approx(6)
    assert metrics.distinct_codes(codes) == 64


def test_entropy_of_uneven_codes():
    assert metrics.joint_entropy(np.array([[0]] * 3 + [[1]])) == pytest.approx(
        2 - 0.75 * math.log2(3)
    )


def test_flicker_of_known_clips():
    ramp = np.arange(6, dtype=np.uint8).reshape(1, 6, 1, 1, 1) * np.ones((1, 6, 2, 2, 3), np.uint8)
    curved = ramp.astype(np.float32) ** 2  # second difference 2
    jumping = ramp + np.float32([0, 5] * 3).reshape(1, 6, 1, 1, 1)  # second difference 10
    assert metrics.flicker(curved, curved) == 1
    assert metrics.flicker(curved, ramp) == 0
    assert metrics.flicker(curved, jumping) == 5
    assert metrics.flicker(curved, curved[:, ::-1] + 7) == 1
    assert np.isnan(metrics.flicker(ramp, curved))
    assert np.isnan(metrics.flicker(curved[:, :2], curved[:, :2]))


def test_flicker_of_uint8_does_not_wrap_around():
    blinking = np.zeros((1, 5, 2, 2, 3), np.uint8)
    blinking[:, 1::2] = 255
    assert metrics.flicker(blinking, blinking // 2) == pytest.approx(127 / 255)


def gaussian(mean, covariance, seed: int, count: int = 400) -> np.ndarray:
    """Samples whose mean and covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=(count, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def covariance_matrix(seed: int, size: int = 5) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(size, size))
    return root @ root.T + 0.1 * np.eye(size)


def test_frechet_distance_of_gaussians_with_commuting_covariances():
    a, b = np.array([4.0, 1.0, 9.0]), np.array([1.0, 16.0, 0.25])
    x, y = gaussian([1, 2, 3], np.diag(a), 0), gaussian([1, 0, 6], np.diag(b), 1, count=90)
    expected = 4 + 9 + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
    assert metrics.frechet_distance(x, y) == pytest.approx(expected)


def test_frechet_distance_agrees_with_the_root_of_the_product():
    a, b = covariance_matrix(0), covariance_matrix(1)
    x, y = gaussian(np.zeros(5), a, 2), gaussian(np.ones(5), b, 3)
    expected = 5 + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert metrics.frechet_distance(x, y) == pytest.approx(expected)
    assert metrics.frechet_distance(y, x) == pytest.approx(expected)


def test_frechet_distance_of_equal_sets_and_of_a_shift():
    x = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)  # fewer than features
    assert metrics.frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(x, x + 2) == pytest.approx(4 * 64, rel=1e-5)
    with pytest.raises(ValueError, match="2 samples"):
        metrics.frechet_distance(x, x[:1])


def frames(seed: int = 0, count: int = 6) -> np.ndarray:
    """Rectangles of one colour each on a dark ground, in [-1, 1]."""
    rng, made = np.random.default_rng(seed), np.full((count, 32, 32, 3), -1.0, np.float32)
    for frame in made:
        for top, left, height, width in rng.integers(2, 14, (5, 4)):
            frame[top : top + height, left : left + width] = rng.uniform(-1, 1, 3)
    return made


def blurred(frames: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(frames, (0, sigma, sigma, 0), mode="nearest")


def noisy(frames: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(9).normal(size=frames.shape)
    return (frames + sigma * noise).astype(np.float32)


def test_sharpness_falls_under_blur_and_is_left_alone_by_noise():
    real = frames()
    series = [real, *(blurred(real, sigma) for sigma in (0.5, 1, 2))]
    clean = [metrics.sharpness(real, made) for made in series]
    np.testing.assert_allclose(clean[0], 1, rtol=1e-5)
    assert (np.diff(clean, axis=0) < 0).all()
    assert clean[1].max() < 0.7
    for made, expected in zip(series, clean):
        np.testing.assert_allclose(metrics.sharpness(real, noisy(made, 0.1)), expected, atol=0.03)


def test_the_power_of_the_laplacian_takes_noise_for_sharpness():
    """What `sharpness` is there for."""

    def power(frames: np.ndarray) -> float:
        return float(np.mean(laplace(frames, axes=(1, 2)) ** 2))

    real = frames()
    assert power(noisy(real, 0.1)) > 1.1 * power(real)
    assert power(noisy(blurred(real, 2), 0.1)) > 20 * power(blurred(real, 2))


def test_sharpness_is_of_the_nearest_frame_that_would_be_right():
    real = frames(count=6)
    np.testing.assert_allclose(metrics.sharpness(real, real[::-1]), 1, rtol=1e-5)
    assert np.abs(metrics.sharpness(real[:1], real[1:])).max() < 0.5
    np.testing.assert_allclose(metrics.sharpness(real[:1], 0.25 * real + 0.1)[0], 0.25, rtol=1e-5)
    apart = np.full((2, 32, 32, 3), -1, np.float32)
    apart[0, 4:12, 4:12], apart[1, 20:28, 20:28] = 1, 1
    np.testing.assert_allclose(metrics.sharpness(apart, apart.mean(0, keepdims=True)), 0.5)


def test_sharpness_of_uint8_is_that_of_floats_and_nan_where_nothing_is_to_be_seen():
    real = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    expected = metrics.sharpness(real.astype(np.float32), real.astype(np.float32)[::-1] / 2)
    np.testing.assert_allclose(metrics.sharpness(real, real[::-1] // 2), expected, atol=0.01)
    assert np.isnan(metrics.sharpness(np.full_like(real, 7), real)).all()


def test_the_power_of_the_laplacian_is_relative_and_blind_to_levels():
    clip = np.random.default_rng(0).integers(0, 128, (2, 3, 8, 8, 3)).astype(np.uint8)
    flat = np.full_like(clip, 7)
    np.testing.assert_allclose(metrics.laplacian_power(clip, clip + np.uint8(50)), 1.0)
    np.testing.assert_allclose(metrics.laplacian_power(clip, 2 * clip), 4.0)
    np.testing.assert_allclose(metrics.laplacian_power(clip, flat), 0.0)
