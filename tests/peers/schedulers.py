"""Float64 trajectories of diffusers' DDIMScheduler and DDPMScheduler from given model outputs and given noise.

No network is used: step i takes the model output filled from "eps.i" and, if the sampler draws noise, the noise filled from
"variance_noise.i"; the chain starts at "x_T". Run `schedulers.py [FOLDER]`.

diffusers computes betas and their products in float32, which alone changes a trajectory by more than the tolerance for
float64. Here, `betas`, `alphas`, `alphas_cumprod` and `final_alpha_cumprod` of the scheduler are replaced by the same
formulas in float64; every step is diffusers' code. Each schedule is checked against diffusers' own float32 values. Each
trajectory is run with both tables, and the difference is printed.
"""

import json
import math
from unittest import mock

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

import golden
from weights import fill

SHAPE = (1, 1, 4, 4)
MOST_STEPS = 256
EVERY_STEP_UP_TO = 16
SPACED_STEPS = 8
FLOAT32_TABLE_ERROR = 1e-5
FLOAT32_TRAJECTORY_ERROR = 1e-4
BETA_RANGES = {
    "linear": (1e-4, 0.02),
    "scaled_linear": (0.00085, 0.012),
    "sigmoid": (1e-4, 0.02),
    "squaredcos_cap_v2": (None, None),
}
DEFAULTS = {
    "num_train_timesteps": 1024,
    "num_inference_steps": 16,
    "timestep_spacing": "trailing",
    "steps_offset": 0,
    "beta_schedule": "linear",
    "rescale_betas_zero_snr": False,
    "prediction_type": "epsilon",
    "clip_sample": False,
}
SAMPLER_DEFAULTS = {
    "ddim": {"eta": 0.0, "set_alpha_to_one": True, "use_clipped_model_output": False},
    "ddpm": {"variance_type": "fixed_small"},
}
SPACINGS = (
    {"timestep_spacing": "leading", "steps_offset": 0},
    {"timestep_spacing": "leading", "steps_offset": 1},
    {"timestep_spacing": "trailing"},
    {"timestep_spacing": "linspace"},
)
LATENT = {
    "num_train_timesteps": 1000,
    "num_inference_steps": 50,
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "beta_schedule": "scaled_linear",
}


def betas(case):
    """A case's betas in float64, by diffusers' formulas."""
    schedule, count = case["beta_schedule"], case["num_train_timesteps"]
    start, end = BETA_RANGES[schedule]
    if schedule == "linear":
        values = torch.linspace(start, end, count, dtype=torch.float64)
    elif schedule == "scaled_linear":
        values = torch.linspace(start**0.5, end**0.5, count, dtype=torch.float64) ** 2
    elif schedule == "sigmoid":
        values = torch.sigmoid(torch.linspace(-6, 6, count, dtype=torch.float64)) * (end - start) + start
    else:
        bar = [math.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(count + 1)]
        values = torch.tensor([min(1 - bar[i + 1] / bar[i], 0.999) for i in range(count)], dtype=torch.float64)
    return rescale_zero_terminal_snr(values) if case["rescale_betas_zero_snr"] else values


def make_scheduler(case, dtype):
    """diffusers' scheduler of a case, with tables in float64 or (for comparison) as diffusers made them."""
    passed = ("num_train_timesteps", "beta_schedule", "clip_sample", "prediction_type", "timestep_spacing")
    passed += ("steps_offset", "rescale_betas_zero_snr", "set_alpha_to_one", "variance_type")
    config = {key: case[key] for key in passed if key in case}
    start, end = BETA_RANGES[case["beta_schedule"]]
    if start is not None:
        config |= {"beta_start": start, "beta_end": end}
    scheduler = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}[case["sampler"]](**config)
    scheduler.set_timesteps(case["num_inference_steps"])
    if dtype == torch.float64:
        theirs = scheduler.alphas_cumprod
        scheduler.betas = betas(case)
        scheduler.alphas = 1.0 - scheduler.betas
        scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, dim=0)
        assert (scheduler.alphas_cumprod - theirs).abs().max() < FLOAT32_TABLE_ERROR, case
        if case["sampler"] == "ddim":
            first = scheduler.alphas_cumprod[0]
            scheduler.final_alpha_cumprod = torch.ones_like(first) if case["set_alpha_to_one"] else first
    return scheduler


def previous_timestep(case, scheduler, t):
    """The timestep to which a step from t goes; a value below 0 means the end of the chain."""
    if case["sampler"] == "ddpm":
        return int(scheduler.previous_timestep(t))
    return t - case["num_train_timesteps"] // case["num_inference_steps"]


def step(case, scheduler, index, t, x):
    """(x after the step, x_0-hat) from the given model output and noise of that index."""
    model_output = fill(f"eps.{index}", SHAPE).double()
    noise = fill(f"variance_noise.{index}", SHAPE).double()
    if case["sampler"] == "ddim":
        out = scheduler.step(
            model_output,
            t,
            x,
            eta=case["eta"],
            use_clipped_model_output=case["use_clipped_model_output"],
            variance_noise=noise,
        )
    else:
        # DDPMScheduler.step has no argument for the noise, so its own draw is replaced.
        with mock.patch("diffusers.schedulers.scheduling_ddpm.randn_tensor", return_value=noise):
            out = scheduler.step(model_output, t, x)
    return out.prev_sample, out.pred_original_sample


def trajectory(case, dtype):
    """The scheduler, its timesteps, the timestep to which each step goes, and x and x_0-hat after every step."""
    scheduler = make_scheduler(case, dtype)
    timesteps = scheduler.timesteps.tolist()
    x = fill("x_T", SHAPE).double()
    xs, x_0s = [], []
    for index, t in enumerate(timesteps):
        x, x_0 = step(case, scheduler, index, t, x)
        xs.append(x)
        x_0s.append(x_0)
    previous = [previous_timestep(case, scheduler, t) for t in timesteps]
    return scheduler, timesteps, previous, torch.stack(xs), torch.stack(x_0s)


def case_name(case):
    """A name with the main settings of the case."""
    prediction = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}[case["prediction_type"]]
    spacing = case["timestep_spacing"] + (str(case["steps_offset"]) if case["timestep_spacing"] == "leading" else "")
    parts = [case["sampler"], schedule_name(case), f"N{case['num_inference_steps']}", spacing, prediction]
    if case["sampler"] == "ddim":
        parts.append(f"eta{case['eta']:g}")
        parts += ["to_first"] if not case["set_alpha_to_one"] else []
    else:
        parts.append(case["variance_type"].removeprefix("fixed_"))
    parts += ["clip"] if case["clip_sample"] else []
    parts += ["corrected"] if case.get("use_clipped_model_output") else []
    return "_".join(parts)


def schedule_name(case):
    """The key of a case's alphas_cumprod."""
    zero = "_zero_snr" if case["rescale_betas_zero_snr"] else ""
    return f"{case['beta_schedule']}{zero}_T{case['num_train_timesteps']}"


def spacing_settings():
    """Every spacing at several N that divide T."""
    for spacing in SPACINGS:
        for steps in (256, 64, 16, 4):
            yield spacing | {"num_inference_steps": steps}
        yield spacing | {"num_train_timesteps": 1000, "num_inference_steps": 50}


def schedule_settings():
    """Beta schedules other than linear, and zero terminal SNR, for which predicting eps is undefined."""
    yield {"beta_schedule": "scaled_linear"}
    yield {"beta_schedule": "squaredcos_cap_v2"}
    yield {"beta_schedule": "squaredcos_cap_v2", "num_inference_steps": 256, "clip_sample": True}
    yield LATENT
    for prediction in ("v_prediction", "sample"):
        yield {"rescale_betas_zero_snr": True, "prediction_type": prediction}
    yield LATENT | {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}


def prediction_settings():
    """v and sample prediction, with and without clipping."""
    for prediction in ("v_prediction", "sample"):
        for clip in (False, True):
            yield {"prediction_type": prediction, "clip_sample": clip}
        yield LATENT | {"prediction_type": prediction}


def ddim_cases():
    yield from spacing_settings()
    yield from (spacing | {"eta": 1.0} for spacing in SPACINGS)
    for eta in (0.5, 1.0):
        yield from ({"eta": eta, "num_inference_steps": steps} for steps in (16, 256))
    for eta in (0.0, 0.5, 1.0):
        for corrected in (False, True):
            yield {"eta": eta, "clip_sample": True, "use_clipped_model_output": corrected}
    for spacing in SPACINGS:
        yield spacing | {"num_inference_steps": 256, "clip_sample": True, "use_clipped_model_output": True}
        yield spacing | {"set_alpha_to_one": False}
    for eta in (0.0, 0.5, 1.0):
        yield LATENT | {"set_alpha_to_one": False, "eta": eta}
    for settings in (*prediction_settings(), *schedule_settings()):
        yield settings
        yield settings | {"eta": 0.5}
    for prediction in ("v_prediction", "sample"):
        yield {"prediction_type": prediction, "clip_sample": True, "use_clipped_model_output": True}


def ddpm_cases():
    yield from spacing_settings()
    sigmoid = {"beta_schedule": "sigmoid"}
    for variance in ("fixed_small", "fixed_large"):
        for settings in (*SPACINGS, *prediction_settings(), *schedule_settings(), sigmoid):
            yield settings | {"variance_type": variance}
        for spacing in SPACINGS:
            yield spacing | {"variance_type": variance, "clip_sample": True}
        for clip in (False, True):
            yield {"variance_type": variance, "clip_sample": clip, "num_inference_steps": 256}


def completed(sampler, settings):
    """The case with its defaults filled in; an offset has a meaning only for leading spacing."""
    case = {"sampler": sampler} | DEFAULTS | SAMPLER_DEFAULTS[sampler] | settings
    if case["timestep_spacing"] != "leading":
        case["steps_offset"] = 0
    return case


def run_case(case):
    """(tensors of the case, its alphas_cumprod, relative change if diffusers' own float32 tables are used)."""
    scheduler, timesteps, previous, xs, x_0s = trajectory(case, torch.float64)
    assert xs.dtype == torch.float64 and bool(torch.isfinite(xs).all()), case
    *_, rough, _ = trajectory(case, torch.float32)
    deviation = ((rough - xs).abs().max() / xs.abs().max()).item()
    assert deviation < FLOAT32_TRAJECTORY_ERROR, (case, deviation)
    count = len(timesteps)
    kept = range(count) if count <= EVERY_STEP_UP_TO else np.linspace(0, count - 1, SPACED_STEPS).round().astype(int)
    kept = torch.tensor(list(kept), dtype=torch.int64)
    tensors = {
        "timesteps": torch.tensor(timesteps),
        "prev_timesteps": torch.tensor(previous),
        "steps": kept,
        "x": xs[kept],
        "pred_x0": x_0s[kept],
    }
    return tensors, scheduler.alphas_cumprod, deviation


def family_name(case):
    """The file of a case, by sampler and by whether every step is stored."""
    length = "short" if case["num_inference_steps"] <= EVERY_STEP_UP_TO else "long"
    return f"schedulers_{case['sampler']}_{length}.safetensors"


def sidecar_entry(name, case, tensors):
    """The settings that are needed to run the case again."""
    start, end = BETA_RANGES[case["beta_schedule"]]
    optional = {"eta": None, "set_alpha_to_one": None, "use_clipped_model_output": None, "variance_type": None}
    return {
        "name": name,
        "file": family_name(case),
        "schedule": schedule_name(case),
        **optional,
        **case,
        "beta_start": start,
        "beta_end": end,
        "clip_sample_range": 1.0,
        "fields": sorted(tensors),
    }


def main():
    folder = golden.output_folder()
    entries, families, schedules, worst = {}, {}, {}, 0.0
    cases = [completed("ddim", s) for s in ddim_cases()] + [completed("ddpm", s) for s in ddpm_cases()]
    for case in cases:
        name = case_name(case)
        if name in entries:
            continue
        tensors, alphas_cumprod, deviation = run_case(case)
        family = families.setdefault(family_name(case), {})
        family |= {f"{name}/{field}": tensor for field, tensor in tensors.items()}
        schedules[f"{schedule_name(case)}/alphas_cumprod"] = alphas_cumprod
        entries[name] = sidecar_entry(name, case, tensors)
        worst = max(worst, deviation)
        print(f"  {name}: largest |x| {tensors['x'].abs().max():.4g}, float32 tables change it by {deviation:.1e}")
    what = "diffusers DDIMScheduler and DDPMScheduler, float64 tables and arithmetic"
    for file, family in families.items():
        golden.save(folder / file, family, "schedulers.py", what)

    inputs = {"x_T": fill("x_T", SHAPE)}
    for field in ("eps", "variance_noise"):
        inputs[field] = torch.stack([fill(f"{field}.{i}", SHAPE) for i in range(MOST_STEPS)])
    golden.save(folder / "schedulers_inputs.safetensors", inputs, "schedulers.py", "values by name, see README.md")
    golden.save(folder / "schedulers_alphas.safetensors", schedules, "schedulers.py", "diffusers' formulas in float64")
    lines = ",\n".join(json.dumps(entry) for entry in entries.values())
    (folder / "schedulers_cases.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(entries)} cases; diffusers' own float32 tables change a trajectory by at most {worst:.1e}")


if __name__ == "__main__":
    main()
