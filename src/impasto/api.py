"""The verbs as functions: pictures in, a :class:`Result` or events out.

A picture is given as a path, as the bytes of a file, as a Pillow image, or as an array
``(H, W[, C])`` of uint8, uint16 or float in [0, 1].
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from impasto import jobs
from impasto.errors import ImpastoError, UnknownName
from impasto.events import Event, Finished, Step
from impasto.specs import OutputSpec, Spec

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from PIL.Image import Image
    from torch.nn import Module

    Picture = str | os.PathLike[str] | bytes | Image | np.ndarray

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What a verb made.

    Attributes:
        array: (H, W, 3) float32 sRGB in [0, 1].
        alpha: (H, W) float32 in [0, 1], or None where all is opaque.
        losses: For every step its ``scale`` (from 0), ``step`` (from 1), the weighted value of
            each term before the step, and ``loss``, their sum.
        settings: All numbers of the recipe as they were used.
        seconds: Wall time of the job.
        metadata: What :meth:`save` writes into the picture; enough for ``impasto rerun``.
        report: What the verb found besides pictures; plain lists and numbers.
        others: Further pictures, (H, W, 3) like ``array``, by name (``"invert"``).
    """

    array: np.ndarray
    alpha: np.ndarray | None = None
    losses: tuple[dict[str, float], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row for every layer that :func:`inspect` looked at; ready for a data frame."""
        return list(self.report.get("layers", ()))

    @cached_property
    def image(self) -> Image:
        """The picture as a Pillow image, 8 bits per channel, RGB or RGBA."""
        import io

        from PIL import Image

        return Image.open(io.BytesIO(self._png()))

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the picture with its settings; the extension gives the format.

        Raises:
            UsageError: The file exists and ``force`` is false, or the name makes no sense.
        """
        from impasto import images

        images.save(
            self.array, Path(path), alpha=self.alpha, metadata=dict(self.metadata), force=force
        )
        return Path(path)

    def __repr__(self) -> str:
        height, width = self.array.shape[:2]
        return f"<Result {width} x {height} px, {len(self.losses)} steps, {self.seconds:.1f} s>"

    def _png(self) -> bytes:
        from impasto.images.encoding import Encoding, encode

        return encode(self.array, self.alpha, dict(self.metadata), Encoding("PNG")).data

    def _repr_png_(self) -> bytes:
        return self._png()

    def _repr_html_(self) -> str:
        data = base64.b64encode(self._png()).decode()
        return f'<img src="data:image/png;base64,{data}"><br>{html.escape(repr(self)[1:-1])}'


def with_options(*specs: type[Spec]) -> Callable[[F], F]:
    """Let ``help`` and completion show the fields of ``specs`` in place of ``**options``."""

    def decorate(function: F) -> F:
        plain = signature(function)
        own = [p for p in plain.parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = {p.name for p in own}
        names |= {name for spec in specs for name in spec.without}
        fields = {n: f for spec in specs for n, f in spec.model_fields.items() if n not in names}
        more = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=f.default) for name, f in fields.items()
        ]
        function.__signature__ = plain.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return decorate


@with_options(jobs.spec_type("stylize"), OutputSpec)
def stylize(content: Picture, style: Picture | Iterable[Picture] = (), **options: Any) -> Result:
    """Give a photo the style of a painting.

    Args:
        content: The photo.
        style: One or several paintings (a list or tuple); names of paintings that a trained
            network knows, or nothing, with ``recipe="fast:NAME"``.
        options: Fields of :class:`impasto.specs.StylizeSpec`, named like the options of
            ``impasto stylize``, and of :class:`impasto.specs.OutputSpec`. ``init`` may be a
            picture, too.

    Raises:
        UsageError: An option is unknown or out of range.
        InputError: A picture cannot be used.
        WeightsError: The weights of the backbone are not there.
        ResourceError: There is not enough memory.
    """
    return collect(stylize_steps(content, style, **options))


@with_options(jobs.spec_type("stylize"), OutputSpec)
def stylize_steps(
    content: Picture, style: Picture | Iterable[Picture] = (), **options: Any
) -> Iterator[Event]:
    """Like :func:`stylize`, as events: one :class:`impasto.events.Step` for every step.

    Closing the iterator (or leaving a loop over it) stops the job.
    """
    paintings = tuple(style) if isinstance(style, list | tuple) else (style,)
    return steps("stylize", {"content": content, "style": paintings}, options)


@with_options(jobs.spec_type("texture"), OutputSpec)
def texture(exemplar: Picture, **options: Any) -> Result:
    """More of a texture, in any size.

    Args:
        exemplar: A picture of the texture.
        options: Fields of :class:`impasto.specs.TextureSpec`, named like the options of
            ``impasto texture``, and of :class:`impasto.specs.OutputSpec`. ``size`` may be a pair
            of width and height, ``guide`` two pictures, ``init`` a picture, too.

    Raises:
        UsageError: An option is unknown or out of range.
        InputError: A picture cannot be used.
        WeightsError: The weights of the backbone are not there.
        ResourceError: There is not enough memory.
    """
    return collect(steps("texture", {"exemplar": exemplar}, options))


@with_options(jobs.spec_type("filter"), OutputSpec)
def filter(image: Picture, name: str, reference: Picture | None = None, **options: Any) -> Result:
    """Give a photo a classical look, without a network.

    Args:
        image: The photo.
        name: A filter, or several: ``"kuwahara:radius=8+posterise:colours=6"``.
        reference: The painting that some filters take colours or textures from.
        options: Fields of :class:`impasto.specs.FilterSpec`, named like the options of
            ``impasto filter``, and of :class:`impasto.specs.OutputSpec`. ``set`` may be a
            mapping, too: ``set={"radius": 8}``.

    Raises:
        UnknownName: There is no such filter, or it has no such parameter.
        UsageError: An option or parameter is out of range, or the reference is missing.
        InputError: A picture cannot be used.
    """
    pictures = {"image": image, "name": name, "reference": reference}
    return collect(steps("filter", pictures, options))


@with_options(jobs.spec_type("apply"), OutputSpec)
def apply(model: str | os.PathLike[str], image: Picture, **options: Any) -> Result:
    """Paint a photo in one pass of a trained network.

    Args:
        model: A name that ``impasto models`` lists, or a .safetensors file.
        image: The photo.
        options: Fields of :class:`impasto.specs.ApplySpec`, named like the options of
            ``impasto apply``, and of :class:`impasto.specs.OutputSpec`.

    Raises:
        UnknownName: There is no such model, or it knows no such painting.
        UsageError: An option is unknown or out of range.
        WeightsError: The model is damaged.
        InputError: The photo or the model cannot be read.
        ResourceError: There is not enough memory.
    """
    return collect(steps("apply", {"model": os.fspath(model), "image": image}, options))


@with_options(jobs.spec_type("train"), OutputSpec)
def train(style: Picture | Iterable[Picture] = (), **options: Any) -> Result:
    """Train a network that does in one pass what a recipe would optimise.

    Args:
        style: The paintings, for tasks that have any.
        options: Fields of :class:`impasto.specs.TrainSpec`, named like the options of
            ``impasto train``, and of :class:`impasto.specs.OutputSpec`: ``photos="folder"``,
            ``output="mine.safetensors"``. ``set`` may be a mapping, too.

    Returns:
        What the network does with photos it was not trained on; its ``report`` has the card, its
        ``losses`` those of every step.

    Raises:
        UnknownName: There is no such task.
        UsageError: An option is unknown or out of range.
        InputError: A painting cannot be read, or there are no photos that can.
        Diverged: The loss was not finite several times in a row.
    """
    paintings = tuple(style) if isinstance(style, list | tuple) else (style,)
    return collect(steps("train", {"style": paintings}, options))


@with_options(jobs.spec_type("enhance"), OutputSpec)
def enhance(image: Picture, **options: Any) -> Result:
    """Enlarge a picture two or four times.

    Args:
        image: The picture.
        options: Fields of :class:`impasto.specs.EnhanceSpec`, named like the options of
            ``impasto enhance``, and of :class:`impasto.specs.OutputSpec`. ``from_style`` may be a
            picture, too.

    Raises:
        UnknownName: There is no such model.
        UsageError: An option is unknown or out of range, or the model does not fit it.
        WeightsError: The model is damaged.
        InputError: A picture or the model cannot be read.
        ResourceError: There is not enough memory.
    """
    return collect(steps("enhance", {"image": image}, options))


@with_options(jobs.spec_type("inspect"), OutputSpec)
def inspect(image: Picture, **options: Any) -> Result:
    """What a network sees in a picture.

    Args:
        image: The picture.
        options: Fields of :class:`impasto.specs.InspectSpec`, named like the options of
            ``impasto inspect``, and of :class:`impasto.specs.OutputSpec`.

    Returns:
        The sheet. Its ``table`` has a row per layer, its ``report`` the classes as well; with
        ``invert`` the rebuilt picture is ``others["invert"]``. With ``explain`` the picture of
        the method; with ``photos`` rows of crops, and pages where ``output`` is a .html file.

    Raises:
        UsageError: An option is unknown or out of range, a layer does not exist.
        InputError: The picture cannot be used.
        WeightsError: The weights of a network are not there.
        ResourceError: There is not enough memory.
    """
    return collect(steps("inspect", {"image": image}, options))


@with_options(jobs.spec_type("dream"), OutputSpec)
def dream(image: Picture, **options: Any) -> Result:
    """More of what a network sees in a picture (DeepDream).

    Args:
        image: The picture.
        options: Fields of :class:`impasto.specs.DreamSpec`, named like the options of
            ``impasto dream``, and of :class:`impasto.specs.OutputSpec`. ``guide`` may be a
            picture, too.

    Returns:
        The dream; with ``zoom`` the last frame, and all of them as ``others``.

    Raises:
        UnknownName: A network or layer does not exist.
        UsageError: An option is unknown or out of range, a channel is not there.
        InputError: A picture cannot be used.
        WeightsError: The weights of the network are not there.
        ResourceError: There is not enough memory.
    """
    return collect(dream_steps(image, **options))


@with_options(jobs.spec_type("dream"), OutputSpec)
def dream_steps(image: Picture, **options: Any) -> Iterator[Event]:
    """Like :func:`dream`, as events: one :class:`impasto.events.Step` for every step.

    Closing the iterator (or leaving a loop over it) stops the job.
    """
    return steps("dream", {"image": image}, options)


@with_options(jobs.spec_type("visualize"), OutputSpec)
def visualize(*, backbone: str | Module | None = None, **options: Any) -> Result:
    """A picture that excites a unit of a network most.

    Args:
        backbone: A name; or any torch module that takes pictures (1, 3, H, W), normalised with
            ImageNet's mean and deviation; or an :class:`impasto.backbones.module.ModuleTaps`
            around one with other preprocessing. A module is left as it was.
        options: Fields of :class:`impasto.specs.VisualizeSpec`, named like the options of
            ``impasto visualize`` (``class`` is ``class_``), and of
            :class:`impasto.specs.OutputSpec`. ``init`` and ``direction`` may be pictures, too.

    Returns:
        The picture, or a sheet of several. Its ``report`` has a row per unit.

    Raises:
        UnknownName: A network, layer, class or recipe does not exist.
        UsageError: An option is unknown or out of range, a channel is not there.
        WeightsError: The weights of a network are not there.
        ResourceError: There is not enough memory.
    """
    return collect(visualize_steps(backbone=backbone, **options))


@with_options(jobs.spec_type("visualize"), OutputSpec)
def visualize_steps(*, backbone: str | Module | None = None, **options: Any) -> Iterator[Event]:
    """Like :func:`visualize`, as events: one :class:`impasto.events.Step` for every step.

    Closing the iterator (or leaving a loop over it) stops the job.
    """
    return steps("visualize", {"backbone": backbone}, options)


def layers(network: str | Module) -> tuple[str, ...]:
    """The names of the layers of a network, or of any torch module, first to last.

    Raises:
        UnknownName: There is no such network.
        WeightsError: Its weights are not there.
    """
    from impasto.backbones import Backbone, load
    from impasto.backbones.module import ModuleTaps

    found = load(network) if isinstance(network, str) else network
    if isinstance(found, Backbone):
        return tuple(found.table)
    return (found if isinstance(found, ModuleTaps) else ModuleTaps(found)).layers


def steps(verb: str, pictures: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Event]:
    """Run any verb.

    Args:
        verb: Its name.
        pictures: Those fields of its spec that are pictures, or tuples of them, in any form.
        options: The other fields, and those of the output.

    Raises:
        UsageError: An option is unknown or out of range.
    """
    model = jobs.spec_type(verb)
    known = {*model.model_fields, *OutputSpec.model_fields}
    for name in options:
        if name not in known:
            raise UnknownName("option", name, known)
    sources: dict[str, Any] = {}
    values = {k: _named(k, v, sources) for k, v in {**options, **pictures}.items()}
    output = {k: values.pop(k) for k in OutputSpec.model_fields if k in values}
    return jobs.run(model.build(**values), OutputSpec.build(**output), sources)


def collect(events: Iterable[Event]) -> Result:
    """Run a job to its end and keep the result and the losses.

    The losses stay on their device until the end, so that no step waits for it.
    """
    taken: list[Step] = []
    for event in events:
        if isinstance(event, Step):
            taken.append(event)
        elif isinstance(event, Finished):
            return Result(
                array=event.image,
                alpha=event.alpha,
                losses=tuple(_losses(step) for step in taken),
                settings=event.settings,
                seconds=event.seconds,
                metadata=event.metadata,
                report=event.report,
                others={name.strip("-"): image for name, image in event.others.items()},
            )
    raise ImpastoError("the job ended without a result")


def _losses(step: Step) -> dict[str, float]:
    terms = {name: float(value) for name, value in step.terms.items()}
    return {"scale": step.scale, "step": step.index, **terms, "loss": sum(terms.values())}


def _named(name: str, value: Any, sources: dict[str, Any]) -> Any:
    """``value`` as a spec can hold it: what is in memory gets a name and goes to ``sources``."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        several = len(value) > 1
        return tuple(
            _named(f"{name} {i}" if several else name, item, sources)
            for i, item in enumerate(value, 1)
        )
    if not _is_picture(value) and not _is_network(value):
        return value
    sources[f"<{name}>"] = value
    return f"<{name}>"


def _is_network(value: Any) -> bool:
    """A torch module, or something with taps around one."""
    return hasattr(value, "named_modules") or hasattr(value, "taps")


def _is_picture(value: Any) -> bool:
    """Bytes, an open file, an array or a Pillow image; not a number of numpy's."""
    if isinstance(value, bytes | bytearray | memoryview) or hasattr(value, "read"):
        return True
    return hasattr(value, "__array_interface__") and getattr(value, "ndim", 2) > 0
