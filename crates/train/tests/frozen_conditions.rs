//! A frozen model_y that was trained elsewhere and gets the mask through a control network or as a class, in pixels or in latents. Only the
//! guider is trained for it, and the pairs are equal to those of Algorithm 2 with networks that the test combines itself.

mod common;

use burn::tensor::{Tensor, TensorData};
use common::{SIDE, config, device, folder, trained};
use pig_diffusion::{
    denoiser::Denoiser,
    guide::PredictedX0,
    noise::{NoiseSource, Stream},
    pair::algorithm_2,
    prediction::PredictionType,
    schedule::{Schedule, network_time},
    step::Ddim,
};
use pig_nn::{
    autoencoder::area_mean, config::UNetConfig, control::Controlled, network::Network, ops::upsample_nearest_2x,
    pass::Pass, unet::UNet,
};
use pig_train::{
    Config,
    generation::{Request, generate},
    given::GivenSource,
    imported::{
        Model,
        export::export,
        frozen::resolve,
        import::{Request as Import, import},
        join::Join,
    },
    loaded::LoadedRun,
    observer::Silent,
    role::Role,
    run_dir::RunDir,
    sampler::Sampler,
    samples::{Given, Samples},
    training::train,
};
use std::path::{Path, PathBuf};

const IDS: [u64; 2] = [0, 5];

/// Two levels, so that a picture of 16 x 16 has latents of 8 x 8.
const LDM: [&str; 4] = [
    "method=ldm",
    "autoencoder.block_out_channels=[16, 16]",
    "autoencoder.norm_num_groups=8",
    "autoencoder.latent_channels=2",
];

fn at(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/imports")).join(name)
}

fn path(key: &str, value: &Path) -> String {
    format!("model_y.{key}={:?}", value.to_str().unwrap())
}

/// A configuration in which the frozen model brings its own network.
fn with(sets: &[String], others: &[&str]) -> Config {
    let mut config = config(&sets.iter().map(String::as_str).chain(others.iter().copied()).collect::<Vec<_>>());
    config.model_y.unet = UNetConfig::default();
    config
}

fn imported(source: &Path, sets: &[&str], out: &Path) -> PathBuf {
    let sets = sets.iter().map(|set| (*set).to_owned()).collect();
    import(&Import { source: source.to_owned(), sets, out: out.to_owned(), ..Import::default() }).unwrap();
    out.to_owned()
}

/// Samples of the run, through its files.
fn sampled(run: &Path) -> (Config, Samples) {
    let loaded = LoadedRun::open(run, &[], &device()).unwrap();
    let device = device();
    let samples =
        Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap().pairs(&IDS, &mut |_| {}).unwrap();
    (loaded.config, samples)
}

/// The final states of both chains, with a model_y that the test has built.
fn by_hand(run: &Path, config: &Config, model_y: &impl Denoiser, y_channels: usize, side: usize) -> [Tensor<4>; 2] {
    let model_x = Model::open(run, Some("model_x")).unwrap().unet(&device()).unwrap();
    let (schedule, timesteps) = (Schedule::new(&config.schedule).unwrap(), config.timesteps().unwrap());
    let noise = NoiseSource::new(config.sample.seed, IDS.to_vec(), &device());
    let step = |stream| Ddim { schedule: &schedule, eta: 0.0, set_alpha_to_one: true, noise: (noise.clone(), stream) };
    let start = |stream, channels| noise.draw(stream, 0, [side, side, channels]);
    let (x_0, y_0) = algorithm_2(
        &Network::new(&model_x, config.unet(Role::ModelX)),
        model_y,
        &schedule,
        &timesteps,
        &PredictedX0,
        (&mut step(Stream::X), &mut step(Stream::Y)),
        (start(Stream::X, 1), start(Stream::Y, y_channels)),
        &mut |_| {},
    );
    [x_0, y_0]
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// Asserts that pairs of the size of the image are written, and that the frozen model is unchanged.
fn assert_pairs(folder: &Path, run: &Path, frozen: &[(&str, Model)]) {
    let out = folder.join("pairs");
    let asked = Request { progress_strips: true, save_arrays: true, ..Request::new(run, &out, &IDS) };
    let summary = generate(&asked, &device(), &Silent).unwrap();
    assert_eq!(summary.finished.pairs, 2);
    assert!(out.join("progress.png").is_file() && out.join("arrays/000005.npz").is_file());
    for part in ["images", "masks"] {
        let (width, height) = image_size(&out.join(part).join("000005.png"));
        assert_eq!((width, height), (SIDE as u32, SIDE as u32), "{part}");
    }
    for (name, before) in frozen {
        let after = Model::open(&run.join("frozen_model_y").join(name), None).unwrap();
        assert!(after.arrays == before.arrays, "the weights of {name} have changed");
    }
}

/// Width and height from the header of a PNG.
fn image_size(file: &Path) -> (u32, u32) {
    let bytes = std::fs::read(file).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn a_control_network_tells_the_mask() {
    let folder = folder();
    let first = trained(folder.path(), "first", &config(&["method=controlnet"]));
    let sets = [path("frozen.model", &first), path("frozen.control", &first)];
    let run = trained(folder.path(), "run", &with(&sets, &["model_y.frozen.condition=controlnet"]));
    let open = |name: &str| Model::open(&first, Some(name)).unwrap();
    assert_pairs(folder.path(), &run, &[("unet", open("unconditional")), ("controlnet", open("control"))]);

    let (base, control) =
        (open("unconditional").unet(&device()).unwrap(), open("control").controlnet(&device()).unwrap());
    let (config, found) = sampled(&run);
    let model_y = Controlled::new(&base, &control, config.unet(Role::ModelY));
    let [x_0, y_0] = by_hand(&run, &config, &model_y, 1, SIDE);
    assert_eq!(found.masks.concat(), values(x_0));
    assert_eq!(found.images.concat(), values(y_0));
}

/// A base with a control network whose condition is twice as large as the image and has values from 0 to 1.
struct Large<'a>(Controlled<'a>);

impl Denoiser for Large<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let told = guide.clone().mul_scalar(0.5).add_scalar(0.5);
        self.0.predict(noisy, &upsample_nearest_2x(told), t)
    }

    fn prediction_type(&self) -> PredictionType {
        PredictionType::Epsilon
    }
}

/// The condition is twice as large as the image and has values from 0 to 1, as in diffusers.
#[test]
fn a_control_network_of_diffusers_is_told_what_it_knows() {
    let folder = folder();
    let base = imported(&at("unet_controlled"), &["schedule.num_train_timesteps=64"], &folder.path().join("base"));
    let control = imported(&at("controlnet"), &[], &folder.path().join("control"));
    let sets = [path("frozen.model", &base), path("frozen.control", &control)];
    let run = trained(folder.path(), "run", &with(&sets, &["model_y.frozen.condition=controlnet"]));
    let (config, found) = sampled(&run);
    let base = Model::open(&base, None).unwrap().unet(&device()).unwrap();
    let control = Model::open(&control, None).unwrap().controlnet(&device()).unwrap();
    let model_y = Large(Controlled::new(&base, &control, config.unet(Role::ModelY)));
    let [_, y_0] = by_hand(&run, &config, &model_y, 1, SIDE);
    assert_eq!(found.images.concat(), values(y_0));
    let other = with(&sets, &["model_y.frozen.condition=controlnet", "model_y.frozen.mask_values=[-1, 1]"]);
    let (_, symmetric) = sampled(&trained(folder.path(), "symmetric", &other));
    assert_ne!(found.images, symmetric.images, "the model does not get the requested mask values");
}

/// A network that gets one class and no mask.
struct Classed<'a>(&'a UNet, usize);

impl Denoiser for Classed<'_> {
    fn predict(&self, noisy: &Tensor<4>, _guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let times: Vec<f32> = t.iter().map(|&t| network_time(t)).collect();
        let time = self.0.embed_classes(&times, &vec![self.1; t.len()]);
        self.0.forward_embedded(noisy.clone(), &time, None, &Pass::default())
    }

    fn prediction_type(&self) -> PredictionType {
        PredictionType::Epsilon
    }
}

#[test]
fn a_class_is_told_by_the_mask_s_size() {
    let folder = folder();
    let model = imported(&at("unet_class"), &["schedule.num_train_timesteps=64"], &folder.path().join("model"));
    let by_size =
        ["model_y.frozen.condition=class", "model_y.frozen.classes=[2, 0, 1]", "model_y.frozen.class_areas=[0, 0.3]"];
    let run = trained(folder.path(), "run", &with(&[path("frozen.model", &model)], &by_size));
    let unet = Model::open(&model, None).unwrap();
    assert_pairs(folder.path(), &run, &[("unet", unet.clone())]);
    let unet = unet.unet(&device()).unwrap();
    let mask = |lesion: usize| -> Vec<f32> { (0..SIDE * SIDE).map(|i| if i < lesion { 1.0 } else { -1.0 }).collect() };
    let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
    let device = device();
    for (lesion, class) in [(0, 2), (1, 0), (76, 0), (77, 1)] {
        let masks = [mask(lesion), mask(lesion)];
        let given: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
        // If model_y was trained on x_0-hat, the mask comes from model_x; the setting `Clean` uses model_y directly.
        let mut direct = loaded.config.clone();
        direct.model_y.conditioning = pig_train::config::Conditioning::Clean;
        let found = Sampler::new(&direct, loaded.networks.as_ref(), &device)
            .unwrap()
            .sample(Given::Masks(&given), &IDS, &mut |_| {})
            .unwrap();
        let [_, y_0] = by_hand(&run, &loaded.config, &Classed(&unet, class), 1, SIDE);
        assert_eq!(found.images.concat(), values(y_0), "a lesion of {lesion} pixels");
    }
    // One class for all: the mask does not influence the image, but the guider still reads the image.
    let fixed = ["model_y.frozen.condition=class", "model_y.frozen.classes=[1]"];
    let fixed = trained(folder.path(), "fixed", &with(&[path("frozen.model", &model)], &fixed));
    let [x_0, y_0] = by_hand(&fixed, &loaded.config, &Classed(&unet, 1), 1, SIDE);
    let (_, found) = sampled(&fixed);
    assert_eq!(found.images.concat(), values(y_0));
    assert_eq!(found.masks.concat(), values(x_0));
}

/// A latent model in the layout of another framework: diffusers' folders of a U-Net and an autoencoder.
fn foreign_latents(folder: &Path, first: &Path) -> [PathBuf; 2] {
    ["latent", "autoencoder"].map(|name| {
        let exported = folder.join(format!("exported {name}"));
        export(&Model::open(first, Some(name)).unwrap(), &exported).unwrap();
        let sets: &[&str] = if name == "latent" { &["schedule.num_train_timesteps=64"] } else { &[] };
        imported(&exported, sets, &folder.join(name))
    })
}

#[test]
fn a_guider_is_trained_for_a_latent_model() {
    let folder = folder();
    let first = trained(folder.path(), "first", &config(&LDM));
    let [unet, autoencoder] = foreign_latents(folder.path(), &first);
    let sets = [path("frozen.model", &unet), path("frozen.autoencoder", &autoencoder)];
    let run = trained(folder.path(), "run", &with(&sets, &["model_x.prediction_type=v_prediction"]));
    let open = |path: &Path| Model::open(path, None).unwrap();
    assert_pairs(folder.path(), &run, &[("unet", open(&unet)), ("autoencoder", open(&autoencoder))]);
    // The exported folder does not contain the noise schedule, so the import sets it. The weights are those of the run that it came from.
    assert!(open(&unet).arrays == Model::open(&first, Some("latent")).unwrap().arrays);

    let (config, found) = sampled(&run);
    assert_eq!((config.grid(Role::ModelX), config.grid(Role::ModelY)), (([8, 8], 2), ([8, 8], 2)));
    let model_x = Model::open(&run, Some("model_x")).unwrap();
    assert_eq!(model_x.unet_description().unwrap().in_channels, 3);
    let network = open(&unet).unet(&device()).unwrap();
    let [x_0, y_0] = by_hand(&run, &config, &Network::new(&network, config.unet(Role::ModelY)), 2, SIDE / 2);
    let factor = open(&autoencoder).autoencoder_description().unwrap().scaling_factor;
    let codec = open(&autoencoder).autoencoder(&device()).unwrap();
    let images = codec.decode(y_0.div_scalar(factor), &Pass::default());
    assert_eq!(found.images.concat(), values(images));
    // Linear interpolation keeps the mean over the image, but not the mean of each square of two by two pixels.
    let masks = Tensor::<4>::from_data(TensorData::new(found.masks.concat(), [2, SIDE, SIDE, 1]), &device());
    let (small, latent) = (values(area_mean(masks, 2, None)), values(x_0));
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    assert!(
        (mean(&small) - mean(&latent)).abs() < 0.1 * mean(&latent).abs() + 0.05,
        "{} {}",
        mean(&small),
        mean(&latent)
    );

    // Masks for images and images for masks, through the autoencoder.
    let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
    let device = device();
    let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap();
    let image = vec![0.25_f32; SIDE * SIDE];
    let mask: Vec<f32> = (0..SIDE * SIDE).map(|i| if i % SIDE < 6 { 1.0 } else { -1.0 }).collect();
    let masks = sampler.sample(Given::Images(&[&image]), &[0], &mut |_| {}).unwrap();
    assert_eq!((masks.masks[0].len(), &masks.images[0]), (SIDE * SIDE, &image));
    let images = sampler.sample(Given::Masks(&[&mask]), &[0], &mut |_| {}).unwrap();
    assert_eq!((images.images[0].len(), &images.masks[0]), (SIDE * SIDE, &mask));
    let empty = sampler.sample(Given::Masks(&[&vec![-1.0; SIDE * SIDE]]), &[0], &mut |_| {}).unwrap();
    assert_ne!(images.images, empty.images, "the mask does not influence the image");
}

#[test]
fn a_guider_of_other_latents_is_refused() {
    let folder = folder();
    let first = trained(folder.path(), "first", &config(&LDM));
    let second = trained(folder.path(), "second", &config(&[&LDM[..], &["train.seed=5"]].concat()));
    let run_for = |name: &str, model: &Path| {
        let sets = [path("frozen.model", model), path("frozen.autoencoder", model)];
        trained(folder.path(), name, &with(&sets, &[]))
    };
    let (one, other) = (run_for("one", &first), run_for("other", &second));
    let join = Join { model_x: Some(other), model_y: None };
    let asked = Request { join, ..Request::new(&one, &folder.path().join("pairs"), &IDS) };
    let message = generate(&asked, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("the guider's frozen autoencoder"), "{message}");
    // A model_y that is taken from another run comes with its autoencoder, or without one.
    let pixels = trained(folder.path(), "pixels", &config(&[]));
    let asked =
        |join| Request { join, source: GivenSource::Nothing, ..Request::new(&one, &folder.path().join("no"), &IDS) };
    let message = generate(&asked(Join { model_x: None, model_y: Some(pixels) }), &device(), &Silent);
    assert!(message.unwrap_err().to_string().contains("channels of model_x"));
}

#[test]
fn what_does_not_fit_is_refused_before_any_work() {
    let folder = folder();
    let model = imported(&at("unet_class"), &["schedule.num_train_timesteps=64"], &folder.path().join("model"));
    let vae = imported(&at("vae"), &[], &folder.path().join("vae"));
    let frozen = path("frozen.model", &model);
    let refused = |sets: &[&str], part: &str| {
        let out = folder.path().join("refused");
        let config = with(std::slice::from_ref(&frozen), sets);
        let message = train(&config, &folder.path().join("data"), &out, &device(), &Silent).unwrap_err().to_string();
        assert!(message.contains(part), "{part:?} is missing in: {message}");
        assert!(!out.exists());
    };
    let class = "model_y.frozen.condition=class";
    refused(&[], "1 in, 1 out");
    refused(&[class], "model_y.frozen.classes");
    refused(&[class, "model_y.frozen.classes=[3]"], "has 3, counted from 0");
    refused(&[class, "model_y.frozen.classes=[0, 1]", "model_y.frozen.class_areas=[1.5]"], "rising shares");
    refused(&["model_y.frozen.classes=[0, 1]"], "none without");
    refused(&["model_y.frozen.condition=controlnet"], "model_y.frozen.control");
    refused(&[class, "model_y.frozen.classes=[0]", &path("frozen.control", &model)], "model_y.frozen.control");
    refused(
        &[class, "model_y.frozen.classes=[0]", &path("frozen.autoencoder", &vae)],
        "channels of model_y.frozen.autoencoder",
    );
    refused(
        &["model_y.frozen.condition=controlnet", &path("frozen.control", &model)],
        "kind unet, expected controlnet",
    );
    let unfrozen = config(&["model_y.frozen.classes=[0]"]).check().unwrap_err().to_string();
    assert!(unfrozen.contains("set model_y.frozen.model"), "{unfrozen}");
}

/// If the configuration does not set the noise schedule, that of the model is used.
#[test]
fn the_model_s_own_schedule_is_taken() {
    let folder = folder();
    let sets = ["schedule.num_train_timesteps=1000", "schedule.beta_schedule=scaled_linear"];
    let model = imported(&at("unet_class"), &sets, &folder.path().join("model"));
    let asked = with(
        &[path("frozen.model", &model)],
        &["schedule.num_train_timesteps=1024", "model_y.frozen.condition=class", "model_y.frozen.classes=[0]"],
    );
    let (resolved, _) = resolve(&asked).unwrap();
    assert_eq!(resolved.schedule.num_train_timesteps, 1000);
    let run = trained(folder.path(), "run", &Config { train: config(&["train.steps=1"]).train, ..asked });
    assert_eq!(RunDir::open(&run).unwrap().config().unwrap().schedule, resolved.schedule);
    let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
    assert!(loaded.config.method.makes_masks());
}
