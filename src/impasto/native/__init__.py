"""Our own CPU kernels: compiled on first use, absent without harm.

:func:`convolve` is what backbones call; it answers None wherever torch's operators are to be used:
no compiler, another device or dtype, another kind of convolution, or a machine on which torch was
measured to be faster.
"""

from impasto.native.build import SWITCH, describe, library
from impasto.native.channels import normalise
from impasto.native.convolution import Filters, convolve
from impasto.native.grams import add_gram_pull, gram
from impasto.native.pooling import mean_pool
from impasto.native.sparse import Sparse, dense, sparse

__all__ = [
    "SWITCH",
    "Filters",
    "Sparse",
    "add_gram_pull",
    "convolve",
    "dense",
    "describe",
    "gram",
    "library",
    "mean_pool",
    "normalise",
    "sparse",
]
