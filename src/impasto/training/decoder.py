"""The task ``decoder``: from features of the frozen encoder back to the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto import backbones
from impasto.backbones import Backbone
from impasto.errors import UsageError
from impasto.networks.decoder import DEFAULTS, Correction, Decoder, ReadoutFit, set_readout
from impasto.training.photos import Crops, Stream
from impasto.training.task import Asked, Plan, Task, channels_last

#: Channels of the first convolution by stride of the features.
WIDTHS = {1: 24, 2: 48, 4: 96, 8: 128}
#: Ridges of the least squares fits, of the first guess and of corrections.
RIDGES = (1e-4, 1e-3)


class DecoderTask(Task):
    """Pixels from features: pixel loss, and the distance of the features of what is decoded.

    The linear parts are fitted by least squares before the first step.

    Settings: ``mode`` (see :func:`task`), ``layer`` of the encoder, ``encoder``, its ``pooling``,
    and ``features``, the weight of the feature loss at that layer: the mean squared distance over
    the mean square; ``fitted``, the crops for the least squares fit, from the beginning of the
    stream.

    Args:
        asked: The request.

    Raises:
        UsageError: The layer has no power of 2 as its stride, or a setting makes no sense.
    """

    kind = "decoder"
    #: Settings and what they are where nothing is said.
    own: ClassVar[Mapping[str, Any]] = {
        "mode": "reconstruct",
        "layer": "relu2_1",
        "encoder": backbones.DEFAULT,
        "pooling": "avg",
        "features": 0.0,
        "fitted": 240,
    }
    #: What the architecture is where nothing is said.
    shape: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, asked: Asked) -> None:
        self.numbers = asked.read(self.own)
        self.encoder = _encoder(self.numbers).to(asked.device)
        self.layer = self.encoder.resolve(self.numbers["layer"])
        tap = self.encoder.table[self.layer]
        if tap.stride not in WIDTHS:
            raise UsageError(
                f"{self.layer} has stride {tap.stride}", hint="choose a layer of blocks 1 to 4"
            )
        wanted = {**DEFAULTS, "width": WIDTHS[tap.stride], **self.shape}
        wanted |= {"channels": tap.channels, "stride": tap.stride}
        own = ",".join(f"{k}={v}" for k, v in wanted.items())
        self.architecture = f"{own},{asked.architecture}" if asked.architecture else own
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(asked.seed)
            self.decoder = Decoder.of(self.architecture)
        self.network = channels_last(self.decoder.to(asked.device))
        self.plan = Plan(steps=8000, batch=4, crops=Crops(96), lr=1e-3)

    def settings(self) -> dict[str, Any]:
        """The settings of the class."""
        return dict(self.numbers)

    def slow(self) -> Mapping[str, float]:
        """What least squares has set begins where it should be."""
        places = [n for n, _ in self.decoder.named_modules() if n.endswith("readout")]
        return dict.fromkeys(places, 0.02)

    @torch.no_grad()
    def prepare(self, stream: Stream | None) -> None:
        """Fit the linear parts, one after the other."""
        if stream is None or not self.numbers["fitted"]:
            return
        batches = [stream.batch(i, 8) for i in range(0, self.numbers["fitted"], 8)]
        guesses = [self._fit(self.decoder.readout, RIDGES[0], batches, [])]
        for correction in self.decoder.corrections:
            if isinstance(correction, Correction):
                guesses.append(self._fit(correction.readout, RIDGES[1], batches, guesses[-1]))

    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        """Squared errors.

        ``pixels`` of the last guess, ``first`` of those before it, for a quarter, and ``features``
        where it has a weight.
        """
        del step
        features = self._features(batch)
        *before, made = self.decoder.guesses(features, self._encode)
        terms = {"pixels": (made - batch).square().mean()}
        if before:
            errors = [(guess - batch).square().mean() for guess in before]
            terms["first"] = 0.25 * torch.stack(errors).mean()
        if self.numbers["features"]:
            error = (self._encode(made) - features).square().mean() / features.square().mean()
            terms["features"] = self.numbers["features"] * error
        return terms

    @torch.no_grad()
    def validate(self, photos: Sequence[Tensor]) -> dict[str, float]:
        """``psnr``: mean over photos, in dB; ``error``: relative squared error of the features."""
        found = [self._figures(photo) for photo in photos]
        return {
            "psnr": sum(p for p, _ in found) / len(found),
            "error": sum(e for _, e in found) / len(found),
        }

    @torch.no_grad()
    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        """Three photos above what is decoded from their features."""
        shown = [p for p in photos if p.shape == photos[0].shape][:3]
        above = torch.cat(shown, 3)
        below = torch.cat([self._decoded(p) for p in shown], 3)
        return torch.cat([above, below], 2)

    def _figures(self, photo: Tensor) -> tuple[float, float]:
        made, features = self._decoded(photo), self._features(photo)
        error = float((made - photo).square().mean())
        seen = self._features(made)
        relative = float((seen - features).square().mean() / features.square().mean())
        return -10 * math.log10(max(error, 1e-10)), relative

    def _decoded(self, photo: Tensor) -> Tensor:
        made: Tensor = self.decoder(self._features(photo), self._encode)
        return made[..., : photo.shape[-2], : photo.shape[-1]].clamp(0, 1)

    def _fit(
        self, layer: nn.Conv2d, ridge: float, batches: list[Tensor], guesses: list[Tensor]
    ) -> list[Tensor]:
        """Set one linear part, and give the guesses with it."""
        device = layer.weight.device
        stride = self.decoder.stride
        fit = ReadoutFit(layer.in_channels, stride, ridge)
        before = guesses or [torch.zeros_like(b) for b in batches]
        inputs = []
        for batch, guess in zip(batches, before, strict=True):
            missing = self._features(batch.to(device))
            missing = missing - self._encode(guess.to(device)) if guesses else missing
            fit.add(missing, batch.to(device) - guess.to(device), max(1, 15 // stride**2))
            inputs.append(missing)
        set_readout(layer, *fit.solve())
        return [
            guess + F.pixel_shuffle(layer(missing), stride).cpu()
            for guess, missing in zip(before, inputs, strict=True)
        ]

    def _encode(self, pictures: Tensor) -> Tensor:
        return self.encoder.taps(pictures, [self.layer])[self.layer]

    @torch.no_grad()
    def _features(self, pictures: Tensor) -> Tensor:
        return self._encode(pictures)


def task(asked: Asked) -> Task:
    """The task for the setting ``mode``: ``reconstruct`` or ``adain``.

    Raises:
        UsageError: There is no such mode, or a setting makes no sense.
    """
    mode = asked.settings.get("mode", "reconstruct")
    if mode == "reconstruct":
        return DecoderTask(asked)
    if mode == "adain":
        from impasto.training.adain import AdainTask

        return AdainTask(asked)
    raise UsageError(f"there is no mode {mode!r}", hint="use reconstruct or adain")


def _encoder(numbers: Mapping[str, Any]) -> Backbone:
    return backbones.load(numbers["encoder"], pooling=numbers["pooling"], normalized=True)
