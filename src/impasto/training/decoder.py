"""The task ``decoder``: from features of the frozen encoder back to the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from impasto import backbones
from impasto.backbones import Backbone
from impasto.errors import UsageError
from impasto.networks.decoder import DEFAULTS, Decoder, ReadoutFit
from impasto.training.photos import Crops, Stream
from impasto.training.task import Asked, Plan, Task, channels_last

#: Channels of the first convolution by stride of the features.
WIDTHS = {1: 32, 2: 64, 4: 128, 8: 192}


class DecoderTask(Task):
    """Pixels from features: pixel loss, and the distance of the features of what is decoded.

    The linear part is fitted by least squares before the first step.

    Settings: ``layer`` of the encoder, ``encoder``, its ``pooling``, and ``features``, the weight
    of the feature loss at that layer: the mean squared distance over the mean square; ``fitted``,
    the crops for the least squares fit, from the beginning of the stream.

    Args:
        asked: The request.

    Raises:
        UsageError: The layer has no power of 2 as its stride, or a setting makes no sense.
    """

    kind = "decoder"

    def __init__(self, asked: Asked) -> None:
        self.numbers = asked.read(
            {
                "layer": "relu2_1",
                "encoder": backbones.DEFAULT,
                "pooling": "avg",
                "features": 0.0,
                "fitted": 240,
            }
        )
        self.encoder = _encoder(self.numbers).to(asked.device)
        self.layer = self.encoder.resolve(self.numbers["layer"])
        tap = self.encoder.table[self.layer]
        if tap.stride not in WIDTHS:
            raise UsageError(
                f"{self.layer} has stride {tap.stride}", hint="choose a layer of blocks 1 to 4"
            )
        wanted = {**DEFAULTS, "channels": tap.channels, "stride": tap.stride}
        wanted["width"] = WIDTHS[tap.stride]
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
        """The read-out begins where it should be."""
        return {"readout": 0.01}

    def prepare(self, stream: Stream | None) -> None:
        """Fit the linear part."""
        if stream is None:
            return
        stride = self.decoder.stride
        fit = ReadoutFit(self.decoder.readout.in_channels, stride)
        every = max(1, 15 // stride**2)
        for start in range(0, self.numbers["fitted"], 8):
            batch = stream.batch(start, 8).to(next(self.network.parameters()).device)
            fit.add(self._features(batch), batch, every)
        self.decoder.set_readout(*fit.solve())

    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        """``pixels``: mean squared error; ``features`` where it has a weight."""
        del step
        features = self._features(batch)
        made = self.network(features)
        terms = {"pixels": (made - batch).square().mean()}
        if self.numbers["features"]:
            seen = self.encoder.taps(made, [self.layer])[self.layer]
            error = (seen - features).square().mean() / features.square().mean()
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
        made: Tensor = self.network(self._features(photo))
        return made[..., : photo.shape[-2], : photo.shape[-1]].clamp(0, 1)

    @torch.no_grad()
    def _features(self, pictures: Tensor) -> Tensor:
        return self.encoder.taps(pictures, [self.layer])[self.layer]


def _encoder(numbers: Mapping[str, Any]) -> Backbone:
    return backbones.load(numbers["encoder"], pooling=numbers["pooling"], normalized=True)
