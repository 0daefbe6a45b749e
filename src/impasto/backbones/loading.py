"""From a name to a backbone: find, verify, read, build."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from torch import Tensor

from impasto.backbones import normalise, weights
from impasto.backbones.base import Backbone, Preprocessing
from impasto.backbones.chain import check_variant
from impasto.backbones.formats import pth, safe
from impasto.backbones.layouts import from_ours, from_state
from impasto.backbones.model import ARCHITECTURES, Weights
from impasto.errors import UsageError, WeightsError

DEFAULT = "vgg16_bn.craft"
#: The embedded network that names the things in a picture.
CLASSIFIER = "efficientnet_lite0.in1k"


def load(
    name: str = DEFAULT,
    *,
    pooling: str = "max",
    padding: str = "zeros",
    normalized: bool = False,
    pictures: Iterable[Tensor] | None = None,
) -> Backbone:
    """A frozen backbone with verified weights, on the CPU, float32.

    Args:
        name: ``arch.tag``; ``arch`` alone for the first of its weights that is on the disk; or
            the path of a .safetensors file that ``impasto weights convert`` wrote. With
            ``+normalized`` at the end: as ``normalized=True``.
        pooling: ``"max"`` as trained, or ``"avg"``.
        padding: ``"zeros"`` as trained, ``"replicate"`` or ``"circular"``.
        normalized: Scale the filters so that the mean activation of every channel is 1
            (:mod:`impasto.backbones.normalise`).
        pictures: Over which that mean is taken, each (B, 3, H, W) in [0, 1]; needed only when it
            has not been measured yet.

    Raises:
        UnknownName: No such backbone.
        UsageError: Unknown pooling or padding, or a network that cannot be normalised.
        WeightsError: Its weights are missing or damaged.
    """
    check_variant(pooling, padding)
    normalized = normalized or name.endswith(weights.NORMALIZED)
    found = locate(name.removesuffix(weights.NORMALIZED))
    digest = weights.verify(found)
    values, preprocessing = read(found)
    asked = str(found.path) if found.place == "file" else found.entry.name
    build = partial(
        ARCHITECTURES.get(found.entry.arch).build, preprocessing=preprocessing, pooling=pooling
    )
    plain = build(found.entry.name, values, padding=padding)
    if not normalized:
        return plain
    means = _means(plain, asked, digest, pooling, pictures)
    return build(plain.name + weights.NORMALIZED, normalise.scaled(values, means), padding=padding)


def _means(
    plain: Backbone, name: str, digest: str, pooling: str, pictures: Iterable[Tensor] | None
) -> dict[str, Tensor]:
    """Mean activations that were measured before, or else over ``pictures``."""
    normalise.relus(plain)  # refuses networks that cannot be normalised
    means = normalise.cached(plain.name, digest, pooling)
    if means is not None:
        return means
    if pictures is None:
        raise WeightsError(
            f"the mean activations of {plain.name} have not been measured with {pooling} pooling",
            hint=f"impasto weights normalize {name} --pooling {pooling}",
        )
    means = normalise.measure(plain, pictures)
    normalise.remember(means, plain.name, digest, pooling)
    return means


def locate(name: str) -> weights.Found:
    """The file behind a name or path, not verified yet.

    Raises:
        UnknownName: No such backbone.
        WeightsError: There is no file.
    """
    if not name.endswith(".safetensors"):
        return weights.locate(weights.get_entry(name))
    path = Path(name)
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    return weights.Found(weights.entry_of(path), path, "file")


def read(found: weights.Found) -> tuple[Weights, Preprocessing]:
    """Canonical weights out of a verified file, and what they expect of a picture.

    Raises:
        WeightsError: The file is damaged, or not of the architecture that it should be.
    """
    arch = ARCHITECTURES.get(found.entry.arch)
    if found.path.suffix != ".safetensors":
        _, values = from_state(pth.read(found.path), arch.name)
        return values, found.entry.preprocessing
    tensors, about = safe.read(found.path)
    if about.get("arch") != arch.name:
        raise WeightsError(f"{found.path} holds {about.get('arch')!r}, not {arch.name!r}")
    values = from_ours(arch, tensors, thin=_thin(about))
    return values, Preprocessing.parse(about.get("preprocessing", ""))


def _thin(about: dict[str, str]) -> int:
    text = about.get("thin", "1")
    if text not in ("1", "2", "4", "8"):
        raise UsageError(f"a network {text!r} times as thin is not known", hint="1, 2, 4 or 8")
    return int(text)
