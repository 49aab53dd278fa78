"""Figures of merit: pure functions of numpy arrays. Entropies say whether nats or bits."""

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float, Int, Num

_WINDOW = 11
_WINDOW_SIGMA = 1.5


def psnr(
    reference: Num[np.ndarray, "b t h w c"], estimate: Num[np.ndarray, "b t h w c"], peak: float
) -> Float[np.ndarray, "b"]:
    """Peak signal-to-noise ratio of each clip, dB: 10 log10(peak^2 / mean squared error).

    `peak` is the greatest difference of two values: 255 for uint8, 1 for [0, 1], 2 for [-1, 1].
    Infinite for equal clips.
    """
    difference = reference.astype(np.float64) - estimate.astype(np.float64)
    error = np.mean(difference**2, axis=(1, 2, 3, 4))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(peak**2 / error)


def ssim(
    reference: Num[np.ndarray, "b t h w c"], estimate: Num[np.ndarray, "b t h w c"], peak: float
) -> Float[np.ndarray, "b"]:
    """Structural similarity of each clip, at most 1: a mean over frames, channels and windows.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004,
    eq. 13 with k1 = 0.01, k2 = 0.03 and Gaussian windows of 11x11 pixels, standard deviation 1.5,
    that lie wholly inside the frame; RGB channels are treated each for itself. `peak` as in `psnr`.

    Raises:
      ValueError: frames are smaller than a window.
    """
    if min(reference.shape[2:4]) < _WINDOW:
        raise ValueError(f"SSIM wants frames of at least {_WINDOW} pixels, not {reference.shape}")
    # Single precision is exact enough in [0, 1], and contiguous planes are several times faster.
    x, y = (
        np.ascontiguousarray(np.moveaxis(v, -1, 2)).astype(np.float32) / np.float32(peak)
        for v in (reference, estimate)
    )
    rows, columns = (_window_matrix(size) for size in x.shape[-2:])

    def mean(image: np.ndarray) -> np.ndarray:
        return rows @ (image @ columns.T)

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean(axis=(1, 2, 3, 4), dtype=np.float64)


def _window_matrix(size: int) -> Float[np.ndarray, "m size"]:
    """Matrix whose row i weighs pixels i..i+10 of a line by the Gaussian window; rows sum to 1."""
    weight = np.exp(-0.5 * ((np.arange(_WINDOW) - _WINDOW // 2) / _WINDOW_SIGMA) ** 2)
    matrix = np.zeros((size - _WINDOW + 1, size), np.float32)
    for row in range(len(matrix)):
        matrix[row, row : row + _WINDOW] = weight / weight.sum()
    return matrix


def flicker(
    reference: Num[np.ndarray, "b t h w c"], estimate: Num[np.ndarray, "b t h w c"]
) -> Float[np.ndarray, "b"]:
    """How much more each clip flickers than its reference: 1 is as much, 0 is a clip that stands.

    The ratio of the clips' mean absolute second differences in time, |x(t+1) - 2 x(t) + x(t-1)|,
    which steady motion hardly changes and frames drawn each for themselves do. Nan where there are
    fewer than three frames, or the reference's pixels have no second difference at all.
    """
    if reference.shape[1] < 3:
        return np.full(len(reference), np.nan)
    return np.array(
        [
            _second_difference(made) / real if (real := _second_difference(clip)) else np.nan
            for clip, made in zip(reference, estimate)
        ]
    )


def _second_difference(clip: Num[np.ndarray, "t h w c"]) -> float:
    return float(np.mean(np.abs(np.diff(clip.astype(np.float32), n=2, axis=0)), dtype=np.float64))


def sharpness(
    real: Num[np.ndarray, "m h w c"], made: Num[np.ndarray, "n h w c"]
) -> Float[np.ndarray, "n"]:
    """How much of the detail of its nearest real frame each frame has: 1 is all, 0 is none.

    With L the Laplacian and x the frame of `real` nearest to y in mean square: <Lx, Ly> / <Lx, Lx>.
    That is the gain g in y = g x + noise, the distortion that Sheikh and Bovik ("Image information
    and visual quality", 2006) split into blur and noise, here in one high-pass band. Blur lowers
    it. Independent noise leaves it where it is on average, but adds to the power <Ly, Ly>.

    `real` are all frames that would be right: the truth alone, or a character in each of its poses.
    Against the truth alone a sharp frame of another pose has no detail in the right place, and a
    perfect sample scores no better than the mean of all samples. Nan where the nearest frame is
    flat. Any range of pixels, the same for both.
    """
    real, made = real.astype(np.float32), made.astype(np.float32)
    flat_real, flat_made = (rearrange(x, "n ... -> n (...)") for x in (real, made))
    # Squared distances, less the squares of `made`.
    distance = np.sum(flat_real**2, axis=1) - 2 * flat_made @ flat_real.T
    nearest = real[distance.argmin(axis=1)]
    nearest, detail = (rearrange(laplacian(x), "n ... -> n (...)") for x in (nearest, made))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.vecdot(nearest, detail) / np.vecdot(nearest, nearest))


def laplacian_power(
    reference: Num[np.ndarray, "b t h w c"], estimate: Num[np.ndarray, "b t h w c"]
) -> Float[np.ndarray, "b"]:
    """Power of each clip's Laplacian, relative to that of its reference: 1 is as much, 0 is flat.

    Blur lowers it and noise raises it, so that both together may look right: see `sharpness`.
    """
    ratio = []
    for pair in zip(reference, estimate, strict=True):
        real, made = (laplacian(clip.astype(np.float32)).ravel() for clip in pair)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio.append(np.vecdot(made, made) / np.vecdot(real, real))
    return np.array(ratio, np.float64)


def laplacian(frames: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n h w c"]:
    """Second differences along both axes, summed; pixels beyond the border repeat it."""
    padded = np.pad(frames, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down, right = np.diff(padded[:, :, 1:-1], 2, axis=1), np.diff(padded[:, 1:-1], 2, axis=2)
    return down + right


def frechet_distance(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> float:
    """Squared Fréchet distance of Gaussians fitted to two sets of features, at least 0.

    |mean(x) - mean(y)|^2 + tr(Sx + Sy - 2 (Sx Sy)^(1/2)), with sample covariances (Heusel et al.
    2017; FID where features are Inception's). Falls with the number of samples: compare only
    figures of as many.

    With centred, scaled features X, so that Sx = X'X, the trace of the root is the sum of the
    singular values of X Y', which needs no root of a product that is not symmetric, and is
    exact where there are fewer samples than features.

    Raises:
      ValueError: fewer than two samples.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"a covariance wants 2 samples or more, not {len(x)} and {len(y)}")
    x, y = x.astype(np.float64), y.astype(np.float64)
    root_x, root_y = _covariance_root(x), _covariance_root(y)
    cross = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    spread = np.sum(root_x**2) + np.sum(root_y**2)
    distance = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) + spread - 2 * cross
    return max(float(distance), 0.0)


def _covariance_root(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "_ d"]:
    """R with R'R the sample covariance, and no more rows than columns."""
    return np.asarray(np.linalg.qr((x - x.mean(axis=0)) / np.sqrt(len(x) - 1), mode="r"))


def accuracy(predicted: Int[np.ndarray, "*s"], label: Int[np.ndarray, "*s"]) -> float:
    """Fraction of entries that agree."""
    return float(np.mean(correct(predicted, label)))


def correct(
    predicted: Int[np.ndarray, "*s"], label: Int[np.ndarray, "*s"]
) -> Bool[np.ndarray, "*s"]:
    """Whether each entry agrees.

    Raises:
      ValueError: the shapes differ.
    """
    if predicted.shape != label.shape:
        raise ValueError(f"{predicted.shape} predictions for {label.shape} labels")
    return predicted == label


def joint_accuracy(predicted: Int[np.ndarray, "n f"], label: Int[np.ndarray, "n f"]) -> float:
    """Fraction of rows whose every factor agrees."""
    return float(np.mean(correct(predicted, label).all(axis=1)))


def leak_share(
    predicted_motion: Int[np.ndarray, "n"], content_motion: Int[np.ndarray, "n"]
) -> float:
    """Fraction of swaps that show the motion of the clip that gave the content, not the motion."""
    return accuracy(predicted_motion, content_motion)


def marginal_entropy(probs: Float[np.ndarray, "n y"]) -> float:
    """H(y), nats: entropy of the mean of the classifier's distributions; at best ln(classes)."""
    return float(_entropy(probs.astype(np.float64).mean(axis=0)))


def conditional_entropy(probs: Float[np.ndarray, "n y"]) -> float:
    """H(y|x), nats: mean entropy of the classifier's distributions; at best 0."""
    return float(np.mean(_entropy(probs.astype(np.float64))))


def inception_score(probs: Float[np.ndarray, "n y"]) -> float:
    """exp(H(y) - H(y|x)): at most the number of classes (Salimans et al. 2016, section 4)."""
    return float(np.exp(marginal_entropy(probs) - conditional_entropy(probs)))


def _entropy(probs: Float[np.ndarray, "*n y"]) -> Float[np.ndarray, "*n"]:
    """Entropy over the last axis, nats, with 0 log 0 = 0."""
    return np.asarray(-np.sum(probs * np.log(np.where(probs > 0, probs, 1)), axis=-1))


def group_entropies(codes: Int[np.ndarray, "m n"]) -> Float[np.ndarray, "n"]:
    """Empirical entropy of each group's code, bits per frame, over m frames of n codes."""
    return np.array([_empirical_bits(np.unique(group, return_counts=True)[1]) for group in codes.T])


def conditional_group_entropies(
    codes: Int[np.ndarray, "m n"], label: Int[np.ndarray, "m"]
) -> Float[np.ndarray, "n"]:
    """Empirical entropy of each group's code where the label of the frame is known, bits per frame.

    What is missing to `group_entropies` is what the codes tell of the label. Of a label with m
    frames it says at most log2(m), too little where these are few.
    """
    labels, counts = np.unique(label, return_counts=True)
    each = np.array([group_entropies(codes[label == one]) for one in labels])
    return counts @ each / len(label)


def joint_entropy(codes: Int[np.ndarray, "m n"]) -> float:
    """Empirical entropy of the tuple of n codes, bits per frame, over m frames.

    Never more than the sum of `group_entropies`; the difference is what the groups tell of each
    other. At most log2(m), so that many groups need many frames.
    """
    return float(_empirical_bits(np.unique(codes, axis=0, return_counts=True)[1]))


def distinct_codes(codes: Int[np.ndarray, "m n"]) -> int:
    """How many tuples of n codes occur at all among m frames."""
    return len(np.unique(codes, axis=0))


def codebook_usage(codes: Int[np.ndarray, "m n"], num_codewords: int) -> float:
    """Fraction of the n * num_codewords codewords that occur at all among m frames."""
    used = sum(len(np.unique(group)) for group in codes.T)
    return used / (codes.shape[1] * num_codewords)


def _empirical_bits(counts: Int[np.ndarray, "k"]) -> float:
    return float(_entropy(counts / counts.sum()) / np.log(2))
