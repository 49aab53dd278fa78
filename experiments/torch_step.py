"""`vdd.method.step` once more in PyTorch: clipping, Adam, dead codewords, prices, the average.

Float32. Nothing is left out that the step in JAX does, and nothing added.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
from torch_draws import Draws
from torch_loss import loss, shares
from torch_model import Codes, Model
from torch_parameters import tensors

from vdd.method.step import Recipe, TrainState
from vdd.training.optimizer import Optimizer

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Step:
    """A training that begins at a state of the one in JAX, whose Adam has not moved yet.

    `layout` is one of LAYOUTS; `compiled` says whether loss and gradient are
    compiled. Raises ValueError for what is not written in PyTorch.
    """

    def __init__(
        self, recipe: Recipe, state: TrainState, layout: str = "contiguous", compiled: bool = False
    ):
        if recipe.config.train.accumulate != 1:
            raise ValueError("in PyTorch a step's batch is not taken in slices")
        self.recipe, self.step = recipe, int(state.step)
        self.model, self.average_model = (
            _twin(recipe, params, layout) for params in (state.params, state.ema_params)
        )
        self.params: Any = list(self.model.parameters())
        self.average: Any = [x.detach() for x in self.average_model.parameters()]
        self.usage = torch.tensor(np.asarray(state.usage))
        prices = (state.multipliers.motion, state.multipliers.log_content)
        self.motion_price, self.log_content_price = (torch.tensor(float(x)) for x in prices)
        betas = (recipe.optimizer.b1, recipe.optimizer.b2)
        self.adam = torch.optim.Adam(self.params, betas=betas, fused=True)
        self.loss: Callable[..., Any] = torch.compile(loss, dynamic=False) if compiled else loss

    def __call__(self, video: Tensor, draws: Draws) -> dict[str, Tensor]:
        """One more step on a video uint8 [b t h w c]; its metrics."""
        recipe, optimizer = self.recipe, self.recipe.optimizer
        rate = learning_rate(optimizer, recipe.config.train.num_steps, self.step)
        _, metrics, codes = self.gradient(video, draws)
        norm = self.move(rate)
        metrics = {name: x.detach() for name, x in metrics.items()}
        metrics |= {"motion_price": self.motion_price, "content_price": self.prices()[1]}
        with torch.no_grad():
            self.keep(codes, draws, rate / optimizer.learning_rate)
            self.steer(metrics, rate / optimizer.learning_rate)
            fade = min(recipe.config.train.ema_decay, (1 + self.step) / (10 + self.step))
            self.remember(fade)
        self.step += 1
        in_use = (self.usage > 0.1 / self.usage.shape[1]).sum()
        return {
            **metrics,
            "codes_in_use": in_use,
            "gradient_norm": norm,
            "learning_rate": torch.tensor(rate),
        }

    def gradient(self, video: Tensor, draws: Draws) -> tuple[Tensor, dict[str, Tensor], Codes]:
        """The loss, its parts and the codes; the parameters have its gradient then."""
        recipe = self.recipe
        self.adam.zero_grad()
        given = (recipe.objective, recipe.rates, video, draws, self.prices())
        total, metrics, codes = self.loss(self.model, *given)
        total.backward()
        return total, metrics, codes

    def move(self, rate: float) -> Tensor:
        """A clipped step of Adam; the gradient's norm before that."""
        norm = nn.utils.clip_grad_norm_(self.params, self.recipe.optimizer.clip_norm)
        self.adam.param_groups[0]["lr"] = rate
        self.adam.step()
        return norm

    @torch.no_grad()
    def remember(self, fade: float) -> None:
        """The moving average, of which a share `fade` stays."""
        torch._foreach_lerp_(self.average, self.params, 1 - fade)

    def prices(self) -> Tensor:
        """Of a bit of motion and one of content."""
        return torch.stack([self.motion_price, self.log_content_price.exp()])

    def keep(self, codes: Codes, draws: Draws, pace: float) -> None:
        """`vdd.method.quantizer.Revival`: the running usage; dead codewords move."""
        revival, even = self.recipe.revival, 1 / self.usage.shape[1]
        decay = revival.usage_decay
        usage = decay * self.usage + (1 - decay) * shares(codes)
        dead = (usage < revival.below * even) & (draws.moved < revival.rate * pace)
        pool = codes.vectors.flatten(0, 1).transpose(0, 1)  # [n bt g]
        fresh = pool[torch.arange(len(pool))[:, None], draws.chosen]
        self.model.codewords.copy_(torch.where(dead[..., None], fresh, self.model.codewords))
        self.usage = torch.where(dead, even, usage)

    def steer(self, metrics: dict[str, Tensor], pace: float) -> None:
        """`vdd.method.rates.Rates.steer`."""
        rates = self.recipe.rates
        excess = metrics["bits_per_frame"] - float(rates.target_bits_per_frame)
        price = self.motion_price + rates.motion_speed * pace * excess
        self.motion_price = price.clamp(-1, 1)
        excess = (metrics["content_bits_per_clip"] / rates.target_bits_per_clip - 1).clamp(-1, 1)
        low, high = (math.log(x) for x in rates.content_price_range)
        price = self.log_content_price + rates.content_speed * excess
        self.log_content_price = price.clamp(low, high)


def _twin(recipe: Recipe, params: Any, layout: str) -> Model:
    model: Any = Model(recipe.model)
    model.load_state_dict(tensors(model, params))
    return model.to(memory_format=LAYOUTS[layout])


def learning_rate(optimizer: Optimizer, num_steps: int, step: int) -> float:
    """`vdd.training.optimizer.Optimizer.schedule`."""
    warmup = min(optimizer.warmup_steps, max(num_steps - 1, 0))
    if step < warmup:
        return optimizer.learning_rate * step / warmup
    done = min(step - warmup, num_steps - warmup) / max(num_steps - warmup, 1)
    low, high = optimizer.final_learning_rate, optimizer.learning_rate
    return low + (high - low) * 0.5 * (1 + math.cos(math.pi * done))
