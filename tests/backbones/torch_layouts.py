"""The published networks written once more, as ordinary modules with torchvision's names.

Not imported from impasto and not shared with it: what their state dicts hold and what they
compute is what the backbones are compared with.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

VGG = {
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def fill(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random numbers everywhere, running statistics included; activations keep their size."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if tensor.ndim > 1:
            bound = math.sqrt(6 / tensor[0].numel())
            tensor.uniform_(-bound, bound, generator=generator)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif name.endswith("weight"):
            tensor.uniform_(0.6, 1.2, generator=generator)
        else:
            tensor.uniform_(-0.2, 0.2, generator=generator)
    return module.eval()


def empty(kind, *args, **kwargs):
    return nn.utils.skip_init(kind, *args, **kwargs)


def vgg_features(name: str, norm: bool) -> nn.Sequential:
    layers, into = [], 3
    for item in VGG[name].split():
        if item == "M":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(empty(nn.Conv2d, into, int(item), 3, padding=1))
        layers += [nn.BatchNorm2d(int(item))] if norm else []
        layers.append(nn.ReLU())
        into = int(item)
    return nn.Sequential(*layers)


class Vgg(nn.Module):
    def __init__(self, name: str, norm: bool = False, head: bool = True) -> None:
        super().__init__()
        self.features = vgg_features(name, norm)
        if head:
            self.classifier = nn.Sequential(
                empty(nn.Linear, 25088, 4096), nn.ReLU(), nn.Dropout(),
                empty(nn.Linear, 4096, 4096), nn.ReLU(), nn.Dropout(),
                empty(nn.Linear, 4096, 1000),
            )  # fmt: skip

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.features(x), (7, 7))
        return self.classifier(torch.flatten(x, 1))


class AlexNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            empty(nn.Conv2d, 3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            empty(nn.Conv2d, 64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            empty(nn.Conv2d, 192, 384, 3, padding=1), nn.ReLU(),
            empty(nn.Conv2d, 384, 256, 3, padding=1), nn.ReLU(),
            empty(nn.Conv2d, 256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(), empty(nn.Linear, 9216, 4096), nn.ReLU(),
            nn.Dropout(), empty(nn.Linear, 4096, 4096), nn.ReLU(),
            empty(nn.Linear, 4096, 1000),
        )  # fmt: skip

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.features(x), (6, 6))
        return self.classifier(torch.flatten(x, 1))


class FireModule(nn.Module):
    def __init__(self, into: int, squeezed: int, half: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(into, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, half, 1)
        self.expand3x3 = nn.Conv2d(squeezed, half, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
            FireModule(64, 16, 64), FireModule(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True),
            FireModule(128, 32, 128), FireModule(256, 32, 128),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            FireModule(256, 48, 192), FireModule(384, 48, 192),
            FireModule(384, 64, 256), FireModule(512, 64, 256),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1))
        )

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


class Block(nn.Module):
    def __init__(self, into: int, width: int, stride: int, deep: bool) -> None:
        super().__init__()
        out = width * 4 if deep else width
        shapes = [(into, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        if not deep:
            shapes = [(into, width, 3, stride), (width, width, 3, 1)]
        for i, (a, b, size, step) in enumerate(shapes, 1):
            conv = nn.Conv2d(a, b, size, stride=step, padding=size // 2, bias=False)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.count = len(shapes)
        if stride != 1 or into != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(into, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.count:
                y = F.relu(y)
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    def __init__(self, counts: tuple[int, ...], deep: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        into = 64
        for g, count in enumerate(counts):
            width, blocks = 64 * 2**g, []
            for i in range(count):
                blocks.append(Block(into, width, 2 if g and i == 0 else 1, deep))
                into = width * 4 if deep else width
            setattr(self, f"layer{g + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(into, 1000)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class NormedConv(nn.Module):
    def __init__(self, into: int, out: int, **kwargs) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class InceptionModule(nn.Module):
    def __init__(self, into, one, mid3, three, mid5, five, proj) -> None:
        super().__init__()
        self.branch1 = NormedConv(into, one, kernel_size=1)
        self.branch2 = nn.Sequential(
            NormedConv(into, mid3, kernel_size=1),
            NormedConv(mid3, three, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            NormedConv(into, mid5, kernel_size=1),
            NormedConv(mid5, five, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1, ceil_mode=True), NormedConv(into, proj, kernel_size=1)
        )

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """Takes ImageNet-normalised pictures and rescales them itself, as torchvision's does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = NormedConv(3, 64, kernel_size=7, stride=2, padding=3)
        self.conv2 = NormedConv(64, 64, kernel_size=1)
        self.conv3 = NormedConv(64, 192, kernel_size=3, padding=1)
        self.inception3a = InceptionModule(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = InceptionModule(256, 128, 128, 192, 32, 96, 64)
        self.inception4a = InceptionModule(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = InceptionModule(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = InceptionModule(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = InceptionModule(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = InceptionModule(528, 256, 160, 320, 32, 128, 128)
        self.inception5a = InceptionModule(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = InceptionModule(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = nn.ModuleDict({"conv": NormedConv(512, 128, kernel_size=1)})
        self.fc = nn.Linear(1024, 1000)

    def forward(self, x):
        scale = x.new_tensor([0.229, 0.224, 0.225]).view(3, 1, 1) / 0.5
        shift = (x.new_tensor([0.485, 0.456, 0.406]).view(3, 1, 1) - 0.5) / 0.5
        x = F.max_pool2d(self.conv1(x * scale + shift), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.inception3b(self.inception3a(x)), 3, 2, ceil_mode=True)
        for part in "abcde":
            x = getattr(self, f"inception4{part}")(x)
        x = self.inception5a(F.max_pool2d(x, 2, 2, ceil_mode=True))
        x = F.adaptive_avg_pool2d(self.inception5b(x), (1, 1))
        return self.fc(torch.flatten(x, 1))


class SameConv(nn.Conv2d):
    """TensorFlow's SAME padding."""

    def forward(self, x):
        pads = []
        for n, k, s in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((math.ceil(n / s) - 1) * s + k - n, 0)
            pads += [total // 2, total - total // 2]
        return self._conv_forward(F.pad(x, pads), self.weight, self.bias)


class MBConv(nn.Module):
    def __init__(self, into, out, size, stride, expansion) -> None:
        super().__init__()
        mid = into * expansion
        self.expansion, self.skip = expansion, stride == 1 and into == out
        if expansion != 1:
            self._expand_conv = SameConv(into, mid, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(mid, eps=1e-3)
        self._depthwise_conv = SameConv(mid, mid, size, stride=stride, groups=mid, bias=False)
        self._bn1 = nn.BatchNorm2d(mid, eps=1e-3)
        self._project_conv = SameConv(mid, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x):
        y = x if self.expansion == 1 else F.relu6(self._bn0(self._expand_conv(x)))
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        return y + x if self.skip else y


class EfficientNetLite0(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, stride=2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        rows = [
            (16, 3, 1, 1), (24, 3, 2, 6), (24, 3, 1, 6), (40, 5, 2, 6), (40, 5, 1, 6),
            (80, 3, 2, 6), (80, 3, 1, 6), (80, 3, 1, 6), (112, 5, 1, 6), (112, 5, 1, 6),
            (112, 5, 1, 6), (192, 5, 2, 6), (192, 5, 1, 6), (192, 5, 1, 6), (192, 5, 1, 6),
            (320, 3, 1, 6),
        ]  # fmt: skip
        blocks, into = [], 32
        for out, size, stride, expansion in rows:
            blocks.append(MBConv(into, out, size, stride, expansion))
            into = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x):
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean(dim=(2, 3)))


MAKE = {
    "vgg11": lambda: Vgg("vgg11"),
    "vgg13": lambda: Vgg("vgg13"),
    "vgg16": lambda: Vgg("vgg16"),
    "vgg19": lambda: Vgg("vgg19"),
    "vgg11_bn": lambda: Vgg("vgg11", norm=True),
    "vgg13_bn": lambda: Vgg("vgg13", norm=True),
    "vgg16_bn": lambda: Vgg("vgg16", norm=True),
    "vgg19_bn": lambda: Vgg("vgg19", norm=True),
    "alexnet": AlexNet,
    "squeezenet1_1": SqueezeNet,
    "resnet18": lambda: ResNet((2, 2, 2, 2), deep=False),
    "resnet50": lambda: ResNet((3, 4, 6, 3), deep=True),
    "googlenet": GoogLeNet,
    "efficientnet_lite0": EfficientNetLite0,
}
