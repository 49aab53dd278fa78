"""Video of a trained run to the bytes of a file and back."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Float, Int, UInt8

from vdd import apply, compiled, fingerprint, streaming
from vdd.codec import container, content
from vdd.codec.basis import BasisContent, Measured
from vdd.codec.clip import read_motion, write
from vdd.codec.container import Header
from vdd.codec.entropy_model import Adaptive, EntropyModel
from vdd.codec.exact_prior import ExactPrior
from vdd.errors import UserError
from vdd.method.content import ContentCode, ReferenceContent, ReferenceNumbers
from vdd.priors import PriorRun
from vdd.run import Run

CHUNK_FRAMES = 256


class Coded(NamedTuple):
    """A clip as it is coded."""

    codes: Int[np.ndarray, "t n"]
    numbers: Int[np.ndarray, "q"]  # of the content


class Decoded(NamedTuple):
    """What a file gave."""

    codes: Int[np.ndarray, "t n"]
    content: bytes | None  # None: it is damaged
    lost: list[tuple[int, int]]  # frames that hold another's pose, first and last
    header: Header

    @property
    def missing(self) -> int:
        """Frames at the end that are lost, and hold the last pose that there is."""
        first, last = self.lost[-1] if self.lost else (0, -1)
        return last - first + 1 if last == len(self.codes) - 1 else 0


class CodedRun(NamedTuple):
    """A run, and the models by which its motion and content are coded."""

    run: Run
    motion: EntropyModel
    content: content.ContentModel
    fingerprint: bytes

    @classmethod
    def create(cls, run: Run, prior: PriorRun | None) -> "CodedRun":
        """With a prior motion is coded by it, else by counting.

        Raises:
            UserError: as `ExactPrior`.
        """
        model = fingerprint.of_files(run.params)
        return cls(run, motion_model(run, prior), content_model(run), model)

    def take_apart(self, video: UInt8[np.ndarray, "t h w c"]) -> Coded:
        """Codes and content numbers of a clip."""
        return self.take_all_apart(video[None])[0]

    def take_windows_apart(self, windows: Iterable[streaming.Window]) -> Coded:
        """The same of a clip that is read window by window; its content is that of the first.

        Raises:
            ValueError: there is no window.
        """
        parts, numbers, read = [], None, self._reader()
        for window in windows:
            (coded,) = self._coded(read(window.frames[None]))
            parts.append(coded.codes[window.kept])
            numbers = coded.numbers if numbers is None else numbers
        if numbers is None:
            raise ValueError("a clip without frames")
        return Coded(np.concatenate(parts), numbers)

    def take_all_apart(self, video: UInt8[np.ndarray, "b t h w c"]) -> list[Coded]:
        """Codes and content numbers of clips of one length."""
        return self._coded(self.read(video))

    def read(self, video: UInt8[np.ndarray, "b t h w c"]) -> compiled.Encoded:
        """Clips as the model reads them, whose content is what `values` takes."""
        return self._reader()(video)

    def _reader(self) -> compiled.Reader:
        # Without its content code, or its way back, the model gives what these are made of.
        model = self.run.model.clone(content_code=None)
        if isinstance(self.content, BasisContent):
            model = model.clone(content=ReferenceNumbers(model.content.dim, 0.0))
        return compiled.Reader(model, self.run.params)

    def _coded(self, encoded: compiled.Encoded) -> list[Coded]:
        codes = np.asarray(encoded.codes, np.int64)
        values = self.values(encoded)
        return [Coded(c, self.content.quantize(v)) for c, v in zip(codes, values, strict=True)]

    def values(self, encoded: compiled.Encoded) -> Iterable[Any]:
        """What is rounded of clips that `read` has read, clip by clip."""
        model, params, tokens = self.run.model, self.run.params, jnp.asarray(encoded.content)
        if model.content_code is not None:
            return np.asarray(self._content_code(tokens, ContentCode.to_numbers))
        if not isinstance(self.content, BasisContent):
            return np.asarray(tokens)
        book = model.quantizer.codebook
        pose = tokens[:, -1:, : book.num_groups * book.code_dim]
        codes = apply.quantize(model, params, pose).codes[:, 0]
        mean, std = jnp.split(tokens[:, :-1], 2, axis=1)
        return map(Measured, *map(np.asarray, (mean, std, codes)))

    def tokens(self, numbers: Int[np.ndarray, "q"]) -> Float[Array, "1 k d"]:
        """The content tokens that numbers stand for."""
        if isinstance(self.content, BasisContent):
            return self.to_tokens(self.content.mean(numbers), self.content.split(numbers).pose)
        if self.run.model.content_code is not None:
            return self._content_code(
                jnp.asarray(numbers, jnp.float32)[None], ContentCode.to_tokens
            )
        values = np.ldexp(numbers.astype(np.float32), -self.content.step_bits)
        return jnp.asarray(rearrange(values, "(k d) -> 1 k d", d=self.run.model.content.dim))

    def to_tokens(
        self, mean: Float[np.ndarray, "p d"], pose: Int[np.ndarray, "n"]
    ) -> Float[Array, "1 k d"]:
        """The content tokens of numbers in a basis, and the codes of the reference's motion."""
        model, params = self.run.model, self.run.params
        shown = apply.lookup(model, params, jnp.asarray(pose)[None, None])[:, 0]
        given, way = {"params": params["content"]}, ReferenceContent.to_tokens
        back: Any = model.content.apply(given, jnp.asarray(mean)[None], shown, method=way)
        return back

    def to_bytes(self, coded: Coded, fps: float, chunk_frames: int = CHUNK_FRAMES) -> bytes:
        """The file of a clip."""
        frames, (height, width, _) = len(coded.codes), self.run.model.latents.size
        header = Header(
            motion_kind=self.motion.kind,
            content_kind=self.content.kind,
            step_bits=self.content.step_bits,
            model=self.fingerprint,
            prior=self.motion.fingerprint,
            frames=frames,
            fps=fps,
            height=height,
            width=width,
            num_groups=self.motion.num_groups,
            num_codes=self.motion.num_codes,
            chunk_frames=chunk_frames,
        )
        numbers = self.content.encode(coded.numbers)
        return write(header, numbers.data, coded.codes, self.motion)

    def from_bytes(self, data: bytes) -> Decoded:
        """Codes of a file.

        Raises:
            UserError: it is of another model or prior, or nothing can be read of it.
        """
        contents = container.read(data)
        header = contents.header
        if header.model != self.fingerprint:
            here, there = self.fingerprint.hex(), header.model.hex()
            raise UserError(f"was encoded with another model ({there}; this one is {here})")
        if (header.content_kind, header.step_bits) != (self.content.kind, self.content.step_bits):
            raise UserError("its content is not coded as the model's is")
        motion = read_motion(contents, self.motion)
        return Decoded(motion.codes, contents.content, motion.lost, header)

    def _content_code(self, x: Array, method: Callable[..., Any]) -> Any:
        code, params = self.run.model.content_code, self.run.params["content_code"]
        assert code is not None
        return code.apply({"params": params}, x, method=method)


def motion_model(run: Run, prior: PriorRun | None) -> EntropyModel:
    """The entropy model of a run's codes.

    Raises:
        UserError: as `ExactPrior`.
    """
    if prior is not None:
        model = prior.model
        names = ("num_groups", "num_codes", "width", "time_layers", "group_layers", "num_heads")
        settings = {name: getattr(model, name) for name in (*names, "mlp_dim", "window")}
        return ExactPrior(model, prior.params, fingerprint.digest(settings, prior.params))
    book = run.model.quantizer.codebook
    sent = np.ones((book.num_groups, book.num_codes), np.int64)
    if book.merged:
        aliases = np.asarray(run.params["quantizer"]["codebook"]["aliases"])
        sent[:] = 0
        sent[np.arange(book.num_groups)[:, None], aliases] = 1
    return Adaptive(sent)


def content_model(run: Run) -> content.ContentModel:
    """How the content of a run is coded."""
    code = run.model.content_code
    if code is not None:
        return content.model_of_code(code, run.params["content_code"])
    if isinstance(run.model.content, ReferenceContent):
        book, (count, dim) = run.model.quantizer.codebook, run.model.content_shape
        return BasisContent(count - 1, dim, book.num_groups, book.num_codes)
    return content.model_of_tokens(math.prod(run.model.content_shape))
