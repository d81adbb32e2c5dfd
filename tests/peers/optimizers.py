"""Ten steps of PyTorch's Adam and AdamW with weight decay 0.1 and learning rate 0.01, and five of its Muon on matrices, all in float64. The
gradients are float32 values that follow from their names, "gradient.1" to "gradient.10" and "gradient.4x9.1" to "gradient.6x6.5". Run
`optimizers.py [FOLDER]`.
"""

import torch

import golden
from weights import fill

SHAPE = (37,)
STEPS = 10
MATRICES = ((4, 9), (9, 4), (6, 6))
MATRIX_STEPS = 5


def muon(tensors):
    """Adds the steps of torch.optim.Muon, which computes its polynomial in bfloat16; here it stays in float64."""
    rounded, torch.bfloat16 = torch.bfloat16, torch.float64
    for shape in MATRICES:
        name = "x".join(map(str, shape))
        start = fill(f"start.{name}", shape).double()
        tensors[f"start.{name}"] = start
        parameter = torch.nn.Parameter(start.clone())
        optimizer = torch.optim.Muon([parameter], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        for i in range(1, MATRIX_STEPS + 1):
            gradient = fill(f"gradient.{name}.{i}", shape).double()
            tensors[f"gradient.{name}.{i}"] = gradient
            parameter.grad = gradient.clone()
            optimizer.step()
            assert parameter.dtype == torch.float64
            tensors[f"muon.{name}.{i}"] = parameter.detach().clone()
    torch.bfloat16 = rounded


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
    muon(tensors)
    path = golden.output_folder() / "optimizers.safetensors"
    golden.save(path, tensors, "optimizers.py", "Adam, AdamW and Muon")


if __name__ == "__main__":
    main()
