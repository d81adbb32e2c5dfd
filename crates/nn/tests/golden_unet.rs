//! The U-Net against PyTorch and diffusers: the same weights, by name, give the same output and gradients.
//!
//! The goldens and the rule that fills weights from their names are described in `tests/peers/README.md`. They were
//! computed in f64 from f32 weights, so every difference seen here is ours. Gradients go through Burn's autodiff. On the
//! device that `PIG_TEST_DEVICE` names.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use pig_device::testing;
use pig_diffusion::{denoiser::Denoiser, schedule::from_network_time};
use pig_nn::{
    config::UNetConfig,
    network::{Network, Role},
    parameters::{Array, StateDict, count, export, import, name_hash},
    pass::Pass,
    unet::UNet,
};
use safetensors::SafeTensors;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Largest difference of outputs over the largest output; PyTorch's own f32 has 1e-6.
const OUTPUT_TOLERANCE: f64 = 5e-6;
/// The same for gradients; PyTorch's own f32 has 1e-5.
const GRADIENT_TOLERANCE: f64 = 1e-4;

/// diffusers' defaults at a small size.
fn small() -> UNetConfig {
    UNetConfig {
        block_out_channels: vec![32, 64],
        attention_levels: vec![1],
        attention_head_dim: Some(8),
        norm_num_groups: 8,
        ..diffusers_defaults()
    }
}

/// What `UNet2DModel` takes where it is told nothing.
fn diffusers_defaults() -> UNetConfig {
    UNetConfig {
        norm_eps: 1e-5,
        downsample_padding: 1,
        flip_sin_to_cos: true,
        freq_shift: 0.0,
        ..UNetConfig::default()
    }
}

/// The peer's weight rule: element `i` of the tensor called `name`, from FNV-1a and splitmix64.
fn fill(name: &str, shape: &[usize], scale: f64, shift: f64) -> Vec<f32> {
    let hash = name_hash(name);
    let value = |i: u64| {
        let mut z = hash.wrapping_add(i).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let uniform = (z >> 11) as f64 / (1_u64 << 53) as f64;
        ((2.0 * uniform - 1.0) * scale + shift) as f32
    };
    (0..shape.iter().product::<usize>() as u64).map(value).collect()
}

/// Every parameter of `unet`, filled by the name that the peer has for it.
fn filled(unet: UNet, peer_name: fn(&str) -> String) -> UNet {
    let named = |(name, array): (String, Array)| {
        let peer = peer_name(&name);
        let (scale, shift) = match array.shape.as_slice() {
            [_, rest @ ..] if !rest.is_empty() => ((3.0 / rest.iter().product::<usize>() as f64).sqrt(), 0.0),
            _ if peer.ends_with(".weight") => (0.2, 1.0),
            _ => (0.1, 0.0),
        };
        let values = fill(&peer, &array.shape, scale, shift);
        (name, Array { shape: array.shape, values })
    };
    let arrays: StateDict = export(&unet).into_iter().map(named).collect();
    import(unet, &arrays).unwrap()
}

/// diffusers' names are ours.
fn same(name: &str) -> String {
    name.to_owned()
}

/// The released layout's name for one of our parameters. Its decoder counts levels from the full size, ours from the
/// smallest; its attention has 1x1 convolutions where ours has linear layers, with the values in the same order.
fn released(name: &str) -> String {
    const RENAMED: [(&str, &str); 17] = [
        ("time_embedding.linear_1.", "temb.dense.0."),
        ("time_embedding.linear_2.", "temb.dense.1."),
        ("conv_norm_out.", "norm_out."),
        ("mid_block.resnets.0.", "mid.block_1."),
        ("mid_block.resnets.1.", "mid.block_2."),
        ("mid_block.attentions.0.", "mid.attn_1."),
        ("down_blocks.", "down."),
        (".resnets.", ".block."),
        (".attentions.", ".attn."),
        (".downsamplers.0.", ".downsample."),
        (".upsamplers.0.", ".upsample."),
        (".conv_shortcut.", ".nin_shortcut."),
        (".time_emb_proj.", ".temb_proj."),
        (".group_norm.", ".norm."),
        (".to_out.0.", ".proj_out."),
        (".to_", "."),
        ("up_blocks.", "up."),
    ];
    let renamed = RENAMED.iter().fold(name.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs));
    match renamed.strip_prefix("up.").and_then(|rest| rest.split_once('.')) {
        Some((level, rest)) => format!("up.{}.{rest}", 5 - level.parse::<usize>().unwrap()),
        None => renamed,
    }
}

/// A golden: shapes and values by name.
struct Golden(BTreeMap<String, Array>);

impl Golden {
    fn load(name: &str) -> Self {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/goldens"))
            .join(format!("{name}.safetensors"));
        Self(safetensors_arrays(&path))
    }

    fn get(&self, name: &str) -> &Array {
        &self.0[name]
    }
}

fn safetensors_arrays(path: &Path) -> BTreeMap<String, Array> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F32, "{name}");
            (name.to_owned(), Array { shape: view.shape().to_vec(), values: floats(view.data()) })
        })
        .collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// One channel of a `[batch, channels, height, width]` array, as `[batch, height, width, 1]`.
fn plane(array: &Array, channel: usize) -> TensorData {
    let [batch, channels, height, width] = array.shape[..] else { panic!("{:?} has not four axes", array.shape) };
    let size = height * width;
    let values: Vec<f32> = (0..batch)
        .flat_map(|sample| array.values[(sample * channels + channel) * size..][..size].iter().copied())
        .collect();
    TensorData::new(values, [batch, height, width, 1])
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_to_vec().unwrap()
}

/// Largest difference over the largest value wanted.
fn relative(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let most = wanted.iter().fold(0.0_f64, |m, &v| m.max(f64::from(v).abs()));
    assert!(most > 0.0);
    found.iter().zip(wanted).fold(0.0_f64, |m, (&a, &b)| m.max((f64::from(a) - f64::from(b)).abs())) / most
}

fn within(found: &[f32], wanted: &[f32], tolerance: f64, what: &str) {
    let error = relative(found, wanted);
    println!("{what}: {error:.2e} of the largest value");
    let tolerance = testing::tolerance(tolerance);
    assert!(error < tolerance, "{what}: off by {error:e} of the largest value, expected below {tolerance:e}");
}

/// Gradients by the parameters' names.
struct GradientReader<'a> {
    path: Vec<String>,
    gradients: &'a Gradients,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for GradientReader<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).expect("every parameter has a gradient");
        self.found.insert(self.path.join("."), host(gradient));
    }
}

/// Runs the network as model_x, [noisy, guide], on a golden's input and holds its output, and the gradients where the
/// golden has them, against it.
fn check(name: &str, config: &UNetConfig, peer_name: fn(&str) -> String) {
    let golden = Golden::load(name);
    let with_gradients = golden.0.contains_key("loss");
    let device = if with_gradients { testing::device().autodiff() } else { testing::device() };
    let unet = filled(Role::ModelX.build(config, 1, &device).unwrap(), peer_name);
    let input = golden.get("input.x");
    let part = |channel| {
        let tensor = Tensor::<4>::from_data(plane(input, channel), &device);
        if with_gradients { tensor.require_grad() } else { tensor }
    };
    let (noisy, guide) = (part(0), part(1));
    let t: Vec<usize> = golden.get("t").values.iter().map(|&t| from_network_time(t as usize)).collect();
    let output = Network::new(&unet, config).predict(&noisy, &guide, &t);
    let wanted = golden.get("output");
    // One channel: [batch, height, width, 1] and [batch, 1, height, width] hold the same order.
    within(&host(output.clone()), &wanted.values, OUTPUT_TOLERANCE, &format!("{name}, output"));
    if !with_gradients {
        return;
    }

    let probe = fill("probe", &wanted.shape, 1.0, 0.0);
    let probe = Tensor::<4>::from_data(TensorData::new(probe, output.dims()), &device);
    let loss = (output * probe).mean();
    within(&host(loss.clone()), &golden.get("loss").values, GRADIENT_TOLERANCE, &format!("{name}, loss"));
    let gradients = loss.backward();
    let mut reader = GradientReader { path: Vec::new(), gradients: &gradients, found: BTreeMap::new() };
    unet.visit(&mut reader);
    let by_peer: BTreeMap<String, &Vec<f32>> = reader.found.iter().map(|(own, g)| (peer_name(own), g)).collect();
    let mut compared = 0;
    for (key, array) in golden.0.iter().filter(|(key, _)| key.starts_with("grad.") && *key != "grad.input.x") {
        let found = by_peer[key.trim_start_matches("grad.")];
        within(found, &array.values, GRADIENT_TOLERANCE, &format!("{name}, {key}"));
        compared += 1;
    }
    assert_eq!(compared, 5);
    for (channel, tensor) in [&noisy, &guide].into_iter().enumerate() {
        let wanted: Vec<f32> = plane(golden.get("grad.input.x"), channel).try_to_vec().unwrap();
        let found = host(tensor.grad(&gradients).unwrap());
        within(&found, &wanted, GRADIENT_TOLERANCE, &format!("{name}, gradient of channel {channel}"));
    }
}

#[test]
fn released_layout_is_the_peer_s() {
    check("unet_released_64", &UNetConfig::default(), released);
}

#[test]
fn released_layout_takes_pictures_that_are_not_square() {
    check("unet_released_96x32", &UNetConfig::default(), released);
}

#[test]
fn diffusers_defaults_are_the_peer_s() {
    check("unet_diffusers_small", &small(), same);
}

#[test]
fn released_layout_is_diffusers_with_its_settings() {
    let config = UNetConfig { attention_head_dim: Some(128), ..UNetConfig::default() };
    check("unet_diffusers_released", &config, same);
}

#[test]
fn released_layout_has_7_125_409_parameters() {
    let device = Device::flex();
    let unet = Role::ModelX.build(&UNetConfig::default(), 1, &device).unwrap();
    assert_eq!(count(&unet), 7_125_409);
    let names = export(&unet);
    assert_eq!(names.values().map(|array| array.values.len()).sum::<usize>(), 7_125_409);
    let renamed: std::collections::BTreeSet<String> = names.keys().map(|name| released(name)).collect();
    assert_eq!(renamed.len(), names.len(), "no two parameters share a released name");
    for name in ["temb.dense.1.bias", "up.5.attn.2.proj_out.weight", "up.5.block.0.nin_shortcut.weight"] {
        assert!(renamed.contains(name), "{name}");
    }
    for name in ["down.4.downsample.conv.bias", "mid.attn_1.norm.weight", "up.1.upsample.conv.weight"] {
        assert!(renamed.contains(name), "{name}");
    }
}

/// The rule's own examples, from the peers' README.
#[test]
fn weights_follow_the_peer_s_rule() {
    assert_eq!(name_hash("input.x"), 0x8108_462d_5960_cef5);
    for (name, first) in [
        ("input.x", [0.297_783_852, -0.515_318_096, 0.083_636_090_2]),
        ("conv_in.weight", [0.142_500_147, -0.763_235_569, 0.834_313_571]),
    ] {
        let found = fill(name, &[3], 1.0, 0.0);
        assert!(found.iter().zip(first).all(|(&a, b)| (f64::from(a) - b).abs() < 1e-9), "{name}: {found:?}");
    }
}

/// The files of a stored (not compressed) zip of arrays: (name, array's text header, array's bytes).
fn stored_npz(bytes: &[u8]) -> BTreeMap<String, (String, Vec<u8>)> {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let u32_at = |at: usize| u16_at(at) | u16_at(at + 2) << 16;
    let mut files = BTreeMap::new();
    let mut at = 0;
    while bytes[at..].starts_with(b"PK\x03\x04") {
        assert_eq!(u16_at(at + 8), 0, "stored, not compressed");
        let (size, name_end) = (u32_at(at + 18), at + 30 + u16_at(at + 26));
        let name = String::from_utf8(bytes[at + 30..name_end].to_vec()).unwrap();
        let start = name_end + u16_at(at + 28);
        assert!(bytes[start..].starts_with(b"\x93NUMPY\x01"), "{name}: an array of format 1");
        let data = start + 10 + u16_at(start + 8);
        let header = String::from_utf8(bytes[start + 10..data].to_vec()).unwrap();
        at = start + size;
        files.insert(name, (header, bytes[data..at].to_vec()));
    }
    files
}

/// A checkpoint that diffusers wrote and its own output for it, beside the repository.
#[test]
fn a_diffusers_checkpoint_gives_its_own_output() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/peers/diffusers/unet_attn_32_c1"));
    let Ok(reference) = std::fs::read(folder.join("reference.npz")) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let config = UNetConfig {
        block_out_channels: vec![32, 64, 64],
        attention_levels: vec![1],
        attention_head_dim: Some(8),
        norm_num_groups: 8,
        ..diffusers_defaults()
    };
    let device = testing::device();
    let arrays: StateDict = safetensors_arrays(&folder.join("unet/diffusion_pytorch_model.safetensors"));
    let unet = import(UNet::new(&config, [1, 1], &device).unwrap(), &arrays).unwrap();
    let files = stored_npz(&reference);
    let (header, input) = &files["x.npy"];
    assert!(header.contains("'<f4'") && header.contains("(2, 1, 32, 32)"), "{header}");
    assert!(files["t.npy"].0.contains("'<i8'"));
    let times: Vec<f32> =
        files["t.npy"].1.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect();
    let x = Tensor::<4>::from_data(TensorData::new(floats(input), [2, 32, 32, 1]), &device);
    let output = unet.forward(x, &times, &Pass::default());
    within(&host(output), &floats(&files["y.npy"].1), OUTPUT_TOLERANCE, "unet_attn_32_c1, output");
}
