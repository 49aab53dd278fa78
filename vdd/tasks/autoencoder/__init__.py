"""Training of an image autoencoder, whose latents the model itself may then work on."""

from etils import epath

from vdd.config import Config
from vdd.data import datasets, pipeline
from vdd.data.batches import ClipIterator
from vdd.tasks.autoencoder import evaluation
from vdd.tasks.autoencoder import step as autoencoder
from vdd.training.loop import Hook
from vdd.training.update import Training


def settle(config: Config, workdir: epath.Path) -> Config:
    """The config as it is: it leaves nothing open."""
    del workdir
    return config


def build(config: Config) -> Training:
    """The functions of the training."""
    evaluation.check(config)
    pipeline.check(config.data)
    return autoencoder.build(config)


def batches(config: Config, process: int, processes: int) -> ClipIterator:
    """Clips of the split that is trained on; frames are drawn from them in the step."""
    split, batch_size = datasets.trained_split(config.data), config.train.batch_size
    return pipeline.load_source(config.data, split, batch_size, config.seed, process, processes)


def hooks(config: Config, workdir: epath.Path) -> list[Hook]:
    """Frames rebuilt, measured and drawn."""
    return evaluation.hooks(config, workdir)


def evaluate(workdir: epath.Path) -> int:
    """How near the frames of a split come back; and the weights by published names."""
    return evaluation.evaluate_run(workdir)["step"]
