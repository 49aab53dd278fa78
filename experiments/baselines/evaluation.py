"""The baselines under the project's protocol: `report.json`, and a row beside the published one."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from experiments.baselines.dsvae import DSVAE, kl_to_standard, to_uint8, to_unit
from vdd import markdown
from vdd.data.sprites import SpritesArrays
from vdd.evaluation import sections
from vdd.evaluation.inference import Encoded, Functions, clip_keys, encode_clips
from vdd.evaluation.sprites.protocol import JudgeFunction, Samples, score_samples
from vdd.progress import progress_bar

_PRIOR_STREAM = 3  # of random keys; those below are the protocols'

# What Bai et al. 2021 (arXiv 2110.12091) report on Sprites; entropies in nats. Their judge is
# another network than ours, trained on the same labels.
PUBLISHED = {
    "cdsvae": {"acc": 0.9999, "inception_score": 8.871, "h_y_given_x": 0.014, "h_y": 2.197},
}

_COLUMNS = (
    ("Acc", "cdsvae_protocol", "acc", ".4f"),
    ("IS", "cdsvae_protocol", "inception_score", ".3f"),
    ("H(y given x)", "cdsvae_protocol", "h_y_given_x", ".3f"),
    ("H(y)", "cdsvae_protocol", "h_y", ".3f"),
    ("swap motion", "transfer", "motion_acc", ".4f"),
    ("swap attributes", "transfer", "content_acc", ".4f"),
    ("swap all five", "transfer", "joint_acc", ".4f"),
    ("leak", "transfer", "leak_acc", ".4f"),
    ("swap PSNR", "transfer", "psnr", ".1f"),
    ("PSNR", "reconstruction", "psnr", ".1f"),
    ("motion from f", "leakage", "motion_from_content_acc", ".4f"),
    ("attributes from z", "leakage", "content_from_motion_acc", ".4f"),
)


def functions_of(model: DSVAE, variables: Any) -> Functions:
    """A model as the protocols see it: means of both posteriors, and no codes."""
    return Functions(
        encode=partial(_encode, model, variables),
        sample=partial(_sample, model, variables),
        num_codewords=None,
    )


@partial(jax.jit, static_argnums=0)
def _encode(model: DSVAE, variables, video) -> Encoded:
    posteriors: Any = model.apply(variables, to_unit(video), method=model.encode)
    q_f, q_z = posteriors
    no_codes = jnp.zeros((*q_z.mean.shape[:2], 0), jnp.int32)
    return Encoded(q_f.mean[:, None], q_z.mean, no_codes, kl_to_standard(q_f) / math.log(2))


@partial(jax.jit, static_argnums=0)
def _sample(model: DSVAE, variables, keys, content, motion) -> UInt8[Array, "b t h w c"]:
    del keys  # the decoder's mean
    video: Any = model.apply(variables, content[:, 0], motion, method=model.decode)
    return to_uint8(video)


def drawn_content(
    functions: Functions,
    f_dim: int,
    test: SpritesArrays,
    judge: JudgeFunction,
    seed: int,
    batch_size: int,
) -> sections.Section:
    """The C-DSVAE protocol as its authors have it: motion of each clip, content from N(0, I)."""
    rows = np.arange(len(test.motion))
    encoded = encode_clips(functions, test.video, batch_size, "encoding again")
    keys = clip_keys(seed, _PRIOR_STREAM, rows)
    content = jax.vmap(lambda key: jax.random.normal(key, (1, f_dim)))(keys)
    samples = Samples(keys, np.asarray(content), encoded.motion)
    nobody = np.full(len(rows), -1)  # no real clip to compare with
    with progress_bar("drawing content", len(rows)) as advance:
        scored = score_samples(functions, judge, samples, test.video, nobody, batch_size, advance)
    return sections.cdsvae_protocol(scored, test.motion)


def table(name: str, report: Mapping[str, Any]) -> str:
    """Measured and, where there are any, published figures as rows of Markdown."""
    rows = [(name, *_cells(report))]
    if name in PUBLISHED:
        published = {"cdsvae_protocol": PUBLISHED[name]}
        rows.append((f"{name}, published", *_cells(published)))
    return markdown.table(("model", *(title for title, *_ in _COLUMNS)), rows)


def _cells(report: Mapping[str, Any]) -> list[str]:
    values = [(report.get(section, {}).get(key), form) for _, section, key, form in _COLUMNS]
    return ["–" if value is None else format(value, form) for value, form in values]


def count_parameters(params: Any) -> int:
    """Numbers that training changes."""
    return sum(int(np.size(array)) for array in jax.tree.leaves(params))
