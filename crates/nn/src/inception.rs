//! The Inception-v3 network whose features the FID compares (Szegedy et al. 2016, in the version of TensorFlow's 2015-12-05 graph).
//!
//! It differs from the published network: average pooling does not count the padding, and the last block uses maximum pooling.
//! Weights come from `pig weights import --kind inception`; the batch normalisation of each convolution is folded into its weights.

use crate::{
    ops::{self, ConvGeometry},
    pass::Precision,
};
use burn::tensor::{
    Device, Tensor, TensorData,
    activation::relu,
    module::{avg_pool2d, max_pool2d},
    ops::{AvgPoolOptions, MaxPoolOptions},
};
use pig_weights::StateDict;
use std::collections::BTreeMap;

/// The height and width of the pictures.
pub const INCEPTION_SIZE: usize = 299;

/// One convolution.
#[derive(Clone, Debug)]
struct Conv {
    weight: Tensor<4>,
    bias: Tensor<1>,
}

/// The network, only for features: it is not trained.
#[derive(Clone, Debug)]
pub struct Inception {
    convs: BTreeMap<String, Conv>,
}

/// The features of a batch, each `[batch, width]`: means over all pixels of the feature map after a pooling layer or a block.
#[derive(Clone, Debug)]
pub struct InceptionFeatures {
    /// After the first pooling.
    pub f64: Tensor<2>,
    /// After the second pooling.
    pub f192: Tensor<2>,
    /// Before the auxiliary classifier (after `Mixed_6e`).
    pub f768: Tensor<2>,
    /// At the end: the features that the FID compares.
    pub f2048: Tensor<2>,
}

/// The name and the shape `[out, in, height, width]` of every convolution.
fn layout() -> Vec<(String, [usize; 4])> {
    let mut convs = vec![
        ("Conv2d_1a_3x3".to_owned(), [32, 3, 3, 3]),
        ("Conv2d_2a_3x3".to_owned(), [32, 32, 3, 3]),
        ("Conv2d_2b_3x3".to_owned(), [64, 32, 3, 3]),
        ("Conv2d_3b_1x1".to_owned(), [80, 64, 1, 1]),
        ("Conv2d_4a_3x3".to_owned(), [192, 80, 3, 3]),
    ];
    let mut block = |name: &str, parts: &[(&str, [usize; 4])]| {
        convs.extend(parts.iter().map(|(part, shape)| (format!("Mixed_{name}.{part}"), *shape)));
    };
    for (name, from, pool) in [("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)] {
        block(
            name,
            &[
                ("branch1x1", [64, from, 1, 1]),
                ("branch5x5_1", [48, from, 1, 1]),
                ("branch5x5_2", [64, 48, 5, 5]),
                ("branch3x3dbl_1", [64, from, 1, 1]),
                ("branch3x3dbl_2", [96, 64, 3, 3]),
                ("branch3x3dbl_3", [96, 96, 3, 3]),
                ("branch_pool", [pool, from, 1, 1]),
            ],
        );
    }
    block(
        "6a",
        &[
            ("branch3x3", [384, 288, 3, 3]),
            ("branch3x3dbl_1", [64, 288, 1, 1]),
            ("branch3x3dbl_2", [96, 64, 3, 3]),
            ("branch3x3dbl_3", [96, 96, 3, 3]),
        ],
    );
    for (name, c) in [("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)] {
        block(
            name,
            &[
                ("branch1x1", [192, 768, 1, 1]),
                ("branch7x7_1", [c, 768, 1, 1]),
                ("branch7x7_2", [c, c, 1, 7]),
                ("branch7x7_3", [192, c, 7, 1]),
                ("branch7x7dbl_1", [c, 768, 1, 1]),
                ("branch7x7dbl_2", [c, c, 7, 1]),
                ("branch7x7dbl_3", [c, c, 1, 7]),
                ("branch7x7dbl_4", [c, c, 7, 1]),
                ("branch7x7dbl_5", [192, c, 1, 7]),
                ("branch_pool", [192, 768, 1, 1]),
            ],
        );
    }
    block(
        "7a",
        &[
            ("branch3x3_1", [192, 768, 1, 1]),
            ("branch3x3_2", [320, 192, 3, 3]),
            ("branch7x7x3_1", [192, 768, 1, 1]),
            ("branch7x7x3_2", [192, 192, 1, 7]),
            ("branch7x7x3_3", [192, 192, 7, 1]),
            ("branch7x7x3_4", [192, 192, 3, 3]),
        ],
    );
    for (name, from) in [("7b", 1280), ("7c", 2048)] {
        block(
            name,
            &[
                ("branch1x1", [320, from, 1, 1]),
                ("branch3x3_1", [384, from, 1, 1]),
                ("branch3x3_2a", [384, 384, 1, 3]),
                ("branch3x3_2b", [384, 384, 3, 1]),
                ("branch3x3dbl_1", [448, from, 1, 1]),
                ("branch3x3dbl_2", [384, 448, 3, 3]),
                ("branch3x3dbl_3a", [384, 384, 1, 3]),
                ("branch3x3dbl_3b", [384, 384, 3, 1]),
                ("branch_pool", [192, from, 1, 1]),
            ],
        );
    }
    convs
}

/// Every array of the network with its shape, as [`Inception::new`] needs them.
pub fn inception_arrays() -> BTreeMap<String, Vec<usize>> {
    let arrays = layout().into_iter().flat_map(|(name, shape)| {
        [(format!("{name}.weight"), shape.to_vec()), (format!("{name}.bias"), vec![shape[0]])]
    });
    arrays.collect()
}

impl Inception {
    /// A network from arrays with the names and shapes of [`inception_arrays`].
    pub fn new(arrays: &StateDict, device: &Device) -> Result<Self, crate::parameters::ParameterError> {
        crate::parameters::check(&inception_arrays(), arrays)?;
        let tensor = |name: String| {
            let array = &arrays[&name];
            TensorData::new(array.values.clone(), array.shape.clone())
        };
        let conv = |name: &str| Conv {
            weight: Tensor::from_data(tensor(format!("{name}.weight")), device),
            bias: Tensor::from_data(tensor(format!("{name}.bias")), device),
        };
        Ok(Self { convs: layout().into_iter().map(|(name, _)| (name.clone(), conv(&name))).collect() })
    }

    /// The features of pictures, `[batch, 299, 299, 3]`, whose values v from 0 to 255 were mapped to (v - 128) / 128.
    pub fn features(&self, x: Tensor<4>) -> InceptionFeatures {
        let x = self.conv("Conv2d_1a_3x3", x, 2, false);
        let x = self.conv("Conv2d_2a_3x3", x, 1, false);
        let x = max_pool(self.conv("Conv2d_2b_3x3", x, 1, true), 2, 0);
        let f64 = mean(&x);
        let x = self.conv("Conv2d_3b_1x1", x, 1, false);
        let x = max_pool(self.conv("Conv2d_4a_3x3", x, 1, false), 2, 0);
        let f192 = mean(&x);
        let x = ["5b", "5c", "5d"].iter().fold(x, |x, name| self.block_a(name, &x));
        let x = self.block_b(&x);
        let x = ["6b", "6c", "6d", "6e"].iter().fold(x, |x, name| self.block_c(name, &x));
        let f768 = mean(&x);
        let x = self.block_d(&x);
        let x = self.block_e("7b", &x, &average_pool(x.clone()));
        let x = self.block_e("7c", &x, &max_pool(x.clone(), 1, 1));
        InceptionFeatures { f64, f192, f768, f2048: mean(&x) }
    }

    /// A convolution and ReLU. With `same`, an odd kernel keeps the size; without it, nothing is padded.
    fn conv(&self, name: &str, x: Tensor<4>, stride: usize, same: bool) -> Tensor<4> {
        let conv = &self.convs[name];
        let [_, _, height, width] = conv.weight.dims();
        let [y, x_pad] = if same { [height / 2, width / 2] } else { [0, 0] };
        let geometry = ConvGeometry { stride, padding: [y, y, x_pad, x_pad] };
        relu(ops::conv2d(x, conv.weight.clone(), conv.bias.clone(), geometry, Precision::F32))
    }

    /// Convolutions of stride 1 that keep the size, one after the other.
    fn chain(&self, block: &str, parts: &[&str], x: &Tensor<4>) -> Tensor<4> {
        parts.iter().fold(x.clone(), |x, part| self.conv(&format!("Mixed_{block}.{part}"), x, 1, true))
    }

    fn block_a(&self, name: &str, x: &Tensor<4>) -> Tensor<4> {
        join(vec![
            self.chain(name, &["branch1x1"], x),
            self.chain(name, &["branch5x5_1", "branch5x5_2"], x),
            self.chain(name, &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], x),
            self.chain(name, &["branch_pool"], &average_pool(x.clone())),
        ])
    }

    fn block_b(&self, x: &Tensor<4>) -> Tensor<4> {
        let double = self.chain("6a", &["branch3x3dbl_1", "branch3x3dbl_2"], x);
        join(vec![
            self.conv("Mixed_6a.branch3x3", x.clone(), 2, false),
            self.conv("Mixed_6a.branch3x3dbl_3", double, 2, false),
            max_pool(x.clone(), 2, 0),
        ])
    }

    fn block_c(&self, name: &str, x: &Tensor<4>) -> Tensor<4> {
        let double = ["branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"];
        join(vec![
            self.chain(name, &["branch1x1"], x),
            self.chain(name, &["branch7x7_1", "branch7x7_2", "branch7x7_3"], x),
            self.chain(name, &double, x),
            self.chain(name, &["branch_pool"], &average_pool(x.clone())),
        ])
    }

    fn block_d(&self, x: &Tensor<4>) -> Tensor<4> {
        let single = self.chain("7a", &["branch3x3_1"], x);
        let seven = self.chain("7a", &["branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3"], x);
        join(vec![
            self.conv("Mixed_7a.branch3x3_2", single, 2, false),
            self.conv("Mixed_7a.branch7x7x3_4", seven, 2, false),
            max_pool(x.clone(), 2, 0),
        ])
    }

    fn block_e(&self, name: &str, x: &Tensor<4>, pooled: &Tensor<4>) -> Tensor<4> {
        let single = self.chain(name, &["branch3x3_1"], x);
        let double = self.chain(name, &["branch3x3dbl_1", "branch3x3dbl_2"], x);
        join(vec![
            self.chain(name, &["branch1x1"], x),
            self.chain(name, &["branch3x3_2a"], &single),
            self.chain(name, &["branch3x3_2b"], &single),
            self.chain(name, &["branch3x3dbl_3a"], &double),
            self.chain(name, &["branch3x3dbl_3b"], &double),
            self.chain(name, &["branch_pool"], pooled),
        ])
    }
}

fn join(parts: Vec<Tensor<4>>) -> Tensor<4> {
    Tensor::cat(parts, 3)
}

/// The means over height and width.
fn mean(x: &Tensor<4>) -> Tensor<2> {
    let [batch, height, width, channels] = x.dims();
    x.clone().reshape([batch, height * width, channels]).mean_dim(1).reshape([batch, channels])
}

/// The maximum of three by three pixels.
fn max_pool(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    let options = MaxPoolOptions::new([3, 3]).with_stride([stride; 2]).with_padding([padding; 2]);
    max_pool2d(x.permute([0, 3, 1, 2]), options).permute([0, 2, 3, 1])
}

/// The mean of three by three pixels, with the same size; pixels outside are not counted.
fn average_pool(x: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions { count_include_pad: false, ..AvgPoolOptions::new([3, 3]) };
    let options = options.with_stride([1, 1]).with_padding([1, 1]);
    avg_pool2d(x.permute([0, 3, 1, 2]), options).permute([0, 2, 3, 1])
}
