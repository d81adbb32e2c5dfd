"""Float64 trajectories of diffusers' solvers: DPMSolverMultistepScheduler (DPM-Solver++ 2M and its SDE form),
UniPCMultistepScheduler, HeunDiscreteScheduler, and the steps of KarrasVeScheduler (Karras et al. 2022, Algorithm 2).

As in `schedulers.py`, no network is used: call i of a scheduler takes the model output filled from "eps.i" and, if noise is
drawn, "variance_noise.i"; the chain starts at "x_T". Run `solvers.py [FOLDER]`.

These schedulers compute their tables, and parts of their steps, in float32. Here, the names `torch.float32` and
`np.float32` mean float64 inside their modules, so that every line of diffusers' code runs in float64. Each case is also run
with the unchanged code of diffusers, and the largest difference is printed.
"""

import importlib
import json
import math
from unittest import mock

import numpy as np
import torch

import golden
from schedulers import BETA_RANGES
from weights import fill

SHAPE = (1, 1, 2, 2)
EVERY_STEP_UP_TO = 9
SPACED_STEPS = 6
FLOAT32_TRAJECTORY_ERROR = 2e-3
MODULES = {
    "dpm-solver++": ("scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler"),
    "dpm-solver++-sde": ("scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler"),
    "uni-pc": ("scheduling_unipc_multistep", "UniPCMultistepScheduler"),
    "heun": ("scheduling_heun_discrete", "HeunDiscreteScheduler"),
    "edm": ("deprecated.scheduling_karras_ve", "KarrasVeScheduler"),
}
DEFAULTS = {
    "num_train_timesteps": 1024,
    "num_inference_steps": 8,
    "timestep_spacing": "trailing",
    "beta_schedule": "linear",
    "rescale_betas_zero_snr": False,
    "prediction_type": "epsilon",
    "use_karras_sigmas": False,
}
SAMPLER_DEFAULTS = {"uni-pc": {"solver_order": 2}, "edm": {"use_karras_sigmas": True, "s_churn": 0.0, "s_noise": 1.0}}
LATENT = {"num_train_timesteps": 1000, "beta_schedule": "scaled_linear"}
EDM_BOUNDS = (0.05, 50.0)


class Float64:
    """A module in which the name float32 means float64."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return getattr(self.module, "float64" if name == "float32" else name)


def module_of(case):
    return importlib.import_module(f"diffusers.schedulers.{MODULES[case['sampler']][0]}")


def make_scheduler(case):
    """diffusers' scheduler of a case."""
    passed = ("num_train_timesteps", "beta_schedule", "prediction_type", "timestep_spacing", "use_karras_sigmas")
    config = {key: case[key] for key in passed}
    start, end = BETA_RANGES[case["beta_schedule"]]
    if start is not None:
        config |= {"beta_start": start, "beta_end": end}
    if case["sampler"] != "heun":
        config |= {"rescale_betas_zero_snr": case["rescale_betas_zero_snr"]}
    if case["sampler"] == "dpm-solver++-sde":
        config |= {"algorithm_type": "sde-dpmsolver++"}
    if case["sampler"] == "uni-pc":
        config |= {"solver_order": case["solver_order"]}
    scheduler = getattr(module_of(case), MODULES[case["sampler"]][1])(**config)
    scheduler.set_timesteps(case["num_inference_steps"])
    return scheduler


def inputs(index):
    """The model output and the noise of a call."""
    return fill(f"eps.{index}", SHAPE).double(), fill(f"variance_noise.{index}", SHAPE).double()


def multistep(case):
    """For each call: (timestep of the network evaluation, sigma after the call, x after the call)."""
    scheduler, x, xs = make_scheduler(case), fill("x_T", SHAPE).double(), []
    for index, t in enumerate(scheduler.timesteps):
        output, noise = inputs(index)
        extra = {"variance_noise": noise} if case["sampler"] == "dpm-solver++-sde" else {}
        x = scheduler.step(output, t, x, **extra).prev_sample.double()
        xs.append(x)
    return scheduler.timesteps.tolist(), scheduler.sigmas[1:].tolist(), xs


def heun(case):
    """Like `multistep`. diffusers' sample is x / sqrt(alpha_bar), so it is scaled before and after."""
    scheduler, xs = make_scheduler(case), []
    scale = (scheduler.sigmas.double() ** 2 + 1) ** 0.5
    sample = fill("x_T", SHAPE).double() * scale[0]
    for index, t in enumerate(scheduler.timesteps):
        sample = scheduler.step(inputs(index)[0], t, sample).prev_sample.double()
        xs.append(sample / scale[index + 1])
    return scheduler.timesteps.round().long().tolist(), scheduler.sigmas[1:].tolist(), xs


def alphas_cumprod(case):
    """alphas_cumprod by diffusers' code, in float64 if `trajectory` is exact."""
    return make_scheduler(case | {"sampler": "dpm-solver++"}).alphas_cumprod


def edm(case):
    """KarrasVeScheduler's own steps along the levels of Karras et al.; noise raises a level to that of the nearest timestep.

    There is one entry for each call of the network, as for Heun. After the first call of a step, x is at the next level;
    after the second call, x is at the level to which noise has raised it. No noise is added before the first step, which
    starts at t = T.
    """
    module, count = module_of(case), case["num_inference_steps"]
    sigmas = ((1 - alphas_cumprod(case)) / alphas_cumprod(case)).double() ** 0.5
    kept = make_scheduler(case | {"sampler": "dpm-solver++"})
    levels, timesteps = kept.sigmas.double(), kept.timesteps.tolist()
    table = sigmas.clone()
    table[timesteps] = levels[:-1]
    scheduler = module.KarrasVeScheduler(s_noise=case["s_noise"], s_churn=case["s_churn"], s_min=EDM_BOUNDS[0],
                                         s_max=EDM_BOUNDS[1])
    scheduler.num_inference_steps = count
    hat, x, call = levels[0], fill("x_T", SHAPE).double() * (levels[0] ** 2 + 1) ** 0.5, 0
    asked, after, xs = [], [], []
    asked_at = timesteps[0]
    for index in range(count):
        low = levels[index + 1]
        first = scheduler.step(-inputs(call)[0], hat, low, x)
        asked, after = [*asked, asked_at], [*after, low]
        xs.append(first.prev_sample / (low**2 + 1) ** 0.5)
        call += 1
        if index == count - 1:
            break
        output, noise = inputs(call)
        x = scheduler.step_correct(-output, hat, low, x, first.prev_sample, first.derivative).prev_sample
        asked_at = timesteps[index + 1]
        asked.append(asked_at)
        call += 1
        # The level to which Algorithm 2 would raise x, and the nearest timestep by the logarithm of the level.
        with mock.patch.object(module, "randn_tensor", return_value=noise):
            _, wanted = scheduler.add_noise_to_input(x, low)
            place = np.interp(math.log(wanted), sigmas.log().numpy(), np.arange(len(sigmas)))
            raised = max(round(float(place)), asked_at)
            hat = table[raised]
            if raised > asked_at:
                x = x + (hat**2 - low**2) ** 0.5 * case["s_noise"] * noise
        asked_at = raised
        after.append(hat)
        xs.append(x / (hat**2 + 1) ** 0.5)
    return asked, [float(s) for s in after], xs


def trajectory(case, exact):
    run = {"heun": heun, "edm": edm}.get(case["sampler"], multistep)
    if not exact:
        return run(case)
    modules = {module_of(case), module_of({"sampler": "dpm-solver++"})}
    names = [(module, name) for module in modules for name in ("torch", "np") if hasattr(module, name)]
    patches = [mock.patch.object(module, name, Float64(getattr(module, name))) for module, name in names]
    torch.set_default_dtype(torch.float64)
    for patch in patches:
        patch.start()
    try:
        return run(case)
    finally:
        for patch in patches:
            patch.stop()
        torch.set_default_dtype(torch.float32)


def case_name(case):
    """A name with the main settings of the case."""
    prediction = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}[case["prediction_type"]]
    zero = "_zero_snr" if case["rescale_betas_zero_snr"] else ""
    schedule = f"{case['beta_schedule']}{zero}_T{case['num_train_timesteps']}"
    parts = [case["sampler"], schedule, f"N{case['num_inference_steps']}", case["timestep_spacing"], prediction]
    parts += ["karras"] if case["use_karras_sigmas"] else []
    parts += [f"order{case['solver_order']}"] if "solver_order" in case else []
    parts += [f"churn{case['s_churn']:g}", f"noise{case['s_noise']:g}"] if "s_churn" in case else []
    return "_".join(parts)


def solver_settings():
    """Spacings, step counts on both sides of `lower_order_final`'s 15, predictions and schedules."""
    for spacing in ("trailing", "leading", "linspace"):
        for steps in (1, 2, 3, 8, 14, 15, 32):
            yield {"timestep_spacing": spacing, "num_inference_steps": steps}
        yield {"timestep_spacing": spacing, "prediction_type": "v_prediction"}
        yield LATENT | {"timestep_spacing": spacing, "num_inference_steps": 20}
    yield {"prediction_type": "sample"}
    yield {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}
    yield {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    yield {"use_karras_sigmas": True}
    yield LATENT | {"use_karras_sigmas": True, "num_inference_steps": 20, "prediction_type": "v_prediction"}


def uni_pc_settings():
    yield from solver_settings()
    for order in (1, 3):
        for spacing in ("trailing", "leading", "linspace"):
            yield {"timestep_spacing": spacing, "solver_order": order}
        for steps in (2, 3, 32):
            yield {"num_inference_steps": steps, "solver_order": order, "prediction_type": "v_prediction"}
        yield {"use_karras_sigmas": True, "solver_order": order}


def heun_settings():
    """With linspace, timesteps are whole if T - 1 is a multiple of N - 1; otherwise diffusers interpolates sigmas."""
    for steps in (1, 2, 4, 16):
        for spacing in ("trailing", "leading"):
            yield {"timestep_spacing": spacing, "num_inference_steps": steps}
    for steps in (2, 4, 12, 32):
        yield {"timestep_spacing": "linspace", "num_inference_steps": steps}
    for prediction in ("v_prediction", "sample"):
        yield {"prediction_type": prediction}
    yield LATENT | {"timestep_spacing": "leading", "num_inference_steps": 20}
    # The levels end at those of the kept timesteps: with linspace, at T and 1.
    yield {"timestep_spacing": "linspace", "use_karras_sigmas": True}
    yield LATENT | {"timestep_spacing": "linspace", "use_karras_sigmas": True, "prediction_type": "v_prediction"}


def edm_settings():
    for churn, noise in ((0.0, 1.0), (2.0, 1.003), (40.0, 1.0)):
        for steps in (2, 8, 24):
            yield {"num_inference_steps": steps, "s_churn": churn, "s_noise": noise}
        yield LATENT | {"s_churn": churn, "s_noise": noise}


def cases():
    settings = {
        "dpm-solver++": solver_settings,
        "dpm-solver++-sde": solver_settings,
        "uni-pc": uni_pc_settings,
        "heun": heun_settings,
        "edm": edm_settings,
    }
    for sampler, of in settings.items():
        for changed in of():
            yield {"sampler": sampler} | DEFAULTS | SAMPLER_DEFAULTS.get(sampler, {}) | changed


def run_case(case):
    """(tensors of the case, relative change if diffusers computes in float32, as it does by itself)."""
    timesteps, sigmas, xs = trajectory(case, exact=True)
    xs = torch.stack(xs)
    assert xs.dtype == torch.float64 and bool(torch.isfinite(xs).all()), case
    rough = torch.stack(trajectory(case, exact=False)[2])
    deviation = ((rough - xs).abs().max() / xs.abs().max()).item()
    count = len(timesteps)
    kept = range(count) if count <= EVERY_STEP_UP_TO else np.linspace(0, count - 1, SPACED_STEPS).round().astype(int)
    kept = torch.tensor(list(kept), dtype=torch.int64)
    return {"timesteps": torch.tensor(timesteps, dtype=torch.int32), "steps": kept.int(), "x": xs[kept].flatten()}, deviation


def main():
    folder = golden.output_folder()
    entries, tensors, worst = {}, {}, {}
    for case in cases():
        name = case_name(case)
        if name in entries:
            continue
        found, deviation = run_case(case)
        tensors |= {f"{name}/{field}": tensor for field, tensor in found.items()}
        start, end = BETA_RANGES[case["beta_schedule"]]
        entries[name] = {"name": name, **case, "beta_start": start, "beta_end": end}
        worst[case["sampler"]] = max(worst.get(case["sampler"], 0.0), deviation)
        print(f"  {name}: largest |x| {found['x'].abs().max():.4g}, float32 changes it by {deviation:.1e}")
        assert deviation < FLOAT32_TRAJECTORY_ERROR, (case, deviation)
    golden.save(folder / "schedulers_solvers.safetensors", tensors, "solvers.py", "diffusers' solvers, float64 throughout")
    lines = ",\n".join(json.dumps(entry) for entry in entries.values())
    (folder / "schedulers_solvers_cases.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(entries)} cases; float32 changes a trajectory by at most {worst}")


if __name__ == "__main__":
    main()
