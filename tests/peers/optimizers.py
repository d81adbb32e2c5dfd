"""Ten steps of PyTorch's Adam and AdamW with weight decay 0.1 and learning rate 0.01, in float64. The gradients are float32
values that follow from their names "gradient.1" to "gradient.10". Run `optimizers.py [FOLDER]`.
"""

import torch

import golden
from weights import fill

SHAPE = (37,)
STEPS = 10


def main():
    start = fill("start", SHAPE).double()
    gradients = {f"gradient.{i}": fill(f"gradient.{i}", SHAPE).double() for i in range(1, STEPS + 1)}
    tensors = {"start": start, **gradients}
    for name, kind in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        parameter = torch.nn.Parameter(start.clone())
        optimizer = kind([parameter], lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
        for i in range(1, STEPS + 1):
            parameter.grad = gradients[f"gradient.{i}"].clone()
            optimizer.step()
            tensors[f"{name}.{i}"] = parameter.detach().clone()
    path = golden.output_folder() / "optimizers.safetensors"
    golden.save(path, tensors, "optimizers.py", "Adam and AdamW")


if __name__ == "__main__":
    main()
