//! Harmful pickles: each is refused with an error that names what it asked for, and takes little time and memory.

mod common;

use common::{archive, zip};
use pig_weights::{
    Array, StateDict, file,
    layouts::{self, AutoencoderShape, ConditionShape, UNetShape},
};
use std::time::{Duration, Instant};

fn message_of(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crafted.pth");
    std::fs::write(&path, bytes).unwrap();
    let since = Instant::now();
    let message = file::read(&path, None).unwrap_err().to_string();
    assert!(since.elapsed() < Duration::from_secs(20), "{message}");
    assert!(message.contains("crafted.pth"), "{message}");
    message
}

#[track_caller]
fn refused(pickle: &[u8], part: &str) {
    for script in [false, true] {
        let message = message_of(&archive(pickle, script));
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

/// `c MODULE NAME (X arguments t R .`
fn call(module: &str, name: &str, argument: &str) -> Vec<u8> {
    let mut pickle = format!("\u{2}c{module}\n{name}\n(X").into_bytes();
    pickle.insert(0, 0x80);
    pickle.extend((argument.len() as u32).to_le_bytes());
    pickle.extend(argument.bytes());
    pickle.extend(b"tR.");
    pickle
}

#[test]
fn functions_are_named_and_refused() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("__builtin__", "exec"),
        ("subprocess", "Popen"),
        ("torch.hub", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_wrapper_subclass"),
        ("torch", "load"),
        ("torch.nn.modules.linear", "Linear"),
        ("collections", "defaultdict"),
        ("functools", "partial"),
    ] {
        refused(&call(module, name, "echo"), &format!("{module}.{name}"));
    }
    // A TorchScript class in a file that is not TorchScript.
    let message = message_of(&archive(&call("__torch__.a", "B", "x"), false));
    assert!(message.contains("__torch__.a.B"), "{message}");
}

#[test]
fn names_built_on_the_stack_are_refused_too() {
    refused(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.", "os.system");
    // Within a tensor's arguments, and as the state of a dictionary.
    refused(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\nX\x02\x00\x00\x00lstRtR.", "os.system");
    refused(b"\x80\x02}cos\nsystem\nb.", "os.system");
    // A call of the result of a call.
    refused(b"\x80\x02ccollections\nOrderedDict\n)R)R.", "calls something");
}

#[test]
fn instructions_that_no_weights_need_are_refused() {
    for (code, rest) in [
        (b'i', &b"os\nsystem\n."[..]),
        (b'o', b"."),
        (b'P', b"0\n."),
        (b'\x82', b"\x01."),
        (b'\x92', b"."),
        (b'\x97', b"."),
        (b'S', b"'a'\n."),
        (b'I', b"1\n."),
    ] {
        refused(&[b"\x80\x02(", &[code][..], rest].concat(), &format!("{code:#04x}"));
    }
    refused(b"\x80\x06N.", "protocol 6");
}

#[test]
fn pickles_that_end_early_or_take_too_much_are_refused() {
    refused(b"", "ends early");
    refused(b"\x80\x02", "ends early");
    refused(b"\x80\x02X\xff\xff\xff\xffab", "ends early");
    refused(b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffab.", "ends early");
    refused(b"\x80\x02R.", "empty stack");
    refused(b"\x80\x02.", "empty stack");
    refused(b"\x80\x02N(0.", "empty stack");
    refused(b"\x80\x02h\x05.", "never stored");
    refused(b"\x80\x02t.", "mark");
    refused(b"\x80\x02}(Nu.", "no value");
    refused(b"\x80\x02NNa.", "not a list");
    refused(b"\x80\x02NNNs.", "not a dictionary");
    refused(b"\x80\x02NNb.", "state of something that has none");
    refused(b"\x80\x02NQ.", "not a storage");
}

/// `{"w": tensor}` with this offset, shape and strides, on the storage of six floats, whose stated length is `len`.
fn tensor(len: u32, offset: i32, shape: i32, stride: i32) -> Vec<u8> {
    let int = |value: i32| [b"J", &value.to_le_bytes()[..]].concat();
    [
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n".to_vec(),
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu".to_vec(),
        int(len as i32),
        b"tQ".to_vec(),
        int(offset),
        int(shape),
        b"\x85".to_vec(),
        int(stride),
        b"\x85\x89}tRs.".to_vec(),
    ]
    .concat()
}

#[test]
fn tensors_stay_within_their_storage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.pth");
    std::fs::write(&path, archive(&tensor(6, 1, 2, 3), false)).unwrap();
    assert_eq!(file::read(&path, None).unwrap().arrays["w"].values, [0.0, 0.0]);
    refused(&tensor(6, 1, 6, 1), "in a storage of 6 numbers");
    refused(&tensor(6, 0, 3, 4), "in a storage of 6 numbers");
    refused(&tensor(6, -1, 2, 1), "offset of -1");
    refused(&tensor(6, 0, 7, 0), "in a storage of 6 numbers");
    refused(&tensor(6, 0, i32::MAX, 0), "larger than the file");
    refused(&tensor(7, 0, 6, 1), "24 bytes, expected 28");
    refused(&tensor(5, 0, 5, 1), "expected at most 20");
    refused(&tensor(i32::MAX as u32, 0, 5, 1), "larger than the file");
}

/// Dictionaries that each contain the previous one twice: 2^n paths from n nodes.
#[test]
fn doubled_dictionaries_are_not_walked_without_end() {
    let mut pickle = b"\x80\x02}q\x00".to_vec();
    for level in 1..60_u8 {
        pickle.extend([b'0', b'}', b'q', level, b'(']);
        for key in [b'a', b'b'] {
            pickle.extend([b'X', 1, 0, 0, 0, key, b'h', level - 1]);
        }
        pickle.push(b'u');
    }
    pickle.push(b'.');
    refused(&pickle, "without tensors");
    // With a tensor at the top, the whole is walked.
    let mut whole = tensor(6, 0, 6, 1);
    whole.pop();
    whole.extend(b"X\x01\x00\x00\x00d");
    whole.extend(&pickle[2..pickle.len() - 1]);
    whole.extend(b"s.");
    refused(&whole, "more than");
}

/// A list that is its own item, and a dictionary that is its own value.
#[test]
fn circles_are_not_walked_without_end() {
    refused(b"\x80\x02]q\x00h\x00a.", "no dictionary");
    let mut circle = tensor(6, 0, 6, 1);
    circle.pop();
    circle.splice(2..3, b"}q\x00".iter().copied());
    circle.extend(b"X\x01\x00\x00\x00dh\x00s.");
    refused(&circle, "nested deeper");
}

/// A long list is copied into a dictionary, for only five bytes per copy.
#[test]
fn copies_do_not_outgrow_the_pickle() {
    let mut pickle = b"\x80\x02]q\x00(".to_vec();
    pickle.extend(std::iter::repeat_n(*b"NN\x86", 100_000).flatten());
    pickle.extend(b"eccollections\nOrderedDict\nq\x01");
    pickle.extend(std::iter::repeat_n(*b"h\x01h\x00\x85R", 100_000).flatten());
    pickle.push(b'.');
    refused(&pickle, "copies more entries than it has bytes");
}

/// Names and sizes that are remembered once and copied, for only a few bytes per copy.
#[test]
fn copies_of_names_and_sizes_do_not_outgrow_the_pickle() {
    let name = [b"X\x00\x01\x00\x00", &[b'k'; 256][..]].concat();
    let storage =
        [b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n", &name[..], b"X\x03\x00\x00\x00cpuK\x06tq\x00Q"].concat();
    let sizes = [&b"("[..], &b"K\x01".repeat(16), b"t"].concat();
    let tensor =
        [b"ctorch._utils\n_rebuild_tensor_v2\nq\x01(", &storage[..], b"K\x00", &sizes, &sizes, b"tq\x02R0"].concat();
    let repeated = |part: &[u8]| [b"\x80\x02", &tensor[..], &part.repeat(100_000), b"}."].concat();
    refused(&repeated(b"h\x00Q0"), "copies more entries than it has bytes");
    refused(&repeated(b"h\x01h\x02R0"), "copies more entries than it has bytes");
}

/// Two thousand tensors of one storage.
#[test]
fn tied_weights_do_not_outgrow_the_file() {
    let one = tensor(6, 0, 6, 1);
    let mut pickle = b"\x80\x02}".to_vec();
    for name in 0..2_000_u32 {
        let mut part = one[3..one.len() - 1].to_vec();
        part.splice(0..6, [b"X\x04\x00\x00\x00", format!("{name:04}").as_bytes()].concat());
        pickle.extend(part);
    }
    pickle.push(b'.');
    // Each of the 2000 costs more bytes in the pickle than it has values, so that all are read.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tied.pth");
    std::fs::write(&path, archive(&pickle, false)).unwrap();
    assert_eq!(file::read(&path, None).unwrap().arrays.len(), 2_000);
}

#[test]
fn deep_nesting_overflows_no_stack() {
    for nested in [&b"]"[..], b"}", b")"] {
        let closing: &[u8] = if nested == b")" { b"\x85" } else { b"" };
        let mut pickle = b"\x80\x02".to_vec();
        pickle.extend(nested);
        for _ in 0..500_000 {
            pickle.extend(if closing.is_empty() { nested } else { closing });
        }
        pickle.push(b'.');
        message_of(&archive(&pickle, false));
    }
}

#[test]
fn other_files_are_told_apart() {
    assert!(message_of(b"").contains("neither safetensors nor"));
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    assert!(message_of(pointer).contains("a pointer of Git LFS"));
    assert!(message_of(&call("os", "system", "ls")).contains("neither safetensors nor"));
    assert!(message_of(b"PK\x03\x04 and more, but no directory").contains("not an archive"));
    assert!(message_of(&zip(&[("readme.txt", b"")])).contains("without data.pkl"));
    let mut header = u64::MAX.to_le_bytes().to_vec();
    header.extend(b"{}");
    assert!(message_of(&header).contains("a header of"));
}

/// Names with numbers that no file can fill: no memory is allocated for them.
#[test]
fn absurd_numbers_in_names_size_nothing() {
    let marks = [
        &["temb.dense.0.weight"][..],
        &["middle_block.resnet_1.norm1.weight", "time_embed.0.weight"],
        &["encoder.blocks.0.conv.weight", "post_quant_conv.conv.weight"],
        &["controlnet_mid_block.weight"],
        &["encoder.conv_in.weight", "decoder.conv_in.weight"],
    ];
    let absurd = [usize::MAX, 1 << 40].map(|number| {
        [
            "up.",
            "down.",
            "encoder.blocks.",
            "decoder.blocks.",
            "down_blocks.",
            "down_blocks.0.resnets.",
            "encoder.down_blocks.",
        ]
        .map(|prefix| format!("{prefix}{number}.weight"))
    });
    let one = Array { shape: vec![1], values: vec![0.0] };
    for mark in marks {
        let names = mark.iter().map(|&name| name.to_owned()).chain(absurd.iter().flatten().cloned());
        let arrays: StateDict = names.map(|name| (name, one.clone())).collect();
        let Ok(named) = layouts::rename(arrays) else { continue };
        assert!(UNetShape::of(&named.arrays).is_err(), "{mark:?}");
        assert!(AutoencoderShape::of(&named.arrays).is_err() && ConditionShape::of(&named.arrays).is_err(), "{mark:?}");
    }
}

/// One level with one residual block and no middle: a first convolution, the block, a norm, a last convolution.
#[test]
fn the_smallest_autoencoder_of_monai_has_four_blocks() {
    let blocks = [
        "0.conv.weight",
        "0.conv.bias",
        "1.norm1.weight",
        "1.conv1.conv.weight",
        "2.weight",
        "3.conv.weight",
        "3.conv.bias",
    ];
    let halves = ["encoder", "decoder"].map(|half| blocks.map(|name| format!("{half}.blocks.{name}")));
    let quant = ["quant_conv_mu", "quant_conv_log_sigma", "post_quant_conv"];
    let quant = quant.map(|name| [format!("{name}.conv.weight"), format!("{name}.conv.bias")]);
    let one = Array { shape: vec![1], values: vec![0.5] };
    let names = halves.into_iter().flatten().chain(quant.into_iter().flatten());
    let named = layouts::rename(names.map(|name| (name, one.clone())).collect()).unwrap().arrays;
    for (half, levels) in [("encoder", "down_blocks"), ("decoder", "up_blocks")] {
        for part in
            ["conv_in.weight", &format!("{levels}.0.resnets.0.norm1.weight"), "conv_norm_out.weight", "conv_out.bias"]
        {
            assert!(named.contains_key(&format!("{half}.{part}")), "{half}.{part} is missing in {:?}", named.keys());
        }
    }
}

#[test]
fn arrays_without_values_are_named_and_refused() {
    let array = |shape: &[usize]| Array { shape: shape.to_vec(), values: vec![0.5; shape.iter().product()] };
    let unet = || {
        StateDict::from(
            [
                ("time_embedding.linear_1.weight", &[8, 4][..]),
                ("conv_in.weight", &[4, 1, 3, 3]),
                ("down_blocks.0.resnets.0.conv1.weight", &[4, 4, 3, 3]),
                ("conv_out.weight", &[1, 4, 3, 3]),
            ]
            .map(|(name, shape)| (name.to_owned(), array(shape))),
        )
    };
    let whole = layouts::rename(unet()).unwrap();
    assert_eq!(UNetShape::of(&whole.arrays).unwrap().out_channels, 1);
    for (name, shape) in [
        ("conv_out.weight", &[0, 4, 3, 3][..]),
        ("conv_in.weight", &[4, 0, 3, 3]),
        ("down_blocks.0.resnets.0.conv1.weight", &[0, 0, 3, 3]),
        ("some.other.array", &[0]),
    ] {
        let mut arrays = unet();
        arrays.insert(name.to_owned(), array(shape));
        let problem = layouts::rename(arrays.clone()).unwrap_err();
        assert!(problem.contains(&format!("{name} has shape {shape:?}")), "{problem}");
        assert!(problem.contains("sizes above 0") && problem.contains("save the trained network again"), "{problem}");
        // Sizes are not derived from such an array either.
        let shapes = UNetShape::of(&arrays);
        assert_eq!(shapes.is_err(), name != "some.other.array", "{shapes:?}");
    }
}
