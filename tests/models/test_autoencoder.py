"""Autoencoders against PyTorch, on the published weights where they are and on random ones."""

import json
import os
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import perturbed

from vdd import safetensors
from vdd.data.video_io import read_clip
from vdd.errors import UserError
from vdd.models import autoencoder
from vdd.models.autoencoder import published
from vdd.models.autoencoder.kl import KLAutoencoder, Posterior
from vdd.models.autoencoder.tiny import TinyAutoencoder

NEEDS_TORCH = "needs PyTorch: pip install -c requirements.lock -r requirements-bench.lock"
TINY = {"latent_channels": 3, "width": 8}
KL = KLAutoencoder(channels=(8, 16), num_blocks=1, latent_channels=3, groups=4)


def images(size=16, count=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, size, size, 3)).astype(np.float32)


def random_params(model, seed=0):
    return {"params": perturbed(autoencoder.param_shapes(model), seed)}


def tiny_files(folder, model, params):
    """The two files that madebyollin/taesd would publish; their paths by half."""
    tensors = published.to_tensors(params["params"])
    files = {}
    for half in ("encoder", "decoder"):
        prefix = f"{half}.layers."
        files[half] = folder / f"{half}.safetensors"
        part = {n.removeprefix(prefix): x for n, x in tensors.items() if n.startswith(prefix)}
        safetensors.write(files[half], part)
    return files


@partial(jax.jit, static_argnums=0)
def both_ways(model, params, x):
    latents = model.apply(params, x, method=model.encode)
    return latents, model.apply(params, latents, method=model.decode)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason=NEEDS_TORCH)


@pytest.fixture
def diffusers():
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    return pytest.importorskip("diffusers", reason=NEEDS_TORCH)


def published_files():
    folder = os.environ.get("VDD_WEIGHTS")
    files = {
        half: Path(folder or "") / f"taef2_{half}.safetensors" for half in ("encoder", "decoder")
    }
    if not folder or not all(file.exists() for file in files.values()):
        pytest.skip("needs TAEF2's weights in the folder that VDD_WEIGHTS names")
    return files


def torch_taef2(torch):
    """TAEF2 as it is described: diffusers' AutoencoderTiny has no pooled branch."""
    nn = torch.nn

    def convolution(c, d, **options):
        return nn.Conv2d(c, d, 3, padding=1, **options)

    class Block(nn.Module):
        def __init__(self, pooled):
            super().__init__()
            layers = [m for _ in range(3) for m in (convolution(64, 64), nn.ReLU())]
            self.conv = nn.Sequential(*layers[:-1])
            self.pool = pooled and nn.Sequential(
                nn.Conv2d(64, 256, 1, bias=False), nn.GroupNorm(4, 256), nn.ReLU(),
                nn.Conv2d(256, 64, 1, bias=False),
            )  # fmt: skip

        def forward(self, x):
            x = x + self.pool(x) if self.pool else x
            return torch.relu(x + self.conv(x))

    class Squash(nn.Module):
        def forward(self, x):
            return 3 * torch.tanh(x / 3)

    encoder = [convolution(3, 64), Block(False)]
    for pooled in (False, False, True):
        encoder += [convolution(64, 64, stride=2, bias=False), *(Block(pooled) for _ in range(3))]
    decoder = [Squash(), convolution(32, 64), nn.ReLU()]
    for pooled in (True, False, False):
        decoder += [*(Block(pooled) for _ in range(3)), nn.Upsample(scale_factor=2)]
        decoder += [convolution(64, 64, bias=False)]
    return nn.Sequential(*encoder, convolution(64, 32)), nn.Sequential(
        *decoder, Block(False), convolution(64, 3)
    )


def real_frame():
    """A frame of 256 x 256 in [-1, 1]: [1 256 256 3]."""
    folder = os.environ.get("VDD_TALKING_HEADS")
    clip = Path(folder or "") / "liveportrait_d12.mp4"
    if not folder or not clip.exists():
        pytest.skip(f"needs {clip.name} in the folder that VDD_TALKING_HEADS names")
    return read_clip(clip, 256, max_frames=1).astype(np.float32) / 127.5 - 1.0


def test_published_tiny_weights_give_what_pytorch_gives_and_a_real_frame_goes_round(torch):
    files = published_files()
    model, params = autoencoder.load("tiny", **files)
    assert model == TinyAutoencoder()
    x = real_frame()
    latents, rebuilt = both_ways(model, params, x)
    encoder, decoder = torch_taef2(torch)
    for half, module in (("encoder", encoder), ("decoder", decoder)):
        tensors = safetensors.read(files[half])
        module.load_state_dict({n: torch.tensor(t).float() for n, t in tensors.items()})
    with torch.no_grad():
        z = encoder(torch.tensor(x).permute(0, 3, 1, 2) / 2 + 0.5)
        y = decoder(z) * 2 - 1
    np.testing.assert_allclose(latents, z.permute(0, 2, 3, 1).numpy(), atol=1e-3)
    np.testing.assert_allclose(rebuilt, y.permute(0, 2, 3, 1).numpy(), atol=1e-3)
    error = np.mean((np.clip(rebuilt, -1, 1) - x) ** 2)
    assert 10 * np.log10(4 / error) >= 35.0  # it is 36.9


@pytest.mark.parametrize("pooled", [True, False])
def test_tiny_sizes_are_those_of_the_files(tmp_path, pooled):
    model = TinyAutoencoder(**TINY, pooled=pooled)
    params = random_params(model)
    again, loaded = autoencoder.load("tiny", **tiny_files(tmp_path, model, params))
    assert again == model
    jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_tiny_reads_the_file_of_diffusers(tmp_path, diffusers):
    """One file, whose decoder's layers are counted without the tanh; and what that computes."""
    import torch

    theirs = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4, latent_channels=3
    )
    file = tmp_path / "tiny.safetensors"
    safetensors.write(file, {n: t.numpy() for n, t in theirs.state_dict().items()})
    model, params = autoencoder.load("tiny", encoder=file, decoder=file)
    assert model == TinyAutoencoder(**TINY, pooled=False)
    x = images()
    latents, rebuilt = both_ways(model, params, x)
    with torch.no_grad():
        z = theirs.encode(torch.tensor(x).permute(0, 3, 1, 2)).latents
        y = theirs.decode(z).sample
    np.testing.assert_allclose(latents, z.permute(0, 2, 3, 1).numpy(), atol=1e-4)
    np.testing.assert_allclose(rebuilt, y.permute(0, 2, 3, 1).numpy(), atol=1e-4)


def diffusers_kl(diffusers, **changes):
    settings = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "latent_channels": 3,
        "norm_num_groups": 4, "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2, **changes,
    }  # fmt: skip
    return diffusers.AutoencoderKL(**settings).eval()


@pytest.mark.parametrize(
    "changes", [{}, {"use_quant_conv": False, "use_post_quant_conv": False, "layers_per_block": 2}]
)
def test_kl_gives_what_diffusers_gives(tmp_path, diffusers, changes):
    import torch

    torch.manual_seed(0)
    theirs = diffusers_kl(diffusers, **changes)
    theirs.save_pretrained(tmp_path)
    model, params = autoencoder.load("kl", weights=tmp_path)
    quant = not changes
    assert model == KL.clone(num_blocks=2 - quant, quant_conv=quant)
    x = images()
    latents, rebuilt = both_ways(model, params, x)
    posterior = jax.jit(lambda x: model.apply(params, x, method=model.posterior))(x)
    with torch.no_grad():
        z = theirs.encode(torch.tensor(x).permute(0, 3, 1, 2)).latent_dist
        y = theirs.decode(z.mean).sample
    for ours, other in (
        (latents, z.mean), (rebuilt, y), (posterior.mean, z.mean),
        (posterior.log_variance, z.logvar),
    ):  # fmt: skip
        np.testing.assert_allclose(ours, other.permute(0, 2, 3, 1).numpy(), atol=1e-3)
    np.testing.assert_allclose(posterior.nats(), z.kl().numpy(), rtol=1e-4)


def test_kl_is_saved_as_diffusers_reads_it(tmp_path, diffusers):
    import torch

    params = random_params(KL)
    autoencoder.save(KL, params, tmp_path / "exported")
    theirs = diffusers.AutoencoderKL.from_pretrained(tmp_path / "exported").eval()
    x = images()
    with torch.no_grad():
        y = theirs(torch.tensor(x).permute(0, 3, 1, 2)).sample.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(both_ways(KL, params, x)[1], y, atol=1e-3)


def test_kl_comes_back_as_it_was_saved(tmp_path):
    params = random_params(KL)
    autoencoder.save(KL, params, tmp_path)
    for weights in (tmp_path, tmp_path / autoencoder.WEIGHTS_NAME):
        model, loaded = autoencoder.load("kl", weights=weights)
        assert model == KL
        jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_older_names_of_the_attention_are_read(tmp_path):
    params = random_params(KL)
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = {}
    for name, tensor in published.to_tensors(params["params"]).items():
        for new, old in older.items():
            name = name.replace(f".{new}.", f".{old}.")
        tensors[name] = tensor
    autoencoder.save(KL, params, tmp_path)  # for its config.json
    safetensors.write(tmp_path / autoencoder.WEIGHTS_NAME, tensors)
    _, loaded = autoencoder.load("kl", weights=tmp_path)
    jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_posterior_draws_and_measures_as_a_gaussian():
    posterior = Posterior(jnp.full((1, 64, 64, 4), 2.0), jnp.full((1, 64, 64, 4), np.log(0.25)))
    drawn = posterior.sample(jax.random.key(0))
    assert float(jnp.mean(drawn)) == pytest.approx(2.0, abs=0.02)
    assert float(jnp.std(drawn)) == pytest.approx(0.5, abs=0.02)
    nats = 64 * 64 * 4 * (-np.log(0.5) + (0.25 + 4.0) / 2 - 0.5)
    np.testing.assert_allclose(posterior.nats(), [nats], rtol=1e-5)


def test_it_computes_in_its_dtype(tmp_path):
    model = TinyAutoencoder(**TINY)
    params = random_params(model)
    half, loaded = autoencoder.load(
        "tiny", dtype=jnp.bfloat16, **tiny_files(tmp_path, model, params)
    )
    assert {x.dtype for x in jax.tree.leaves(loaded)} == {jnp.dtype("float32")}
    exact, rough = (both_ways(m, params, images())[0] for m in (model, half))
    gap = np.abs(exact - rough).max() / np.abs(exact).max()
    assert 1e-4 < gap < 0.1


@pytest.mark.parametrize("model", [TinyAutoencoder(**TINY), KL.clone(channels=(8, 8, 8, 8))])
@pytest.mark.parametrize("shape", [(1, 20, 16, 3), (1, 16, 12, 3)])
def test_odd_sizes_are_refused(model, shape):
    with pytest.raises(UserError, match=r"multiples of 8 pixels, not \d+x\d+"):
        jax.eval_shape(lambda x: model.init(jax.random.key(0), x), np.zeros(shape, np.float32))


@pytest.fixture
def good(tmp_path):
    model = TinyAutoencoder(**TINY)
    return tiny_files(tmp_path, model, random_params(model))


def test_unknown_kinds_and_files_are_told(good):
    with pytest.raises(UserError, match=r"unknown autoencoder 'big': there are tiny, kl"):
        autoencoder.load("big", **good)
    with pytest.raises(UserError, match="loaded from weights=FILE"):
        autoencoder.load("kl", **good)
    with pytest.raises(UserError, match=r"nowhere.*cannot be read"):
        autoencoder.load("kl", weights="nowhere.safetensors")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda t: t.pop("5.conv.2.bias"),
            r"5\.conv\.2\.bias is mis",
        ),
        (lambda t: t.pop("14.weight"), r"encoder\.layers\.14\.weight is missing"),
        (lambda t: t.update(extra=np.zeros(2)), r"encoder\.layers\.extra is none of this network"),
        (
            lambda t: t.update({"1.conv.0.bias": np.zeros(9)}),
            r"1\.conv\.0\.bias is of shape \[9\], where \[8\] is wanted",
        ),
    ],
)
def test_a_wrong_tensor_is_named(good, spoil, message):
    tensors = safetensors.read(good["encoder"])
    spoil(tensors)
    safetensors.write(good["encoder"], tensors)
    with pytest.raises(UserError, match=message) as raised:
        autoencoder.load("tiny", **good)
    assert "\n" not in str(raised.value)


def test_files_cut_short_or_of_another_kind_are_told(good, tmp_path):
    data = good["decoder"].read_bytes()
    header = json.dumps({"x": {"dtype": "BOOL", "shape": [1], "data_offsets": [0, 1]}}).encode()
    for spoilt, message in (
        (data[:-9], "not a whole safetensors file"),
        (data[:50], "not a whole safetensors file"),
        (b"", "not a whole safetensors file"),
        (b"\x80\x02}q\x00" * 99, "not a whole safetensors file"),  # a pickle, say
        (len(header).to_bytes(8, "little") + header + b"0", "tensor x has an unknown dtype, BOOL"),
    ):
        good["decoder"].write_bytes(spoilt)
        with pytest.raises(UserError, match=message) as raised:
            autoencoder.load("tiny", **good)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16, np.int8])
def test_tensors_are_read_as_others_write_them(tmp_path, dtype):
    numbers = np.arange(-6, 6).reshape(3, 4).astype(dtype)
    safetensors.write(tmp_path / "ours", {"b": numbers, "a": numbers[:, 1]})
    read = safetensors.read(tmp_path / "ours")
    assert read["b"].dtype == dtype
    np.testing.assert_array_equal(read["b"].astype(float), numbers.astype(float))
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    public = pytest.importorskip("safetensors.torch", reason=NEEDS_TORCH)
    theirs = public.load_file(tmp_path / "ours")
    np.testing.assert_array_equal(theirs["a"].float().numpy(), numbers[:, 1].astype(float))
    public.save_file({"c": theirs["b"].contiguous()}, tmp_path / "theirs")
    np.testing.assert_array_equal(
        safetensors.read(tmp_path / "theirs")["c"].astype(float), torch.Tensor.float(theirs["b"])
    )
