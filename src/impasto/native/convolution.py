"""3 x 3 convolutions with their ReLU by Winograd's F(4 x 4, 3 x 3), forward and backward.

Where a direct convolution multiplies nine times per output and channel, this does 2.25 times
(Lavin & Gray 2016, *Fast algorithms for convolutional neural networks*). The gradient with respect
to the input is the same computation with the filters turned and transposed, so it is as fast. Sums
are rounded differently: about 2e-6 relative to the output's size, where torch has 5e-7.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.errors import ResourceError
from impasto.native import choice
from impasto.native.build import Library, library
from impasto.native.packing import PARTS, panels, parts, splits
from impasto.native.pooling import mean_pool

#: Filters into the transformed domain: Lavin & Gray 2016, section 4.3 (points 0, 1, -1, 2, -2).
_G = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
#: Most input channels that are multiplied as they are, without transforms.
_THIN = 4
#: By kernel, the most tiles that a thread transforms at once: few stay in its cache; but many where
#: the filters are larger than so many bytes, and reading them anew for every block costs more.
_BLOCKS = {"impasto_conv": (48, 144, 16 << 20), "impasto_conv_split": (32, 256, 2 << 20)}


class _Call(ctypes.Structure):
    """``conv_args`` of ``kernels.c``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "mask", "u", "bias", "index", "y", "signs")),
        *(
            (name, ctypes.c_int64)
            for name in (
                "height", "width", "channels", "out_height", "out_width", "out_channels",
                "depth", "pad", "relu", "batch", "threads", "block", "y_means", "x_means",
            )
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class Packed:
    """Filters of one direction as the kernels want them.

    Attributes:
        kernel: Which of them.
        values: Panel after panel of columns.
        index: int32: the rows of the matrices that count.
        outputs: Channels that come out.
    """

    kernel: str
    values: Tensor
    index: Tensor
    outputs: int

    @property
    def block(self) -> int:
        """Most tiles that a thread transforms at once."""
        few, many, large = _BLOCKS.get(self.kernel, (0, 0, 0))
        return many if self.values.nbytes > large else few


class Filters:
    """The filters of one convolution, made ready when first needed, for each direction.

    Args:
        weight: (O, I, 3, 3), float32, on the CPU; not copied.
        bias: (O,).

    Attributes:
        silent_inputs: Input channels that are 0 as long as the picture lies in [0, 1], (I,) bool,
            or None.
        silent_outputs: Likewise the output channels, after the ReLU, (O,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias
        self.silent_inputs: Tensor | None = None
        self.silent_outputs: Tensor | None = None
        self._packed: dict[tuple[bool, bool, int, bool], Packed] = {}

    @property
    def thin(self) -> bool:
        """Whether so few channels go in that transforms do not pay."""
        return self.weight.shape[1] <= _THIN

    @property
    def silences(self) -> bool:
        """Whether any output channel can be silent."""
        return self.silent_outputs is not None and bool(self.silent_outputs.any())

    @property
    def room(self) -> int:
        """Bytes that they take when ready for both directions; 0 where torch's are used."""
        lib = library() if suits(self.weight) else None
        if lib is None:
            return 0
        outputs, inputs = self.weight.shape[:2]
        each = 2 * PARTS if self._splits(lib) else self.weight.element_size()
        return 2 * (9 if self.thin else 36) * outputs * inputs * each

    def _splits(self, lib: Library) -> bool:
        """Whether they are multiplied in parts."""
        return splits(lib, *self.weight.shape[:2])

    def packed(self, lib: Library, *, turned: bool, quiet: bool = False) -> Packed:
        """The filters as ``lib`` wants them.

        Args:
            lib: The kernels.
            turned: Those of the gradient.
            quiet: Whether silent channels are silent now, and can be left out.
        """
        silent = self.silent_outputs if turned else self.silent_inputs
        # Where none is silent, one copy serves both; products of parts leave none out.
        quiet = quiet and silent is not None and bool(silent.any()) and not self._splits(lib)
        key = turned, quiet, self.weight._version, lib.splits
        if key not in self._packed:
            self._packed[key] = self._pack(lib, turned=turned, quiet=quiet)
        return self._packed[key]

    def _pack(self, lib: Library, *, turned: bool, quiet: bool) -> Packed:
        weight = self.weight.detach()
        silent = self.silent_outputs if turned else self.silent_inputs
        outputs, inputs = weight.shape[:2]
        if self.thin:
            if turned:
                matrix = weight.permute(0, 2, 3, 1).reshape(1, outputs, 9 * inputs)
                return _matrix("impasto_thin_back", matrix, silent if quiet else None, lib, inputs)
            matrix = weight.permute(2, 3, 1, 0).reshape(1, 9 * inputs, outputs)
            return _matrix("impasto_thin", matrix, None, lib, outputs)
        if turned:
            weight = weight.flip(2, 3).transpose(0, 1)
        matrices = _transformed(weight)
        if self._splits(lib):
            every = torch.arange(len(weight[0]), dtype=torch.int32)
            return Packed("impasto_conv_split", parts(matrices, lib), every, len(weight))
        return _matrix("impasto_conv", matrices, silent if quiet else None, lib, weight.shape[0])


def _matrix(
    kernel: str, matrices: Tensor, silent: Tensor | None, lib: Library, outputs: int
) -> Packed:
    """(N, depth, columns) without the rows that are silent, or zero anyway."""
    alive = (matrices != 0).any(2).any(0)
    if silent is not None:
        alive &= ~silent
    index = alive.nonzero().flatten()
    return Packed(kernel, panels(matrices[:, index], lib), index.int(), outputs)


def _transformed(weight: Tensor) -> Tensor:
    """``G w G^T`` of (O, I, 3, 3), as (36, I, O)."""
    outputs, inputs = weight.shape[:2]
    turn = torch.tensor(_G, dtype=torch.float64)
    flat = torch.kron(turn, turn).float() @ weight.permute(2, 3, 1, 0).reshape(9, -1)
    return flat.view(36, inputs, outputs)


def convolve(
    x: Tensor, filters: Filters, pad: int, *, relu: bool, quiet: bool = False, means: bool = False
) -> Tensor | None:
    """``conv2d(x, weight, bias, padding=pad)``, or None where that is torch's to do.

    Args:
        x: (B, I, H, W).
        filters: Frozen.
        pad: Zeros around the picture, 0 to 2.
        relu: Whether what is below 0 becomes 0.
        quiet: Whether the silent channels are known to be 0; see :class:`Filters`.
        means: Whether what is wanted are the means of 2 x 2 pixels of that, as
            :func:`impasto.native.mean_pool` gives them: then nothing is written at full size.
    """
    if means and filters.thin:
        whole = convolve(x, filters, pad, relu=relu, quiet=quiet)
        return None if whole is None else mean_pool(whole)
    lib = library() if _suits(x, filters, pad, 4 if means else 3) else None
    if lib is None or not choice.ours(lib, x, filters, pad):
        return None
    out: Tensor = _Convolution.apply(x, filters, pad, relu, quiet, means, lib)  # type: ignore[no-untyped-call]
    return out


def suits(weight: Tensor) -> bool:
    """Whether the kernels are for filters such as ``weight``."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and not weight.requires_grad
        and tuple(weight.shape[2:]) == (3, 3)
    )


def _suits(x: Tensor, filters: Filters, pad: int, least: int) -> bool:
    weight = filters.weight
    return (
        suits(weight)
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and weight.shape[1] == x.shape[1]
        and x.numel() > 0
        and 0 <= pad <= 2
        and min(x.shape[-2:]) + 2 * pad >= least
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_exporting()  # a file cannot call our kernels
    )


class _Convolution(torch.autograd.Function):
    """With a ReLU, the backward pass needs only the output's signs: where it is 0, the gradient is.

    They are kept as bits, a thirty-second of the output.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        filters: Filters,
        pad: int,
        relu: bool,
        quiet: bool,
        means: bool,
        lib: Library,
    ) -> Tensor:
        """See :func:`convolve`."""
        packed = filters.packed(lib, turned=False, quiet=quiet)
        signs = None
        rows, columns = (edge + 2 * pad - 2 for edge in x.shape[-2:])
        if relu and ctx.needs_input_grad[0]:
            signs = torch.empty(
                x.shape[0], rows, columns, -(-packed.outputs // 8), dtype=torch.uint8
            )
            # Kept with the signs, not in the graph: the next tile's may be another.
            known = (torch.tensor(quiet),) if filters.silences else ()
            ctx.save_for_backward(signs, *known)
        y = run(lib, x, packed, pad, bias=filters.bias, relu=relu, signs=signs, means=means)
        ctx.filters, ctx.pad, ctx.lib = filters, pad, lib
        ctx.whole = (rows, columns) if means else None
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient with respect to ``x``."""
        # Asked for once: under activation checkpointing, asking makes them.
        saved = ctx.saved_tensors
        mask = saved[0] if saved else None
        quiet = len(saved) > 1 and bool(saved[1])
        packed = ctx.filters.packed(ctx.lib, turned=True, quiet=quiet)
        pull = run(ctx.lib, slope, packed, 2 - ctx.pad, mask=mask, whole=ctx.whole)
        return pull, None, None, None, None, None, None


def run(
    lib: Library,
    x: Tensor,
    filters: Packed,
    pad: int,
    *,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    relu: bool = False,
    signs: Tensor | None = None,
    means: bool = False,
    whole: tuple[int, int] | None = None,
) -> Tensor:
    """One call of a kernel.

    Args:
        lib: The kernels.
        x: (B, I, H, W).
        filters: Made ready.
        pad: Zeros around ``x``.
        bias: (O,).
        mask: ``signs`` of an output laid out as ``x``: where a bit is not set, ``x`` counts as 0.
        relu: Whether what is below 0 becomes 0.
        signs: Takes a bit for each value of the output, set where it is positive: dense uint8
            (B, H, W, O / 8, rounded up), the lowest bit of a byte first.
        means: Give the means of 2 x 2 pixels instead.
        whole: ``x`` is the gradient of such means, of something of this height and width.
    """
    seen = _dense(x)
    batch, height, width, channels = seen.shape
    height, width = whole or (height, width)
    rows, columns = height + 2 * pad - 2, width + 2 * pad - 2
    # The kernel of the thin gradient turns nothing round: it wants the other pass's padding.
    forward_pad = 2 - pad if filters.kernel == "impasto_thin_back" else pad
    made = (rows // 2, columns // 2) if means else (rows, columns)
    y = torch.empty(batch, filters.outputs, *made, memory_format=torch.channels_last)
    call = _Call(
        seen.data_ptr(),
        None if mask is None else mask.data_ptr(),
        filters.values.data_ptr(),
        None if bias is None else bias.data_ptr(),
        filters.index.data_ptr(),
        y.data_ptr(),
        None if signs is None else signs.data_ptr(),
        *(height, width, channels, rows, columns, filters.outputs),
        *(filters.index.numel(), forward_pad, relu, batch, torch.get_num_threads()),
        *(filters.block, means, whole is not None),
    )
    if getattr(lib.code, filters.kernel)(ctypes.byref(call)):
        raise ResourceError(f"no memory for a convolution of {height} x {width} px")
    return y


def _dense(x: Tensor) -> Tensor:
    """(B, C, H, W) as dense (B, H, W, C); a copy only where it is not laid out so already."""
    return x.detach().permute(0, 2, 3, 1).contiguous()
