"""Goldens of the measures, made by the tools with which pig must agree: `make.py [FOLDER]`, or `make.py --check`, which makes
them again and compares every number with the committed one.

Inputs follow from the weight rule (../weights.py); masks are stored as `#` and `.`, row after row, one string for each mask.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from weights import fill  # noqa: E402

# Relative to the number; the float32 sums of the peers differ more between machines than float64 sums.
TOLERANCE = 1e-6


def uniform(name, shape):
    """float64 values in [0, 1) by the weight rule, after rounding to float32."""
    return (fill(name, shape).numpy().astype(np.float64) + 1.0) / 2.0


def discs(name, height, width, count):
    """A mask of discs, with a few flipped pixels, so that boundaries are ragged and there are specks."""
    rows, columns = np.mgrid[0:height, 0:width]
    mask = np.zeros((height, width), dtype=bool)
    for y, x, r in uniform(name, (count, 3)):
        mask |= (rows - y * height) ** 2 + (columns - x * width) ** 2 <= (2.0 + 4.0 * r) ** 2
    return mask ^ (uniform(f"{name}.flips", (height, width)) > 0.985)


def text(mask):
    return "".join("#" if value else "." for value in mask.ravel())


def overlap():
    """MONAI's and medpy's overlap and boundary distances of random masks."""
    import torch
    from medpy.metric import binary
    from monai.metrics import compute_confusion_matrix_metric, compute_hausdorff_distance, compute_iou
    from monai.metrics import compute_dice as monai_dice
    from monai.metrics import compute_surface_dice, get_confusion_matrix

    cases = []
    shapes = [(24, 31), (17, 40), (33, 20)]
    for index in range(18):
        height, width = shapes[index % 3]
        truth = discs(f"overlap.truth.{index}", height, width, 1 + index % 3)
        prediction = discs(f"overlap.prediction.{index}", height, width, 1 + index % 2)
        if index % 2:
            prediction = np.roll(truth, (index % 5, 2), axis=(0, 1)) ^ (prediction & (uniform(f"overlap.some.{index}", truth.shape) > 0.9))
        if index == 16:
            prediction = np.zeros_like(truth)
        if index == 17:
            truth = np.zeros_like(truth)
        spacing = [0.7, 1.3] if index % 4 == 3 else [1.0, 1.0]
        case = {"height": height, "width": width, "spacing": spacing, "prediction": text(prediction), "truth": text(truth)}
        p, t = (torch.from_numpy(m)[None, None].float() for m in (prediction, truth))
        confusion = get_confusion_matrix(p, t, include_background=True)
        medpy = {"dice": binary.dc(prediction, truth), "iou": binary.jc(prediction, truth)}
        monai = {}
        # If a mask is empty, the peers return NaN or raise an error, each in its own way.
        if prediction.any() and truth.any():
            medpy["precision"] = binary.precision(prediction, truth)
            medpy["recall"] = binary.recall(prediction, truth)
            medpy["hausdorff_95"] = binary.hd95(prediction, truth, voxelspacing=spacing)
            monai = {
                "dice": monai_dice(p, t, include_background=True).item(),
                "iou": compute_iou(p, t, include_background=True).item(),
                "precision": compute_confusion_matrix_metric("precision", confusion).item(),
                "recall": compute_confusion_matrix_metric("recall", confusion).item(),
                "hausdorff_95": compute_hausdorff_distance(p, t, include_background=True, percentile=95, spacing=spacing).item(),
            }
        for tolerance in (1.0, 2.0):
            value = compute_surface_dice(p, t, [tolerance], include_background=True, spacing=spacing).item()
            monai[f"surface_dice_{tolerance:.0f}"] = value
        cases.append({**case, "medpy": {k: float(v) for k, v in medpy.items()}, "monai": monai})
    return cases


def features():
    """torch-fidelity's FID and KID, pytorch-fid's FID and prdc's four shares of feature arrays, with more and with fewer
    vectors than values in a vector."""
    import contextlib
    import io

    import torch
    from prdc import compute_prdc
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    cases = []
    for count, width in ((80, 3), (70, 12), (40, 64)):
        name = f"features.{count}.{width}"
        a = fill(f"{name}.a", (count, width)).numpy().astype(np.float64)
        b = 0.9 * fill(f"{name}.b", (count, width)).numpy().astype(np.float64) + 0.15
        statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
        kid = kid_features_to_metric(
            torch.from_numpy(a), torch.from_numpy(b), kid_subsets=1, kid_subset_size=count, kid_kernel="poly",
            kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0, rng_seed=2020, verbose=False,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            shares, reversed_shares = (
                {k: float(v) for k, v in compute_prdc(real_features=real, fake_features=fake, nearest_k=5).items()}
                for real, fake in ((a, b), (b, a))
            )
            parts = [s[k] for s in statistics for k in ("mu", "sigma")]
            fid_pytorch = float(calculate_frechet_distance(*parts))
        cases.append({
            "name": name, "count": count, "width": width,
            "fid_torch_fidelity": fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"],
            "fid_pytorch_fid": fid_pytorch,
            "kid_torch_fidelity": kid["kernel_inception_distance_mean"],
            "prdc": shares,
            "prdc_reversed": reversed_shares,
        })
    return cases


def statistics():
    """scipy's exact permutation tests and Wasserstein distances."""
    from scipy.stats import permutation_test, wasserstein_distance

    def exact(samples, kind):
        result = permutation_test(
            samples, lambda a, b: np.mean(a) - np.mean(b), permutation_type=kind, n_resamples=np.inf, vectorized=False
        )
        return {"difference": float(result.statistic), "p_value": float(result.pvalue)}

    cases = []
    for index, (m, n, shift) in enumerate(((6, 6, 0.2), (9, 5, 0.0), (7, 4, 0.6))):
        name = f"statistics.{index}"
        a = fill(f"{name}.a", (m,)).numpy().astype(np.float64) + shift
        b = fill(f"{name}.b", (n,)).numpy().astype(np.float64)
        cases.append({
            "name": name, "m": m, "n": n, "shift": shift,
            "wasserstein": float(wasserstein_distance(a, b)),
            "paired": exact((a[:n], b[: min(m, n)]), "samples"),
            "independent": exact((a, b), "independent"),
        })
    return cases


def ssim_image(name, height, width):
    """Waves with noise added, so that scales differ."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    u = uniform(name, (4,))
    waves = 0.5 + 0.25 * np.sin(rows * (0.02 + 0.1 * u[0]) + 6.0 * u[1]) * np.cos(columns * (0.02 + 0.1 * u[2]) + 6.0 * u[3])
    return (waves + 0.2 * (uniform(f"{name}.noise", (height, width)) - 0.5)).astype(np.float32)


def ssim():
    """pytorch-msssim's MS-SSIM in float64 with the first 3 and with all 5 weights of the paper; some sides are odd."""
    import torch
    from pytorch_msssim import ms_ssim

    weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    # The window of pytorch-msssim is rounded to float32, which changes the result by 1e-6; this one is not.
    window = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = torch.from_numpy(window / window.sum())[None, None, None]
    cases = []
    for index, (height, width) in enumerate(((176, 176), (181, 195))):
        images = [ssim_image(f"ssim.{index}.{which}", height, width) for which in "ab"]
        # The second image resembles the first, so that structure remains on the coarse scales.
        images[1] = (0.6 * images[0] + 0.4 * images[1]).astype(np.float32)
        a, b = (torch.from_numpy(image).double()[None, None] for image in images)
        values = {}
        for scales in (3, 5):
            w = np.array(weights[:scales]) / sum(weights[:scales])
            values[str(scales)] = ms_ssim(a, b, data_range=1.0, win=window, weights=w.tolist()).item()
        cases.append({"name": f"ssim.{index}", "height": height, "width": width, "ms_ssim": values})
    return cases


def shape():
    """pyradiomics' two-dimensional shape and scikit-image's eccentricity and centroid of single regions."""
    import SimpleITK as sitk
    from radiomics.shape2D import RadiomicsShape2D
    from skimage.measure import label, regionprops

    cases = []
    for index in range(6):
        height, width = ((24, 31), (17, 40))[index % 2]
        mask = discs(f"shape.{index}", height, width, 1 + index % 3)
        regions = label(mask, connectivity=2)
        region = max(regionprops(regions), key=lambda r: r.area)
        mask = regions == region.label
        image = sitk.GetImageFromArray(mask.astype(np.uint8)[None])
        shape2d = RadiomicsShape2D(image, image, force2D=True, force2Ddimension=0)
        shape2d.enableAllFeatures()
        values = {name: float(value) for name, value in shape2d.execute().items()}
        cases.append({
            "height": height, "width": width, "mask": text(mask),
            "mesh_area": values["MeshSurface"], "perimeter": values["Perimeter"],
            "perimeter_to_area_ratio": values["PerimeterSurfaceRatio"], "circularity": values["Sphericity"],
            "maximum_diameter": values["MaximumDiameter"], "major_axis_length": values["MajorAxisLength"],
            "minor_axis_length": values["MinorAxisLength"], "elongation": values["Elongation"],
            "eccentricity": float(region.eccentricity), "centroid": [float(c) for c in region.centroid],
        })
    return cases


def mean_squares(values):
    """statsmodels' analysis of variance of trainings (rows) and patients (columns): mean squares and degrees of freedom."""
    import pandas
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    runs, patients = values.shape
    frame = pandas.DataFrame({
        "value": values.ravel(), "run": np.repeat(np.arange(runs), patients), "patient": np.tile(np.arange(patients), runs),
    })
    table = anova_lm(ols("value ~ C(run) + C(patient)", data=frame).fit())
    return {row: (float(table.loc[row, "mean_sq"]), float(table.loc[row, "df"])) for row in ("C(run)", "Residual")}


def contrast():
    """scipy's distributions, statsmodels' Holm adjustment, and the variance of a difference from statsmodels' mean squares."""
    from scipy import stats
    from statsmodels.stats.multitest import multipletests

    shares = [0.9, 0.4, 0.05, 0.001, 1e-6]
    cases = [{
        "kind": "student", "shares": shares, "degrees": degrees,
        "quantiles": [float(stats.t.isf(share / 2, degrees)) for share in shares],
    } for degrees in (1.0, 1.7, 4.3, 15.0, 1234.5)]
    cases.append({"kind": "normal", "shares": shares, "quantiles": [float(stats.norm.isf(share / 2)) for share in shares]})
    for index in range(3):
        p = uniform(f"contrast.holm.{index}", (4 + 3 * index,)) ** 3
        cases.append({"kind": "holm", "p": p.tolist(), "adjusted": multipletests(p, method="holm")[1].tolist()})
    for index, (first, second, patients) in enumerate(((3, 3, 16), (2, 5, 7), (6, 4, 11))):
        arms = [uniform(f"contrast.{index}.{which}", (runs, patients)) for which, runs in (("a", first), ("b", second))]
        for which, arm in zip("ab", arms):
            arm += 0.3 * uniform(f"contrast.{index}.{which}.runs", (len(arm), 1))
        difference = arms[0].mean(axis=0) - arms[1].mean(axis=0)
        found = [mean_squares(arm) for arm in arms]
        of_patients = float(stats.sem(difference)) ** 2
        case = {"kind": "contrast", "runs": [first, second], "patients": patients, "difference": float(difference.mean())}
        for pooled in (False, True):
            weights = [1 / (len(arm) * patients) for arm in arms]
            if pooled:
                parts = []
                for row in ("C(run)", "Residual"):
                    degrees = sum(one[row][1] for one in found)
                    square = sum(one[row][0] * one[row][1] for one in found) / degrees
                    parts.append([(square * sum(weights), degrees)])
            else:
                parts = [[(one[row][0] * weight, one[row][1]) for one, weight in zip(found, weights)] for row in ("C(run)", "Residual")]
            runs, rest = (sum(part for part, _ in of) for of in parts)
            variance = max(of_patients + runs - rest, of_patients, runs)
            estimated = [(of_patients, patients - 1), *parts[0], *parts[1]]
            degrees = max(variance**2 / sum(part**2 / own for part, own in estimated), 1.0)
            low, high = stats.t.interval(0.95, degrees, loc=difference.mean(), scale=math.sqrt(variance))
            case["pooled" if pooled else "apart"] = {
                "standard_error": math.sqrt(variance), "degrees": degrees, "interval": [float(low), float(high)],
            }
        cases.append(case)
    return cases


SETS = {
    "overlap": overlap, "features": features, "statistics": statistics, "ssim": ssim, "shape": shape, "contrast": contrast,
}


def close(ours, theirs):
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and ours.keys() == theirs.keys() and all(close(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list):
        return isinstance(theirs, list) and len(ours) == len(theirs) and all(map(close, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, (float, int)):
        return math.isclose(ours, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return ours == theirs


def check(name, made):
    path = HERE / f"{name}.json"
    same = path.exists() and close(json.loads(path.read_text()), json.loads(json.dumps(made)))
    print(f"{path.name}: {'equal' if same else 'DIFFERS'}")
    return same


def main():
    arguments = sys.argv[1:]
    if arguments == ["--check"]:
        sys.exit(0 if all([check(name, make()) for name, make in SETS.items()]) else 1)
    folder = Path(arguments[0]) if arguments else HERE
    for name, make in SETS.items():
        lines = [json.dumps(case, separators=(",", ":"), allow_nan=False) for case in make()]
        (folder / f"{name}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
