"""Image autoencoders with published weights: files to a module and its parameters, and back.

From pictures to latents and back:

    model, params = load("tiny", encoder="taef2_encoder.safetensors",
                         decoder="taef2_decoder.safetensors")
    latents = model.apply(params, images, method=model.encode)  # images [b h w 3] in [-1, 1]
    images = model.apply(params, latents, method=model.decode)
"""

import json
import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.typing import DTypeLike
from jaxtyping import PyTree

from vdd import safetensors
from vdd.config import Fields
from vdd.errors import UserError
from vdd.files import write
from vdd.models.autoencoder import published
from vdd.models.autoencoder.kl import KLAutoencoder
from vdd.models.autoencoder.tiny import TinyAutoencoder

Autoencoder = TinyAutoencoder | KLAutoencoder

KINDS: dict[str, type[Autoencoder]] = {"tiny": TinyAutoencoder, "kl": KLAutoencoder}
FILES = {"tiny": ("encoder", "decoder"), "kl": ("weights",)}

# As diffusers names them in the folder of a model.
WEIGHTS_NAME, CONFIG_NAME = "diffusion_pytorch_model.safetensors", "config.json"


def load(
    kind: str, *, dtype: DTypeLike = jnp.float32, **files: epath.PathLike
) -> tuple[Autoencoder, dict]:
    """A module and its parameters from published weights; its sizes are those of the tensors.

    Args:
        kind: "tiny" (TAESD, TAEF1, TAEF2, ...) or "kl" (Stable Diffusion's AutoencoderKL).
        dtype: what it computes in; parameters are float32.
        files: safetensors, with `tiny` two of them, `encoder=` and `decoder=` (twice the same where
            both halves lie in one file, as diffusers has them), with `kl` `weights=`, a file or the
            folder of a model.

    Returns:
        (model, params), for `model.apply(params, images, method=model.encode)` and `model.decode`.

    Raises:
        UserError: an unknown kind, or a file that is missing, cut short or of another network; the
            line names the tensor.
    """
    if kind not in KINDS:
        raise UserError(f"unknown autoencoder {kind!r}: there are {', '.join(KINDS)}")
    if set(files) != set(FILES[kind]):
        wanted = ", ".join(f"{name}=FILE" for name in FILES[kind])
        raise UserError(f"the autoencoder {kind!r} is loaded from {wanted}")
    tensors = _read_tiny(**files) if kind == "tiny" else _read_kl(**files)
    where = " and ".join(dict.fromkeys(str(file) for file in files.values()))
    try:
        sizes = _tiny_sizes(tensors) if kind == "tiny" else _kl_sizes(tensors, files["weights"])
    except KeyError as error:
        raise UserError(f"{where}: tensor {error.args[0]} is missing") from error
    model = KINDS[kind](**sizes, dtype=dtype)
    return model, {"params": published.to_params(param_shapes(model), tensors, where)}


def save(model: KLAutoencoder, params: PyTree, folder: epath.PathLike) -> None:
    """Writes a KL autoencoder as diffusers does: weights by published names, and `config.json`.

    `load("kl", weights=folder)` and diffusers' `AutoencoderKL.from_pretrained(folder)` read it.

    Args:
        model: the module.
        params: as `load` returns them, {"params": ...}.
        folder: made if it is not there.

    Raises:
        UserError: the folder cannot be written.
    """
    folder, blocks = epath.Path(folder), len(model.channels)
    config = {
        "_class_name": "AutoencoderKL",
        "in_channels": 3, "out_channels": 3, "act_fn": "silu", "scaling_factor": 1.0,
        "block_out_channels": list(model.channels), "layers_per_block": model.num_blocks,
        "latent_channels": model.latent_channels, "norm_num_groups": model.groups,
        "mid_block_add_attention": model.attention,
        "use_quant_conv": model.quant_conv, "use_post_quant_conv": model.quant_conv,
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "up_block_types": ["UpDecoderBlock2D"] * blocks,
    }  # fmt: skip
    write(folder / CONFIG_NAME, json.dumps(config, indent=2) + "\n")
    safetensors.write(folder / WEIGHTS_NAME, published.to_tensors(params["params"]), format="pt")


def param_shapes(model: Autoencoder) -> PyTree:
    """Shapes of the parameters, by name."""
    image = jnp.zeros((1, model.factor, model.factor, 3))
    return jax.eval_shape(model.init, jax.random.key(0), image)["params"]


def _read_tiny(encoder: epath.PathLike, decoder: epath.PathLike) -> safetensors.Tensors:
    """Both halves, `encoder.layers.N. ...` and `decoder.layers.N. ...`, numbered as the original.

    Its own files have the number alone. diffusers has both halves in one file and leaves out the
    tanh, layer 0 of the decoder.
    """
    tensors = {}
    for half, path, left_out in (("encoder", encoder, 0), ("decoder", decoder, 1)):
        read, prefix = safetensors.read(path), f"{half}.layers."
        if any(name.startswith(prefix) for name in read):
            for name in [name for name in read if name.startswith(prefix)]:
                number, _, rest = name.removeprefix(prefix).partition(".")
                number = int(number) + left_out if number.isdecimal() else number
                tensors[f"{prefix}{number}.{rest}"] = read[name]
        else:
            tensors |= {prefix + name: tensor for name, tensor in read.items()}
    return tensors


def _tiny_sizes(tensors: Mapping[str, np.ndarray]) -> Fields:
    last = tensors["encoder.layers.14.weight"]
    pooled = any(".pool." in name for name in tensors)
    return {"latent_channels": last.shape[0], "width": last.shape[1], "pooled": pooled}


def _read_kl(weights: epath.PathLike) -> safetensors.Tensors:
    """By today's names; published files have older ones for the attention."""
    path = epath.Path(weights)
    tensors = safetensors.read(path / WEIGHTS_NAME if path.is_dir() else path)
    older = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}

    def renamed(name: str) -> str:
        return re.sub(
            rf"(attentions\.0\.)({'|'.join(older)})\.", lambda m: f"{m[1]}{older[m[2]]}.", name
        )

    return {renamed(name): tensor for name, tensor in tensors.items()}


def _kl_sizes(tensors: Mapping[str, np.ndarray], weights: epath.PathLike) -> Fields:
    """All sizes but the number of groups, which no shape tells, are read from shapes and names."""

    def count(prefix: str) -> int:
        place = prefix.count(".")
        return len({name.split(".")[place] for name in tensors if name.startswith(prefix)})

    channels = [
        tensors[f"encoder.down_blocks.{i}.resnets.0.conv1.weight"].shape[0]
        for i in range(max(1, count("encoder.down_blocks.")))
    ]
    return {
        "channels": tuple(channels),
        "num_blocks": count("encoder.down_blocks.0.resnets."),
        "latent_channels": tensors["decoder.conv_in.weight"].shape[1],
        "attention": any(".attentions." in name for name in tensors),
        "quant_conv": "quant_conv.weight" in tensors,
        "groups": _groups(epath.Path(weights)),
    }


def _groups(weights: epath.Path) -> int:
    """Groups of the norms, from `config.json` beside the weights; 32, as published, without it."""
    path = (weights if weights.is_dir() else weights.parent) / CONFIG_NAME
    if not path.exists():
        return KLAutoencoder.groups
    try:
        config = json.loads(path.read_text())
        return int(config.get("norm_num_groups", KLAutoencoder.groups))
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
