"""Autoencoders against PyTorch, on the published weights where they are and on random ones."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoencoders import KL, TINY, both_ways, images, random_params, tiny_files

from vdd import safetensors
from vdd.data.video_io import read_clip
from vdd.models import autoencoder
from vdd.models.autoencoder.tiny import TinyAutoencoder

NEEDS_TORCH = "needs PyTorch: pip install -c requirements.lock -r requirements-bench.lock"


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
