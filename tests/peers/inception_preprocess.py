"""Goldens of the three ways to preprocess pictures for the FID's Inception: `inception_preprocess.py [FOLDER]`.

torch's interpolate (pytorch-fid), Pillow's bicubic on floats (clean-fid), and TensorFlow 1's formula written out in float64.
"""

import numpy as np
import torch
from PIL import Image

import golden

SIZE = 299
SHAPES = ((23, 37), (310, 640), (256, 256))
# One in this many values of the result is stored.
STEP = 997


def picture(height, width):
    """A picture with edges and gradients, from a formula; uint8."""
    y, x = np.mgrid[0:height, 0:width]
    return ((x * 13 + y * 7 + (x // 5 + y // 3) % 2 * 90) % 256).astype(np.uint8)


def tensorflow_1(image):
    """Bilinear with source = target x scale, without averaging."""

    def axis(size):
        place = np.arange(SIZE) * (size / SIZE)
        low = np.floor(place).astype(int)
        return low, np.minimum(low + 1, size - 1), place - low

    (y0, y1, fy), (x0, x1, fx) = axis(image.shape[0]), axis(image.shape[1])
    image = image.astype(np.float64)
    top = image[y0][:, x0] * (1 - fx) + image[y0][:, x1] * fx
    bottom = image[y1][:, x0] * (1 - fx) + image[y1][:, x1] * fx
    return (top * (1 - fy)[:, None] + bottom * fy[:, None] - 128) / 128


def pytorch_fid(image):
    x = torch.from_numpy(image.astype(np.float64) / 255)[None, None]
    x = torch.nn.functional.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    return (2 * x - 1)[0, 0].numpy()


def antialiased(image):
    resized = Image.fromarray(image.astype(np.float32), mode="F").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return (np.clip(np.asarray(resized, dtype=np.float64), 0, 255) - 128) / 128


def main():
    folder = golden.output_folder()
    tensors = {}
    for height, width in SHAPES:
        image = picture(height, width)
        tensors[f"{height}x{width}/image"] = torch.from_numpy(image)
        for name, way in (("torch-fidelity", tensorflow_1), ("pytorch-fid", pytorch_fid), ("antialiased", antialiased)):
            values = np.ascontiguousarray(way(image).reshape(-1)[::STEP]).astype(np.float32)
            tensors[f"{height}x{width}/{name}"] = torch.from_numpy(values)
    del tensors["310x640/image"], tensors["256x256/image"]
    golden.save(folder / "inception_preprocess.safetensors", tensors, "inception_preprocess.py", "every 997th value")


if __name__ == "__main__":
    main()
