"""``impasto weights``: list, fetch, convert, verify and normalise weights of networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from impasto.cli.listings import answer
from impasto.cli.session import Session
from impasto.errors import InputError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.backbones.download import Progress

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
#: Longest side of the pictures over which mean activations are taken, in px.
MEASURED = 448
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif")


def list_(session: Session, arch: str | None = None, /) -> None:
    """List the weights: which are on this machine, how to get the others.

    Args:
        session: Where to talk.
        arch: Only those of this network, such as vgg19.
    """
    from impasto.backbones import ARCHITECTURES
    from impasto.backbones import weights as room

    if arch is not None:
        ARCHITECTURES.get(arch)
    rows = [_row(entry) for entry in room.entries() if arch in (None, entry.arch)]
    answer(session, "weights", rows)


def fetch(session: Session, *names: str, offline: Flag = False) -> None:
    """Download weights, unless they are there; prints where they are.

    Args:
        session: Where to talk.
        names: Such as vgg19.tv_in1k; a network's name alone is its usual weights.
        offline: Do not touch the network; say what is missing.
    """
    from impasto.backbones.download import fetch as get

    paths = []
    for name in _some(names, "fetch"):
        with _progress(session, name) as progress:
            paths.append(str(get(name, offline=offline, progress=progress)))
    session.answer("\n".join(paths), {"paths": paths})


def convert(
    session: Session,
    file: str,
    /,
    *,
    name: str | None = None,
    preprocessing: str | None = None,
    licence: str | None = None,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    force: Flag = False,
) -> None:
    """Make a file of weights from elsewhere usable: .npy, .mat, .h5, .pth, .pt, .safetensors.

    Args:
        session: Where to talk.
        file: The file to read; nothing in it is run.
        name: Name or tag of the result, such as vgg19.mine.
        preprocessing: What the weights expect, where the format does not tell.
        licence: Of the weights, for the record.
        output: Where to write; otherwise where the weights can be used by name.
        force: Replace weights of the same name from another file.
    """
    from impasto.backbones.convert import convert as make

    target = Path(output) if output else None
    made = make(
        Path(file),
        name=name or "",
        preprocessing=preprocessing or "",
        licence=licence or "",
        output=target,
        force=force,
    )
    if made.assumed:
        session.note(
            "the file does not say what its network expects of a picture; the usual is assumed "
            "(--preprocessing says otherwise)"
        )
    if not made.has_classifier:
        session.note("the file has no classifier: features only")
    session.answer(
        f"{made.name}  {made.path}",
        {"name": made.name, "path": str(made.path), "layers": made.layers},
    )


def verify(session: Session, *names: str) -> None:
    """Check the sha256 of weights; of all that are here when none is named.

    Args:
        session: Where to talk.
        names: Such as vgg19.tv_in1k.
    """
    from impasto.backbones import weights as room

    entries = [room.get_entry(n) for n in names] or list(room.entries())
    rows: list[dict[str, Any]] = []
    broken: WeightsError | None = None
    for entry in entries:
        if not names and room.find(entry) is None:
            continue
        try:
            state = room.verify(room.locate(entry))
        except WeightsError as error:
            broken, state = broken or error, error.message
        rows.append({"name": entry.name, "summary": state, "good": len(state) == 64})
    if broken is None or not session.json:
        answer(session, "weights", rows)
    if broken is not None:
        raise broken


def path(session: Session, name: str, /) -> None:
    """Print where the file of some weights is.

    Args:
        session: Where to talk.
        name: Such as vgg19.tv_in1k.
    """
    from impasto.backbones.loading import locate

    found = str(locate(name).path)
    session.answer(found, {"path": found})


def normalize(
    session: Session, name: str, /, *pictures: str, pooling: str = "max", force: Flag = False
) -> None:
    """Measure mean activations once, so that NAME+normalized can be used as a network.

    Args:
        session: Where to talk.
        name: Such as vgg19.tv_in1k.
        pictures: Files and folders to measure on; otherwise impasto's own samples.
        pooling: As it will be used, max or avg.
        force: Measure again.
    """
    from impasto.backbones import normalise, weights
    from impasto.backbones.loading import load, locate

    found = locate(name)
    digest = weights.verify(found)
    known = None if force else normalise.cached(found.entry.name, digest, pooling)
    if known is None:
        means = normalise.measure(load(name, pooling=pooling), _tensors(pictures))
        normalise.remember(means, found.entry.name, digest, pooling)
    answered = f"{name}{weights.NORMALIZED}"
    session.answer(answered, {"name": answered, "pooling": pooling, "measured": known is None})


def _row(entry: Any) -> dict[str, Any]:
    from impasto.backbones import weights as room

    found = room.find(entry)
    state = f"here ({found.place})" if found else room.remedy(entry)
    return {
        "name": entry.name,
        "summary": f"{entry.megabytes:4d} MB  {entry.licence:12}  {state}",
        "kind": entry.kind,
        "path": str(found.path) if found else None,
        "megabytes": entry.megabytes,
        "licence": entry.licence,
        "origin": entry.origin,
        "remedy": None if found else room.remedy(entry),
    }


def _some(names: tuple[str, ...], command: str) -> tuple[str, ...]:
    from impasto.errors import UsageError

    if not names:
        raise UsageError(f"weights {command} needs NAMES", hint="impasto weights list shows them")
    return names


def _tensors(pictures: tuple[str, ...]) -> Iterator[Tensor]:
    """The pictures one by one, none longer than :data:`MEASURED`, (1, 3, H, W)."""
    import torch

    from impasto import images, samples
    from impasto.images.resize import fit_size, resize
    from impasto.images.tensors import to_tensor

    if not pictures:
        for name in [*samples.names(), *samples.photo_names()]:
            draw = samples.painting if name in samples.names() else samples.photo
            yield torch.from_numpy(draw(name, (336, MEASURED))).permute(2, 0, 1)[None]
    for file in _files(pictures):
        x = to_tensor(images.load(file), torch.device("cpu"))
        height, width = int(x.shape[-2]), int(x.shape[-1])
        longest = min(MEASURED, max(height, width))
        yield resize(x, fit_size(height, width, longest))


def _files(pictures: tuple[str, ...]) -> Iterator[Path]:
    for place in map(Path, pictures):
        if not place.is_dir():
            yield place
            continue
        found = sorted(p for p in place.iterdir() if p.suffix.lower() in PICTURES)
        if not found:
            raise InputError(f"no pictures in {place}")
        yield from found


@contextmanager
def _progress(session: Session, name: str) -> Iterator[Progress | None]:
    """A bar on a terminal, nothing elsewhere."""
    console = session.console()
    if session.quiet or not console.is_terminal or console.is_dumb_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn(name), BarColumn(bar_width=30), DownloadColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task(name, total=None)
        yield lambda have, total: bars.update(task, completed=have, total=total)
