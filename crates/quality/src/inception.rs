//! Inception features of a folder's images.

use crate::{Error, Result, pictures::image_at};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::{Source, read::read_image};
use pig_metrics::{
    comparison::Extractor,
    features::Features,
    inception_preprocess::{INPUT_SIZE, Preprocess},
};
use pig_nn::inception::Inception;
use pig_train::imported::{Description, inception};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Number of pictures in one forward pass.
const BATCH: usize = 16;

/// The layers of the Inception network, named by their number of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layer {
    /// After the first pooling.
    F64,
    /// After the second pooling.
    F192,
    /// Before the auxiliary classifier.
    F768,
    /// At the end; the FID uses this one.
    #[default]
    F2048,
}

impl Layer {
    /// Length of a feature vector.
    pub fn width(self) -> usize {
        match self {
            Self::F64 => 64,
            Self::F192 => 192,
            Self::F768 => 768,
            Self::F2048 => 2048,
        }
    }
}

/// Settings of the Inception network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InceptionSettings {
    /// The folder that `pig weights import --kind inception` wrote.
    pub weights: PathBuf,
    /// How images are brought to the network's input size and scale.
    pub preprocess: Preprocess,
    /// The layer whose features are used.
    pub layer: Layer,
}

/// The network with its settings.
pub struct FeatureNetwork {
    inception: Inception,
    description: Description,
    preprocess: Preprocess,
    layer: Layer,
    device: Device,
}

impl FeatureNetwork {
    /// Reads the network.
    pub fn open(settings: &InceptionSettings, device: &Device) -> Result<Self> {
        let (inception, description) = inception::open(&settings.weights, device)?;
        let &InceptionSettings { preprocess, layer, .. } = settings;
        Ok(Self { inception, description, preprocess, layer, device: device.clone() })
    }

    /// A description of how the features are made, for pictures that are resized to `size` (height and width) first.
    pub fn extractor(&self, size: Option<[usize; 2]>) -> Extractor {
        let scale = match self.preprocess {
            Preprocess::TorchFidelity => "TensorFlow 1's bilinear resize to 299 x 299, (v - 128) / 128",
            Preprocess::PytorchFid => "bilinear resize to 299 x 299, (v - 127.5) / 127.5",
            Preprocess::Antialiased => "bicubic resize with antialiasing to 299 x 299, (v - 128) / 128",
        };
        let first =
            size.map_or(String::new(), |[height, width]| format!("resized to {width} x {height} pixels, then "));
        let word = self.preprocess.word();
        let preprocessing = format!("{first}{word}: {scale}; 8 bit, gray repeated in three channels");
        Extractor::inception(self.layer.width(), self.description.sha256.clone(), preprocessing)
    }

    /// The name of the preprocessing on the command line.
    pub fn preprocess(&self) -> &'static str {
        self.preprocess.word()
    }

    /// Length of a feature vector.
    pub fn width(&self) -> usize {
        self.layer.width()
    }

    /// A warning if the weights are not those with which published numbers were computed.
    pub fn warning(&self) -> Option<String> {
        inception::genuine_source(&self.description).is_none().then(|| {
            "these Inception weights are not from a known file: numbers are not comparable with published ones"
                .to_owned()
        })
    }

    /// Stems and features of a folder's images, resized to `size` (height and width) first if one is given.
    pub fn extract(&self, source: Source<'_>, size: Option<[usize; 2]>) -> Result<(Vec<String>, Features)> {
        self.features(source, size, false)
    }

    /// Features of a folder's images mirrored left to right, in the order of [`Self::extract`].
    pub fn extract_mirrored(&self, source: Source<'_>) -> Result<Features> {
        Ok(self.features(source, None, true)?.1)
    }

    fn features(
        &self,
        source: Source<'_>,
        size: Option<[usize; 2]>,
        mirrored: bool,
    ) -> Result<(Vec<String>, Features)> {
        let images: Vec<(String, PathBuf)> = source.images()?.into_iter().collect();
        if images.len() < 2 {
            return Err(Error::TooFewImages { path: source.folder.to_owned(), found: images.len() });
        }
        let mut values = Vec::with_capacity(images.len() * self.layer.width());
        for batch in images.chunks(BATCH) {
            let inputs: Vec<Vec<f32>> =
                batch.par_iter().map(|(_, path)| self.input(path, size, mirrored)).collect::<Result<_>>()?;
            let shape = [batch.len(), INPUT_SIZE, INPUT_SIZE, 3];
            let x = Tensor::<4>::from_data(TensorData::new(inputs.concat(), shape), &self.device);
            let found = self.inception.features(x);
            let found = match self.layer {
                Layer::F64 => found.f64,
                Layer::F192 => found.f192,
                Layer::F768 => found.f768,
                Layer::F2048 => found.f2048,
            };
            let found: Vec<f32> = found.into_data().try_into_vec().expect("networks compute in f32");
            values.extend(found.into_iter().map(f64::from));
        }
        let ids = images.into_iter().map(|(id, _)| id).collect();
        Ok((ids, Features::new(values, self.layer.width())?))
    }

    fn input(&self, path: &Path, size: Option<[usize; 2]>, mirrored: bool) -> Result<Vec<f32>> {
        let image = image_at(read_image(path, 3)?, size);
        let mut bytes = image.to_8_bits();
        if mirrored {
            let rows = bytes.chunks(3 * image.width);
            bytes = rows.flat_map(|row| row.chunks(3).rev().flatten().copied()).collect();
        }
        Ok(self.preprocess.apply(&bytes, [image.height, image.width], 3))
    }
}
