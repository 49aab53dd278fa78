"""The recipe, once: what every training of the method has, whatever its data.

A data set's config begins with `get_config()` and says what its data demand; its sizes change
further keys. `grid` and `large` are choices that several of them make. The values are those of
Sprites on two CPU cores. This is no config to train with, since it names no data.
"""

# pyright: reportAttributeAccessIssue=false
# A ConfigDict makes what is set ConfigDicts of its own.

from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import FieldReference, placeholder

SIZES = ()


def get_config(variant: str = "") -> Any:
    if variant:
        raise ValueError(f"no variant {variant!r}: the recipe itself has none")
    config = ConfigDict()
    config.task = "disentangler"  # What is trained; the prior and the autoencoder are others.
    config.seed = 0  # Of everything random: parameters, batches, noise.
    config.data = dict(
        source="in_memory",  # How clips are read; `tfdata` and `grain` read prepared ones.
        dataset=placeholder(str),  # Which data set; a data set's file says it.
        augment="none",  # What is done to clips in training.
        data_dir=placeholder(str),  # Where prepared data lie.
    )
    config.model = _model()
    config.objective = _objective()
    config.rates = dict(
        target_bits_per_frame=FieldReference(6.35, object),  # Bits of motion, or auto.
        motion_weight=0.04,  # Of the paper's quadratic penalty, as there.
        motion_speed=5e-5,  # How fast the price of motion moves, per bit of excess and step.
        target_bits_per_clip=80.0,  # Bits of content that are held.
        content_price=1e-6,  # Of a bit, in loss, at the start.
        content_price_range=(1e-6, 3e-3),  # The lowest and the highest.
        content_speed=0.01,  # How fast its logarithm moves, per relative excess and step.
    )
    config.revival = dict(
        usage_decay=0.99,  # Of the running usage of each codeword.
        below=0.02,  # A codeword used less than this times its even fraction is dead.
        rate=0.005,  # The probability that a dead one is moved at a step.
    )
    config.optimizer = dict(
        learning_rate=1.5e-3,  # Adam's, at its peak.
        final_learning_rate=2e-5,  # Where the cosine ends.
        warmup_steps=100,  # Over which it rises from 0; at most all but the last.
        b1=0.9,  # Decay of the first moment.
        b2=0.99,  # Decay of the second moment.
        clip_norm=1.0,  # The norm at which the gradient is clipped.
    )
    config.train = _train()
    config.eval = _eval()
    return config


def _model() -> dict[str, Any]:
    return dict(
        dtype="float32",  # The type that networks compute in.
        latents=dict(
            patch=4,  # The side of the squares of pixels that are folded into channels.
            size=(64, 64, 3),  # Height, width and channels of the video.
        ),
        encoder=dict(
            stem=(48, 96),  # Channels of the convolutions that make a token of each frame.
            width=192,  # Of the transformer.
            num_layers=3,  # Of the transformer.
            num_heads=4,  # Of each attention layer.
            mlp_dim=512,  # Width inside each MLP.
            num_content_tokens=4,  # Queries that read the content.
        ),
        content=dict(dim=32),  # Dimensions of each content token.
        quantizer=dict(
            kind="straight_through",  # How codes pass a gradient.
            num_groups=1,  # Of the motion vector, each with a codebook.
            num_codes=160,  # Of each codebook.
            code_dim=16,  # Of a codeword.
            alpha=2.0,  # Sharpness of the soft assignment.
        ),
        denoiser=dict(
            prediction="gated",  # What the network's output means: EDM's, with a gate on the skip.
            sigma_data=0.1,  # Standard deviation of the latents less their mean frame.
            horizon=1.0,  # The noise level about which the read-out takes over.
            readout=dict(
                width=1024,  # Of the MLP that draws the mean frame.
                num_layers=1,  # Of that MLP.
                tiles=4,  # Along each side of the frame.
                tile_width=256,  # Features of each tile: how well it can be drawn.
            ),
            network=dict(
                kind="unet",  # The network that refines the mean.
                channels=(32, 64, 128),  # Of each resolution.
                num_blocks=1,  # Of each resolution.
                embedding=256,  # Width of the embedding of noise level and motion.
                num_heads=4,  # Of each attention layer.
                attention_levels=(1, 2),  # Resolutions at which content tokens are attended to.
                content_map=4,  # Channels of the content map beside the noisy input.
                temporal=False,  # Whether there is attention along time.
            ),
        ),
    )


def _objective() -> dict[str, Any]:
    return dict(
        split="halves",  # How a clip is cut into two segments.
        mean_frames=2,  # Frames of every segment that are rebuilt at infinite noise.
        noisy_segments=16,  # Segments of a step that are rebuilt at finite noise too.
        noisy_frames=1,  # Frames of each of these.
        sigma_mean=-2.0,  # Of the logarithm of the noise level.
        sigma_std=1.4,  # Of the same.
        highest_snr=25.0,  # The bound of the signal-to-noise ratio in the loss weight.
        null_content=0.02,  # The fraction of segments whose content is withheld.
        reread_clips=0,  # Clips of a step whose content is read again from a swap.
        weights=dict(
            codebook=0.25,  # Of the pull of codewords to their vectors.
            commitment=0.0625,  # Of the pull of vectors to their codewords.
            reread_commitment=0.0,  # Of the same on motion that is read in swaps.
            static_motion=0.0,  # Of motion that stays the same within a segment.
        ),
    )


def _train() -> dict[str, Any]:
    return dict(
        batch_size=32,  # Clips of a step, over all devices.
        num_steps=8000,  # Of the training.
        accumulate=1,  # Slices in which the gradient of a step is computed.
        ema_decay=0.995,  # Of the averaged parameters, which evaluation uses.
        log_every=20,  # Steps between two lines of the log.
        checkpoint_every=500,  # Steps between two checkpoints; 0: the last step's alone.
        eval_every=1000,  # Steps between two quick evaluations; 0: never.
        sample_every=1000,  # Steps between two sets of sample GIFs; 0: never.
        keep=2,  # Checkpoints that are kept, the latest.
        keep_every=0,  # Steps whose multiples are kept as well; 0: none.
        mesh=dict(
            data=-1,  # Devices along which only clips are split; -1: what is left.
            fsdp=1,  # Devices along which large arrays of the state are split too.
        ),
        init_from=placeholder(str),  # A run whose parameters are taken over.
    )


def _eval() -> dict[str, Any]:
    return dict(
        split="validation",  # The split that is measured.
        num_clips=0,  # Clips that are measured; 0: all.
        batch_size=64,  # Clips that are drawn at once.
        seed=0,  # Of pairs and noise.
        sampler=dict(
            name="mean",  # Only the mean frame is drawn, without a sampler.
            steps=0,  # Of the sampler.
            sigma_min=0.02,  # The last noise level above 0.
            sigma_max=3.0,  # The first noise level.
            rho=7.0,  # How levels are spaced; larger: closer together at low noise.
        ),
        sharp=dict(  # The preset `sharp`: what of the sampler is otherwise.
            name="euler",  # The sampler.
            steps=8,  # Its steps.
        ),
    )


def grid(config: Any, groups: int, levels: int) -> None:
    """Codes are levels of a grid, which is not learned: nothing pulls, prices or revives them."""
    config.model.quantizer = dict(kind="grid", num_groups=groups, num_codes=levels, alpha=4.0)
    config.objective.weights.update(codebook=0.0, commitment=0.0)
    config.rates.update(motion_weight=0.0, motion_speed=0.0)
    config.revival.rate = 0.0


def large(config: Any) -> None:
    """The paper's encoder, and a UNet of two blocks at each resolution, for a GPU."""
    config.model.dtype = "bfloat16"
    config.model.encoder.update(width=512, num_layers=12, num_heads=8, mlp_dim=2048)
    config.model.denoiser.readout.num_layers = 2
    config.model.denoiser.network.num_blocks = 2
