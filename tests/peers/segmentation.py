"""The segmentation networks, written in PyTorch from their papers, and MONAI's DiceCELoss, for the segmentation of crates/nn."""

import torch
from monai.losses import DeepSupervisionLoss, DiceCELoss
from torch import nn
from torch.nn import functional

import golden
from weights import fill, fill_module

WIDTHS = (8, 16, 24)
GROUPS = 4
EPS = 1e-5
CHANNELS = 2
SHAPE = (2, CHANNELS, 16, 24)


class DoubleConv(nn.Module):
    def __init__(self, before, after, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.norm1 = nn.GroupNorm(GROUPS, after, eps=EPS) if norm else nn.Identity()
        self.norm2 = nn.GroupNorm(GROUPS, after, eps=EPS) if norm else nn.Identity()

    def forward(self, x):
        x = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(x)))


class Up(nn.Module):
    def __init__(self, below, here, norm):
        super().__init__()
        self.upsample = nn.ConvTranspose2d(below, here, 2, stride=2)
        self.conv = DoubleConv(2 * here, here, norm)

    def forward(self, x, skip):
        return self.conv(torch.cat([skip, self.upsample(x)], dim=1))


class Unet(nn.Module):
    """Ronneberger et al. 2015, figure 1, with padding; with group normalisation if `norm`."""

    def __init__(self, norm):
        super().__init__()
        self.down_blocks = nn.ModuleList(DoubleConv(a, b, norm) for a, b in zip((CHANNELS, *WIDTHS), WIDTHS))
        self.up_blocks = nn.ModuleList(Up(b, a, norm) for a, b in reversed(list(zip(WIDTHS, WIDTHS[1:]))))
        self.conv_out = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.down_blocks):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for block in self.up_blocks:
            x = block(x, skips.pop())
        return [self.conv_out(x)]


class Residual(nn.Module):
    """Norm, SiLU, convolution, twice, plus the input (through a 1x1 convolution if the width changes)."""

    def __init__(self, before, after):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, before, eps=EPS), nn.GroupNorm(GROUPS, after, eps=EPS)
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x):
        h = self.conv1(functional.silu(self.norm1(x)))
        return self.conv_shortcut(x) + self.conv2(functional.silu(self.norm2(h)))


class Holder(nn.Module):
    """Holds parts under the names that they have in pig."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class ResidualUnet(nn.Module):
    """The same encoder and decoder with residual blocks, and an output on each level except the smallest."""

    def __init__(self):
        super().__init__()
        self.conv_in = nn.Conv2d(CHANNELS, WIDTHS[0], 3, padding=1)
        down = [Holder(resnet=Residual(WIDTHS[0], WIDTHS[0]))]
        for before, after in zip(WIDTHS, WIDTHS[1:]):
            step = Holder(conv=nn.Conv2d(before, before, 3, stride=2, padding=1))
            down.append(Holder(downsample=step, resnet=Residual(before, after)))
        self.down_blocks = nn.ModuleList(down)
        self.up_blocks = nn.ModuleList(
            Holder(upsample=Holder(conv=nn.Conv2d(b, b, 3, padding=1)), resnet=Residual(a + b, a))
            for a, b in reversed(list(zip(WIDTHS, WIDTHS[1:])))
        )
        self.heads = nn.ModuleList(
            Holder(norm=nn.GroupNorm(GROUPS, w, eps=EPS), conv=nn.Conv2d(w, 1, 1)) for w in WIDTHS[:-1]
        )

    def forward(self, x):
        x, skips = self.conv_in(x), []
        for level, block in enumerate(self.down_blocks):
            if level:
                skips.append(x)
                x = block.downsample.conv(x)
            x = block.resnet(x)
        outputs = []
        for block in self.up_blocks:
            x = block.upsample.conv(functional.interpolate(x, scale_factor=2, mode="nearest"))
            x = block.resnet(torch.cat([skips.pop(), x], dim=1))
            outputs.append(x)
        return [h.conv(functional.silu(h.norm(x))) for h, x in zip(self.heads, reversed(outputs))]


def target():
    """Two masks: a rectangle, and an empty mask."""
    mask = torch.zeros(SHAPE[0], 1, *SHAPE[2:], dtype=torch.float64)
    mask[0, 0, 5:11, 6:17] = 1
    return mask


def losses(outputs):
    """MONAI's losses, as the weighted mean over the outputs of deep supervision."""
    tensors = {}
    for name, batch in (("batch", True), ("image", False)):
        loss = DiceCELoss(sigmoid=True, batch=batch)
        total = sum(0.5**i for i in range(len(outputs)))
        tensors[f"loss.{name}"] = DeepSupervisionLoss(loss, weight_mode="exp")(outputs, target()) / total
    return tensors


def evaluate(folder, name, network, gradients):
    network = fill_module(network).double().eval()
    x = fill("input.x", SHAPE).double().requires_grad_()
    outputs = network(x)
    found = losses(outputs)
    found["loss.batch"].backward()
    parameters = dict(network.named_parameters())
    tensors = {"input.x": x, "target": target()}
    tensors |= {f"output.{i}": output for i, output in enumerate(outputs)}
    tensors |= {key: value.reshape(1) for key, value in found.items()}
    tensors |= {f"grad.{key}": parameters[key].grad.flatten() for key in gradients}
    tensors = {key: tensor.detach().float() for key, tensor in tensors.items()}
    for key, tensor in tensors.items():
        print(f"  {key} {list(tensor.shape)}: rms {tensor.double().square().mean().sqrt():.4g}")
    what = f"{name}, widths {WIDTHS}, groups {GROUPS}, MONAI DiceCELoss, weights by name, float64 stored as float32"
    golden.save(folder / f"segmentation_{name}.safetensors", tensors, "segmentation.py", what)


def main():
    folder = golden.output_folder()
    plain = ("down_blocks.0.conv1.weight", "down_blocks.2.conv2.bias", "up_blocks.0.upsample.weight",
             "up_blocks.0.upsample.bias", "up_blocks.1.conv.conv1.bias", "conv_out.weight")
    evaluate(folder, "unet", Unet(norm=True), (*plain, "down_blocks.1.norm2.weight"))
    evaluate(folder, "unet_without_norm", Unet(norm=False), plain)
    evaluate(folder, "residual", ResidualUnet(), (
        "conv_in.weight", "down_blocks.1.downsample.conv.bias", "down_blocks.2.resnet.conv_shortcut.weight",
        "up_blocks.0.upsample.conv.bias", "heads.0.norm.weight", "heads.1.conv.weight"))


if __name__ == "__main__":
    main()
