//! Inception features of a folder's images, for `pig fid`.

use crate::args::{InceptionArgs, Layer, PreprocessName};
use anyhow::{Context, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::{
    folder::{Kind, pictures},
    read::read_image,
};
use pig_metrics::{
    comparison::Extractor,
    features::Features,
    inception_preprocess::{INPUT_SIZE, Preprocess},
};
use pig_nn::inception::Inception;
use pig_train::imported::{Description, inception};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Pictures of one forward pass.
const BATCH: usize = 16;

/// The network with what was asked of it.
pub(super) struct FeatureNetwork {
    inception: Inception,
    description: Description,
    preprocess: Preprocess,
    layer: Layer,
    device: Device,
}

impl FeatureNetwork {
    /// The network of `--weights`.
    pub(super) fn open(asked: &InceptionArgs, device: Device) -> anyhow::Result<Self> {
        let path = asked.weights.as_ref().context(
            "Inception features need --weights MODEL; make one with pig weights import FILE --kind inception --out MODEL",
        )?;
        let (inception, description) = inception::open(path, &device)?;
        let preprocess = match asked.preprocess {
            PreprocessName::TorchFidelity => Preprocess::TorchFidelity,
            PreprocessName::PytorchFid => Preprocess::PytorchFid,
            PreprocessName::Antialiased => Preprocess::Antialiased,
        };
        Ok(Self { inception, description, preprocess, layer: asked.layer, device })
    }

    /// What made the features.
    pub(super) fn extractor(&self) -> Extractor {
        let scale = match self.preprocess {
            Preprocess::TorchFidelity => "TensorFlow 1's bilinear resize to 299 x 299, (v - 128) / 128",
            Preprocess::PytorchFid => "bilinear resize to 299 x 299, (v - 127.5) / 127.5",
            Preprocess::Antialiased => "bicubic resize with antialiasing to 299 x 299, (v - 128) / 128",
        };
        let preprocessing = format!("{}: {scale}; 8 bit, gray repeated in three channels", self.preprocess.word());
        Extractor::inception(self.layer.width(), self.description.sha256.clone(), preprocessing)
    }

    /// The name of the preprocessing on the command line.
    pub(super) fn preprocess(&self) -> &'static str {
        self.preprocess.word()
    }

    /// Values of a feature vector.
    pub(super) fn width(&self) -> usize {
        self.layer.width()
    }

    /// A warning where the weights are not those that published numbers stand on.
    pub(super) fn warning(&self) -> Option<String> {
        inception::genuine_source(&self.description).is_none().then(|| {
            "these Inception weights are not of a known file: numbers are not comparable with published ones".to_owned()
        })
    }

    /// Stems and features of a folder's images.
    pub(super) fn extract(&self, folder: &Path) -> anyhow::Result<(Vec<String>, Features)> {
        self.features(folder, false)
    }

    /// Features of a folder's images mirrored left to right, in the order of [`Self::extract`].
    pub(super) fn extract_mirrored(&self, folder: &Path) -> anyhow::Result<Features> {
        Ok(self.features(folder, true)?.1)
    }

    fn features(&self, folder: &Path, mirrored: bool) -> anyhow::Result<(Vec<String>, Features)> {
        let images: Vec<(String, PathBuf)> = pictures(folder, Kind::Images)?.into_iter().collect();
        ensure!(
            images.len() > 1,
            "{}: {} image(s), expected at least 2; give more images",
            folder.display(),
            images.len()
        );
        let mut values = Vec::with_capacity(images.len() * self.layer.width());
        for batch in images.chunks(BATCH) {
            let inputs: Vec<Vec<f32>> =
                batch.par_iter().map(|(_, path)| self.input(path, mirrored)).collect::<anyhow::Result<_>>()?;
            let shape = [batch.len(), INPUT_SIZE, INPUT_SIZE, 3];
            let x = Tensor::<4>::from_data(TensorData::new(inputs.concat(), shape), &self.device);
            let found = self.inception.features(x);
            let found = match self.layer {
                Layer::F64 => found.f64,
                Layer::F192 => found.f192,
                Layer::F768 => found.f768,
                Layer::F2048 => found.f2048,
            };
            let found: Vec<f32> = found.into_data().try_into_vec().map_err(|error| anyhow::anyhow!("{error:?}"))?;
            values.extend(found.into_iter().map(f64::from));
        }
        let ids = images.into_iter().map(|(id, _)| id).collect();
        Ok((ids, Features::new(values, self.layer.width())?))
    }

    fn input(&self, path: &Path, mirrored: bool) -> anyhow::Result<Vec<f32>> {
        let image = read_image(path, 3)?;
        let mut bytes = image.to_8_bits();
        if mirrored {
            let rows = bytes.chunks(3 * image.width);
            bytes = rows.flat_map(|row| row.chunks(3).rev().flatten().copied()).collect();
        }
        Ok(self.preprocess.apply(&bytes, [image.height, image.width], 3))
    }
}
