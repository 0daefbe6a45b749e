"""VGG and AlexNet in plain numpy, float64: no torch, nothing of impasto."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv(x, weight, bias, stride=1, pad=0, mode="constant"):
    """(C, H, W) with (O, C, k, k) to (O, H', W')."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)), mode=mode)
    size = weight.shape[-1]
    windows = sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("chwij,ocij->ohw", windows, weight, optimize=True) + bias[:, None, None]


def pool(x, size, stride, kind):
    windows = sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return windows.max(axis=(3, 4)) if kind == "max" else windows.mean(axis=(3, 4))


def adaptive_mean(x, grid):
    """Means over ``grid`` x ``grid`` fields with the borders floor(i n / g), ceil((i+1) n / g)."""
    height, width = x.shape[1:]
    out = np.empty((x.shape[0], grid, grid))
    for i in range(grid):
        for j in range(grid):
            rows = slice(i * height // grid, -(-(i + 1) * height // grid))
            columns = slice(j * width // grid, -(-(j + 1) * width // grid))
            out[:, i, j] = x[:, rows, columns].mean(axis=(1, 2))
    return out


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def dense_tail(x, weights, grid):
    """fc6, relu6, fc7, relu7, fc8, prob from the last pooling."""
    found = {}
    x = adaptive_mean(x, grid).reshape(-1)
    for name in ("fc6", "fc7", "fc8"):
        x = weights[name][0] @ x + weights[name][1]
        found[name] = x
        if name != "fc8":
            x = np.maximum(x, 0)
            found[name.replace("fc", "relu")] = x
    found["prob"] = softmax(x)
    return found


def vgg(x, weights, blocks, kind="max", mode="constant"):
    """Every layer for a preprocessed picture (3, H, W)."""
    found = {}
    for b, count in enumerate(blocks, 1):
        for i in range(1, count + 1):
            x = conv(x, *weights[f"conv{b}_{i}"], pad=1, mode=mode)
            found[f"conv{b}_{i}"] = x
            x = np.maximum(x, 0)
            found[f"relu{b}_{i}"] = x
        x = pool(x, 2, 2, kind)
        found[f"pool{b}"] = x
    return found | (dense_tail(x, weights, 7) if "fc6" in weights else {})


def alexnet(x, weights, kind="max", mode="constant"):
    found = {}
    for i, (stride, pad) in enumerate([(4, 2), (1, 2), (1, 1), (1, 1), (1, 1)], 1):
        x = conv(x, *weights[f"conv{i}"], stride, pad, mode)
        found[f"conv{i}"] = x
        x = np.maximum(x, 0)
        found[f"relu{i}"] = x
        if i in (1, 2, 5):
            x = pool(x, 3, 2, kind)
            found[f"pool{i}"] = x
    return found | (dense_tail(x, weights, 6) if "fc6" in weights else {})
