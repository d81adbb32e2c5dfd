"""MONAI's DiceCELoss of several classes with softmax, for the segmentation of crates/nn."""

import torch
from monai.losses import DiceCELoss
from monai.networks.utils import one_hot

import golden
from weights import fill

SHAPE = (2, 4, 8, 6)
SMOOTH = 1e-5


def main():
    folder = golden.output_folder()
    logits = (3 * fill("logits", SHAPE)).double().requires_grad_(True)
    numbers = fill("labels", (SHAPE[0], 1, *SHAPE[2:]))
    # Class 3 is in no pixel of the second image.
    labels = ((numbers + 1) / 2 * SHAPE[1]).floor().long()
    labels[1] = labels[1].clamp(max=2)
    target = one_hot(labels, SHAPE[1]).double()
    tensors = {"logits": logits, "target": target[:, 1:]}
    for name, by_batch in (("batch", True), ("image", False)):
        loss = DiceCELoss(
            softmax=True, include_background=False, batch=by_batch, smooth_nr=SMOOTH, smooth_dr=SMOOTH
        )(logits, target)
        (gradient,) = torch.autograd.grad(loss, logits)
        tensors |= {f"loss.{name}": loss.reshape(1), f"grad.{name}": gradient}
    path = folder / "segmentation_classes.safetensors"
    golden.save(path, {k: v.detach().float() for k, v in tensors.items()}, "segmentation_classes.py", "DiceCELoss")


if __name__ == "__main__":
    main()
