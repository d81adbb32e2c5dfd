//! The methods other than the paper's: each follows its condition, accepts and refuses the right settings, and its samples do not depend on
//! their batch.

mod common;

use burn::tensor::{Tensor, TensorData};
use common::{LEARNED, SIDE, config, device, folder, folder_of_corners, trained};
use pig_data::PreparedSet;
use pig_diffusion::schedule::Schedule;
use pig_nn::{parameters, pass::Precision};
use pig_train::{
    Config,
    batch::{Batch, Batches},
    checkpoint::Store,
    config::GivenKind,
    generation::{Request, generate},
    given::GivenSource,
    latents::LatentSpace,
    loaded::LoadedRun,
    methods::{
        objective::{Context, Objective, ObjectiveTask},
        teachers::Teachers,
        with_objective,
    },
    metrics_log,
    observer::Silent,
    role::Role,
    run_data::RunData,
    run_dir::RunDir,
    sampler::Sampler,
    samples::{Given, Samples},
};
use std::path::Path;

fn request(run: &Path, out: &Path, seeds: &[u64]) -> Request {
    Request { progress_strips: true, ..Request::new(run, out, seeds) }
}

/// The loss of a trained network on its own training pairs, and on the same pairs with every mask replaced by the mask of another pair.
struct TrueAndWrong<'a> {
    run: &'a Path,
    set: &'a PreparedSet,
}

impl ObjectiveTask for TrueAndWrong<'_> {
    type Output = [f32; 2];

    fn run<O: Objective>(self, objective: &O) -> [f32; 2] {
        let (config, device) = (objective.context().config, device());
        let (_, weights, _) = Store::new(self.run, objective.role().name()).load_ema().unwrap();
        let network = parameters::import(objective.build(&device).unwrap(), &weights).unwrap();
        let (schedule, last) = (objective.context().schedule, config.schedule.num_train_timesteps);
        let batches =
            Batches { set: self.set, unlabelled: None, augment: &config.data.augment, schedule, device: &device };
        let indices: Vec<usize> = (0..self.set.len()).collect();
        let positions = (1000..).take(indices.len()).collect();
        // With much noise, the network must read the content of the image from the condition.
        let batch = batches.fixed(0, &indices, positions, vec![last * 7 / 8; indices.len()]).unwrap();
        let loss = |batch: &Batch| objective.loss(&network, batch).into_scalar::<f32>();
        let (head, tail) = (batch.masks.clone().narrow(0, 0, 2), batch.masks.clone().narrow(0, 2, indices.len() - 2));
        let wrong = Batch { masks: Tensor::cat(vec![tail, head], 0), ..batch.clone() };
        [loss(&batch), loss(&wrong)]
    }
}

/// Trains with `sets` and compares the loss of `role` under true masks with that under wrong masks.
fn assert_follows_its_mask(name: &str, role: Role, sets: &[&str]) {
    let folder = folder();
    let config = config(&[&LEARNED[..], sets].concat());
    let run = trained(folder.path(), name, &config);
    let run_data = RunData::of_run(&folder.path().join("data"), &RunDir::open(&run).unwrap(), &Silent).unwrap();
    let [training, _] = run_data.parts();
    let (schedule, timesteps) = (Schedule::new(&config.schedule).unwrap(), config.timesteps().unwrap());
    let mut teachers = Teachers::default();
    for &earlier in config.roles().iter().take_while(|&&earlier| earlier != role) {
        teachers.load(&run, &config, earlier, &device()).unwrap();
    }
    let context = Context { config: &config, schedule: &schedule, timesteps: &timesteps, teachers: &teachers };
    let [right, wrong] = with_objective(role, context, TrueAndWrong { run: &run, set: &training });
    println!("{name}: loss {right} under true masks, {wrong} under wrong ones");
    assert!(wrong > 1.3 * right, "{name} does not follow its mask: {right} and {wrong}");
}

#[test]
fn seg_guided_follows_its_mask() {
    assert_follows_its_mask("seg-guided", Role::SegGuided, &["method=seg-guided"]);
}

#[test]
fn the_control_follows_its_mask() {
    assert_follows_its_mask("controlnet", Role::Control, &["method=controlnet"]);
}

/// Two levels, so that a picture of 16 x 16 has latents of 8 x 8.
const LDM: [&str; 4] = [
    "method=ldm",
    "autoencoder.block_out_channels=[16, 16]",
    "autoencoder.norm_num_groups=8",
    "autoencoder.latent_channels=2",
];

#[test]
fn the_latent_network_follows_its_mask() {
    assert_follows_its_mask("ldm", Role::Latent, &LDM);
}

#[test]
fn an_autoencoder_s_error_is_measured_and_told() {
    let folder = folder();
    let run = trained(folder.path(), "ldm", &config(&[&LDM[..], &LEARNED, &["train.validate_every=60"]].concat()));
    let space = LatentSpace::load(&run).unwrap();
    assert!(space.held_out && space.reconstruction.images == 3 && space.measured_on == 9, "{space:?}");
    // In these steps, twelve similar pictures are learnt with an error of a few hundredths; a constant mean picture stays below 15 dB.
    assert!(space.reconstruction.psnr > 18.0 && space.reconstruction.l1 < 0.2, "{space:?}");
    let lines = metrics_log::read(&run).unwrap();
    let psnr: Vec<f64> = lines.iter().filter_map(|line| Some(line.reconstruction?.psnr)).collect();
    assert!(psnr.len() == 2 && psnr[1] > psnr[0], "{psnr:?}");
    assert!(
        lines.iter().all(|line| line.network != "autoencoder" || line.validation.is_none_or(|v| v.quarters.is_none()))
    );
    let card = std::fs::read_to_string(run.join("README.md")).unwrap();
    assert!(card.contains(&space.sentence()) && card.contains("| autoencoder |"), "{card}");
    let out = folder.path().join("pairs");
    let asked = Request { source: GivenSource::TrainingMasks, ..request(&run, &out, &[0, 1]) };
    assert_eq!(generate(&asked, &device(), &Silent).unwrap().latents, Some(space.clone()));

    // Scaled latents have the unit variance for which the noise is designed.
    let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
    let codec = loaded.networks.codec().unwrap();
    assert_eq!(codec.scaling_factor, 1.0 / space.latent_std);
    let run_data = RunData::of_run(&folder.path().join("data"), &RunDir::open(&run).unwrap(), &Silent).unwrap();
    let [training, _] = run_data.parts();
    let images: Vec<f32> = (0..training.len()).flat_map(|index| training.image(index).unwrap()).collect();
    let data = TensorData::new(images, [training.len(), SIDE, SIDE, 1]);
    let images = Tensor::from_data(data, &device());
    let latents = codec.encode(images, Precision::F32, Tensor::zeros_like);
    let spread = f64::from(latents.var(0).mean().into_scalar::<f32>()).sqrt();
    assert!((0.5..1.5).contains(&spread), "{spread}");
}

#[test]
fn the_autoencoder_has_its_own_number_of_steps() {
    let folder = folder();
    let run =
        trained(folder.path(), "ldm", &config(&[&LDM[..], &["train.steps=4", "train.autoencoder_steps=2"]].concat()));
    let lines = metrics_log::read(&run).unwrap();
    let steps = |network: &str| lines.iter().filter(|line| line.network == network).map(|line| line.step).max();
    assert_eq!((steps("autoencoder"), steps("latent")), (Some(2), Some(4)));
}

#[test]
fn model_y_follows_its_mask() {
    assert_follows_its_mask("pig", Role::ModelY, &["model_y.conditioning=clean"]);
}

/// The mean of `values` inside the masks minus the mean outside.
fn contrast(values: &[Vec<f32>], masks: &[&[f32]]) -> f32 {
    let mean = |inside: bool| {
        let pixels = values.iter().zip(masks).flat_map(|(values, mask)| values.iter().zip(*mask));
        let chosen: Vec<f32> = pixels.filter(|(_, m)| (**m > 0.0) == inside).map(|(&value, _)| value).collect();
        chosen.iter().sum::<f32>() / chosen.len() as f32
    };
    mean(true) - mean(false)
}

/// From masks to images and back. In the training pairs, lesions are brighter than their surroundings by 0.86, and the masks of
/// neighbouring cases do not overlap. The contrast of masks that are made for images must exceed `least_mask`; its maximum is 2.
fn assert_goes_both_ways(name: &str, sets: &[&str], least_mask: Option<f32>) {
    let folder = folder_of_corners();
    // With the betas of T = 1024, the 64 timesteps of these tests would end at half signal, half noise. A network that has learnt to read
    // half of a mask from x_T takes pure noise for an empty mask.
    let to_noise = ["sample.clip_sample=true", "schedule.beta_end=0.3"];
    let run = trained(folder.path(), name, &config(&[&LEARNED[..], &to_noise, sets].concat()));
    let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
    let run_data = RunData::of_run(&folder.path().join("data"), &loaded.run, &Silent).unwrap();
    let [training, _] = run_data.parts();
    let masks: Vec<Vec<f32>> = (0..training.len()).map(|i| training.mask(i).unwrap()).collect();
    let images: Vec<Vec<f32>> = (0..training.len()).map(|i| training.image(i).unwrap()).collect();
    let [masks, images] = [&masks, &images].map(|all| all.iter().map(Vec::as_slice).collect::<Vec<&[f32]>>());
    let ids: Vec<u64> = (0..training.len() as u64).collect();
    let device = device();
    let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap();
    let to_images = sampler.sample(Given::Masks(&masks), &ids, &mut |_| {}).unwrap();
    let to_masks = sampler.sample(Given::Images(&images), &ids, &mut |_| {}).unwrap();
    assert_eq!(to_images.masks.concat(), masks.concat(), "{name}: given masks are kept");
    assert_eq!(to_masks.images.concat(), images.concat(), "{name}: given images are kept");
    let (image, mask) = (contrast(&to_images.images, &masks), contrast(&to_masks.masks, &masks));
    println!("{name}: contrast of images under given masks {image}, of masks made for images {mask}");
    // A network that ignores the masks would place its squares in random corners, a quarter of them in the right one.
    assert!(image > 0.5, "{name}: images do not follow given masks: {image}");
    if let Some(least) = least_mask {
        assert!(mask > least, "{name}: masks do not follow given images: {mask}");
    }
    let exchanged: Vec<&[f32]> = images.iter().rev().copied().collect();
    let others = sampler.sample(Given::Images(&exchanged), &ids, &mut |_| {}).unwrap().masks.concat();
    let moved =
        to_masks.masks.concat().iter().zip(&others).map(|(a, b)| (a - b).abs()).sum::<f32>() / others.len() as f32;
    assert!(moved > 0.05, "{name}: masks do not depend on given images: {moved}");

    // A single sample and a batch give the same result.
    let alone = sampler.sample(Given::Images(&images[3..4]), &[3], &mut |_| {}).unwrap();
    assert_alike(&to_masks.masks[3..4], &alone.masks, name);
}

#[test]
fn joint_with_independent_levels_goes_both_ways() {
    let sets = ["method=joint", "train.noise_levels=independent", "train.clean_level_prob=0.5", "train.steps=500"];
    assert_goes_both_ways("joint", &sets, Some(1.2));
}

/// Tests on Gaussian pairs (`crates/diffusion/tests/given_image.rs`) prove how well the masks of model_x follow an image. In the pictures
/// here, a mask stands out of the noise before its image does, so it is placed while the image still contains little information.
#[test]
fn pig_goes_both_ways() {
    assert_goes_both_ways("pig", &PIG_ON_CORNERS, None);
}

const PIG_ON_CORNERS: [&str; 2] = ["model_y.conditioning=clean", "train.steps=300"];

/// The limit is that of `joint`.
#[test]
#[ignore = "not reached: 0.3 of the 1.2; SHORTCOMINGS.md, masks for given images"]
fn pig_puts_the_mask_where_the_image_says() {
    assert_goes_both_ways("pig", &PIG_ON_CORNERS, Some(1.2));
}

#[test]
fn masks_are_made_for_images_of_a_folder_by_methods_that_can() {
    let folder = folder();
    let images = folder.path().join("data/images");
    let source = GivenSource::ImageFolder(images.clone());
    let sets = ["method=joint", "train.noise_levels=independent"];
    let run = trained(folder.path(), "joint", &config(&sets));
    let out = folder.path().join("masked");
    let asked = Request { source: source.clone(), ..request(&run, &out, &[0, 1, 12]) };
    assert_eq!(generate(&asked, &device(), &Silent).unwrap().made, 3);
    let read = |path: &Path| pig_data::png_file::read_png(path).unwrap().pixels;
    assert_eq!(read(&out.join("images/000000.png")), read(&images.join("a00.png")), "the image is kept");
    assert_eq!(read(&out.join("images/000012.png")), read(&images.join("a00.png")), "twelve images: 12 is the first");

    let manifest = std::fs::read_to_string(out.join("manifest.csv")).unwrap();
    let sources: Vec<&str> = manifest.lines().skip(1).map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(sources, ["a00", "a01", "a00"], "{manifest}");

    let pig = trained(folder.path(), "pig", &config(&["sample.eta=0.5"]));
    let asked = Request { source: source.clone(), ..request(&pig, &folder.path().join("no"), &[0]) };
    let refused = generate(&asked, &device(), &Silent).unwrap_err().to_string();
    assert!(refused.contains("sample.jump_n_sample = 10") && refused.contains("ddim"), "{refused}");

    let shared = trained(folder.path(), "shared", &config(&["method=joint"]));
    let seg = trained(folder.path(), "seg", &config(&["method=seg-guided"]));
    for run in [shared, seg] {
        let asked = Request { source: source.clone(), ..request(&run, &folder.path().join("no"), &[0]) };
        let refused = generate(&asked, &device(), &Silent).unwrap_err().to_string();
        assert!(refused.contains("--given-image") && refused.contains("independent"), "{refused}");
        assert!(!folder.path().join("no").exists());
    }
}

/// Asserts that values in [-1, 1] differ by at most 1e-4.
fn assert_alike(together: &[Vec<f32>], alone: &[Vec<f32>], what: &str) {
    assert_eq!(together.len(), alone.len(), "{what}");
    let furthest =
        together.iter().flatten().zip(alone.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: furthest {furthest:e}");
    assert!(furthest <= 1e-4, "{what}: {furthest}");
}

/// `count` masks that alternate between two different ones.
fn two_masks(count: usize) -> Vec<Vec<f32>> {
    let mask = |side: usize| (0..SIDE * SIDE).map(|i| if (i % SIDE < 6) == (side == 0) { 1.0 } else { -1.0 }).collect();
    (0..count).map(|i| mask(i % 2)).collect()
}

/// [`Config::takes`] and the networks of the run must say the same, for every method and every start.
#[test]
fn methods_sample_what_they_take_and_refuse_the_rest() {
    let folder = folder();
    let device = device();
    let masks = two_masks(1);
    let image = vec![0.5; SIDE * SIDE];
    for (index, sets) in [
        &[][..],
        &["method=joint"],
        &["method=joint", "train.noise_levels=independent"],
        &["method=ddpm", "sample.num_inference_steps=64"],
        &["method=ddim"],
        &["method=seg-guided"],
        &["method=controlnet"],
        &LDM,
    ]
    .into_iter()
    .enumerate()
    {
        let run = trained(folder.path(), &format!("run-{index}"), &config(sets));
        let loaded = LoadedRun::open(&run, &[], &device).unwrap();
        let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap();
        for (kind, given) in [
            (GivenKind::Nothing, Given::Nothing),
            (GivenKind::Masks, Given::Masks(&[&masks[0]])),
            (GivenKind::Images, Given::Images(&[&image])),
        ] {
            let sampled = sampler.sample(given, &[0], &mut |_| {});
            assert_eq!(sampled.is_ok(), loaded.config.takes(kind), "{sets:?}, {kind:?}");
            match sampled {
                Ok(samples) => {
                    assert_eq!(samples.images.len(), 1, "{sets:?}, {kind:?}");
                    assert_eq!(
                        samples.masks.len(),
                        usize::from(loaded.config.method.has_masks()),
                        "{sets:?}, {kind:?}"
                    );
                }
                Err(error) => {
                    let message = error.to_string();
                    assert!(message.contains(loaded.config.method.word()), "{sets:?}, {kind:?}: {message}");
                }
            }
        }
        assert_eq!(sampler.pairs(&[0], &mut |_| {}).is_ok(), loaded.config.method.makes_masks(), "{sets:?}");
        assert_eq!(loaded.networks.needs_masks(), loaded.config.method.needs_masks(), "{sets:?}");
    }
}

#[test]
fn samples_do_not_depend_on_the_batch() {
    let folder = folder();
    for (name, sets) in [
        ("ddpm", &["method=ddpm", "sample.num_inference_steps=64"][..]),
        ("ddim", &["method=ddim", "sample.eta=0.5", "sample.clip_sample=true"]),
        ("seg-guided", &["method=seg-guided", "train.condition_dropout=0.2", "sample.guidance_scale=2"]),
        ("controlnet", &["method=controlnet"]),
        ("ldm", &LDM),
    ] {
        let run = trained(folder.path(), name, &config(sets));
        let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
        let device = device();
        let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap();
        let masks = two_masks(5);
        let sample = |ids: &[u64]| -> Samples {
            let masks: Vec<&[f32]> = ids.iter().map(|&id| masks[id as usize].as_slice()).collect();
            let given = if loaded.config.method.needs_masks() { Given::Masks(&masks) } else { Given::Nothing };
            sampler.sample(given, ids, &mut |_| {}).unwrap()
        };
        let together = sample(&[0, 1, 2, 3, 4]);
        let alone: Vec<Vec<f32>> = (0..5).flat_map(|id| sample(&[id]).images).collect();
        assert_ne!(alone[0], alone[2], "{name}: two samples are alike");
        assert_alike(&together.images, &alone, name);
    }
}

#[test]
fn images_alone_are_written_without_masks_and_say_so() {
    let folder = folder();
    let run = trained(
        folder.path(),
        "run",
        &config(&["method=ddpm", "sample.num_inference_steps=64", "train.preview_every=10"]),
    );
    assert!(run.join("previews/unconditional-step-000010.png").is_file());
    let out = folder.path().join("images");
    let summary = generate(&request(&run, &out, &[0, 1, 2]), &device(), &Silent).unwrap();
    assert_eq!((summary.made, summary.finished.pairs, summary.finished.empty_masks), (3, 3, 0));
    assert!(summary.agreement.is_none());
    assert!(summary.no_agreement.unwrap().contains("without masks"));
    assert!(!out.join("masks").exists() && !out.join("progress.png").exists());
    let manifest = std::fs::read_to_string(out.join("manifest.csv")).unwrap();
    assert!(manifest.starts_with("id,seed,image,has_mask,") && manifest.contains(",false,"), "{manifest}");
    let again = generate(&request(&run, &out, &[0, 1, 2, 3]), &device(), &Silent).unwrap();
    assert_eq!((again.made, again.skipped), (1, 3));

    // The same network with DDIM may only write to another folder.
    let ddim = ["method=ddim", "sample.num_inference_steps=4"].map(str::to_owned).to_vec();
    let mixed = Request { sets: ddim.clone(), ..request(&run, &out, &[9]) };
    assert!(generate(&mixed, &device(), &Silent).unwrap_err().to_string().contains("settings_hash"));
    let other = Request { sets: ddim, ..request(&run, &folder.path().join("ddim"), &[0]) };
    assert_eq!(generate(&other, &device(), &Silent).unwrap().made, 1);
    let refused = LoadedRun::open(&run, &["method=joint".to_owned()], &device()).unwrap_err().to_string();
    assert!(refused.contains("[sample]"), "{refused}");
}

#[test]
fn masks_come_from_training_cases_and_from_another_run() {
    let folder = folder();
    let pig = trained(folder.path(), "pig", &config(&[]));
    let run = trained(folder.path(), "seg", &config(&["method=seg-guided", "train.preview_every=10"]));
    assert!(run.join("previews/seg_guided-step-000010.png").is_file());
    let mask = |out: &Path, seed: u64| {
        let path = out.join("masks").join(format!("{seed:06}.png"));
        pig_data::png_file::read_png(&path).unwrap().pixels
    };

    let none = generate(&request(&run, &folder.path().join("none"), &[0]), &device(), &Silent).unwrap_err().to_string();
    assert!(none.contains("--training-masks") && none.contains("--masks-from"), "{none}");

    let out = folder.path().join("training");
    let asked = Request { source: GivenSource::TrainingMasks, ..request(&run, &out, &[0, 1, 9]) };
    let summary = generate(&asked, &device(), &Silent).unwrap();
    assert_eq!((summary.made, summary.finished.empty_masks), (3, 0));
    assert!(summary.agreement.is_some());
    // Nine of the twelve pairs are training cases: sample 9 uses the first case again.
    assert_eq!(mask(&out, 0), mask(&out, 9));
    assert_ne!(mask(&out, 0), mask(&out, 1));

    let pairs = folder.path().join("pairs");
    generate(&request(&pig, &pairs, &[3, 4]), &device(), &Silent).unwrap();
    let out = folder.path().join("from-pig");
    let asked = Request { source: GivenSource::MasksFrom(pig.clone()), ..request(&run, &out, &[3, 4]) };
    generate(&asked, &device(), &Silent).unwrap();
    for seed in [3, 4] {
        assert_eq!(mask(&out, seed), mask(&pairs, seed), "seed {seed}: not pig's mask");
    }
    let asked =
        Request { source: GivenSource::MasksFrom(run.clone()), ..request(&run, &folder.path().join("x"), &[3]) };
    let refused = generate(&asked, &device(), &Silent).unwrap_err().to_string();
    assert!(refused.contains("--masks-from") && refused.contains("seg-guided"), "{refused}");
}

#[test]
fn ddpm_takes_no_masks() {
    let config = config(&["method=ddpm", "sample.num_inference_steps=64"]);
    assert!(config.takes(GivenKind::Nothing) && !config.takes(GivenKind::Masks));
}

#[test]
fn scale_one_is_no_guidance_and_another_scale_is_guidance() {
    let folder = folder();
    for (name, sets) in [
        ("pig", &["model_y.conditioning=clean"][..]),
        ("seg-guided", &["method=seg-guided"]),
        ("controlnet", &["method=controlnet"]),
        ("ldm", &LDM),
    ] {
        let guided = config(&[&LEARNED[..2], &["train.condition_dropout=0.2", "train.ema_decay=0"], sets].concat());
        let run = trained(folder.path(), name, &guided);
        let images = |set: &str| -> Vec<u32> {
            let sets: Vec<String> = [set].iter().filter(|set| !set.is_empty()).map(|&set| set.to_owned()).collect();
            let loaded = LoadedRun::open(&run, &sets, &device()).unwrap();
            let (device, masks) = (device(), two_masks(2));
            let masks: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
            let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap();
            sampler
                .sample(Given::Masks(&masks), &[0, 1], &mut |_| {})
                .unwrap()
                .images
                .concat()
                .into_iter()
                .map(f32::to_bits)
                .collect()
        };
        assert_eq!(images(""), images("sample.guidance_scale=1"), "{name}");
        assert_ne!(images(""), images("sample.guidance_scale=3"), "{name}");
    }
}

fn refusal(sets: &[&str]) -> String {
    config(sets).check().unwrap_err().to_string()
}

#[test]
fn keys_of_another_method_are_refused() {
    for (sets, key) in [
        (&["method=ddpm", "model_y.conditioning=clean"][..], "model_y.conditioning"),
        (&["method=joint", "train.condition_dropout=0.1"], "train.condition_dropout"),
        (&["method=seg-guided", "train.clean_condition_prob=0.1"], "train.clean_condition_prob"),
        (&["train.mask_ablation_prob=0.5"], "train.mask_ablation_prob"),
        (&["train.base_steps=5"], "train.base_steps"),
        (&["train.noise_levels=independent"], "train.noise_levels"),
        (&["method=joint", "train.clean_level_prob=0.3"], "train.clean_level_prob"),
        (&["train.kl_weight=0.1"], "train.kl_weight"),
        (&["method=ldm", "sample.clip_sample=true"], "sample.clip_sample"),
        (&["method=ldm", "autoencoder.norm_num_groups=5"], "norm_num_groups"),
        (&["control.conditioning_embedding_out_channels=[8]"], "control"),
        (&["method=ddim", "sample.sampler=ddpm"], "sample.sampler"),
        (&["method=joint", "sample.guide_threshold=true"], "sample.guide_threshold"),
        (&["sample.guidance_scale=2"], "sample.guidance_scale"),
    ] {
        let message = refusal(sets);
        assert!(message.contains(key), "{sets:?}: {message}");
    }
    let valid: &[Config] = &[
        config(&["method=seg-guided", "train.mask_ablation_prob=0.5"]),
        config(&["train.condition_dropout=0.1", "sample.guidance_scale=2"]),
    ];
    for config in valid {
        config.check().unwrap();
    }
}
