"""Training of the model itself: a clip into content and motion, and back."""

from etils import epath

from vdd.config import Config
from vdd.data import datasets, pipeline
from vdd.data.batches import ClipIterator
from vdd.evaluation import run
from vdd.method import step
from vdd.training.loop import Hook
from vdd.training.update import Training


def settle(config: Config, workdir: epath.Path) -> Config:
    """The config as it is: it leaves nothing open."""
    del workdir
    return config


def build(config: Config) -> Training:
    """The functions of the training."""
    run.check(config)
    recipe = step.Recipe.from_config(config)
    pipeline.check(config.data, recipe.model.latents.size)
    frames = datasets.find(config.data.dataset).frames(config.data)
    recipe.objective.check(recipe.model, frames)
    return step.build(recipe)


def batches(config: Config, process: int, processes: int) -> ClipIterator:
    """Clips of the split that is trained on."""
    split, batch_size = datasets.trained_split(config.data), config.train.batch_size
    return pipeline.load_source(config.data, split, batch_size, config.seed, process, processes)


def hooks(config: Config, workdir: epath.Path) -> list[Hook]:
    """Swaps, judged and drawn."""
    return run.hooks(config, workdir)


def evaluate(workdir: epath.Path) -> int:
    """The protocols over a whole split."""
    return run.evaluate_run(workdir)["step"]
