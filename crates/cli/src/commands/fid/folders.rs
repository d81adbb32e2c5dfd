//! Folders that are compared with each other many times: the features of each are extracted once.

use super::{Extracted, extract, extractor, groups};
use crate::{
    args::{FeatureName, InceptionArgs},
    commands::inception::FeatureNetwork,
};
use burn::tensor::Device;
use pig_data::DataConfig;
use pig_metrics::{
    comparison::{Comparison, ComparisonSettings, Floor, compare, compare_above, floor},
    radiomics::standardise,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The features of folders of images: the Inception's where there are weights, else radiomic ones.
pub(crate) struct FolderFeatures {
    network: Option<FeatureNetwork>,
    known: BTreeMap<PathBuf, Extracted>,
    /// Floors of references, which are dear and the same for everything that is compared with one.
    floors: BTreeMap<PathBuf, Option<Floor>>,
}

impl FolderFeatures {
    /// Opens the network, where there are weights.
    pub(crate) fn open(asked: &InceptionArgs, device: &Device) -> anyhow::Result<Self> {
        let network = asked.weights.as_ref().map(|_| FeatureNetwork::open(asked, device.clone())).transpose()?;
        Ok(Self { network, known: BTreeMap::new(), floors: BTreeMap::new() })
    }

    /// A warning where the weights are not those that published numbers stand on, or where there are none.
    pub(crate) fn warning(&self) -> Option<String> {
        match &self.network {
            Some(network) => network.warning(),
            None => Some(
                "without --weights these are distances of radiomic features, not the FID; they compare with nothing that is published"
                    .to_owned(),
            ),
        }
    }

    /// `other` (generated images) against `reference` (real ones, with patients in its manifest.csv).
    pub(crate) fn compare(&mut self, reference: &Path, other: &Path) -> anyhow::Result<Comparison> {
        for folder in [reference, other] {
            if !self.known.contains_key(folder) {
                let found = self.extract(folder)?;
                self.known.insert(folder.to_owned(), found);
            }
        }
        let (ours, theirs) = (&self.known[reference], &self.known[other]);
        let patients = groups(reference, None, &DataConfig::default())?;
        let patients = patients.map(|groups| groups.of(ours.ids.iter().map(String::as_str))).transpose()?;
        let settings = ComparisonSettings::default();
        let found = if let Some(network) = &self.network {
            let floor = if let Some(&floor) = self.floors.get(reference) {
                floor
            } else {
                let found = floor(&ours.features, patients.as_deref(), &settings)?;
                self.floors.insert(reference.to_owned(), found);
                found
            };
            compare_above(floor, &ours.features, &theirs.features, network.extractor(), &settings)?
        } else {
            let (ours, theirs, kept) = standardise(&ours.features, &theirs.features)?;
            compare(&ours, &theirs, patients.as_deref(), extractor(FeatureName::Radiomics, &kept), &settings)?
        };
        Ok(found)
    }

    fn extract(&self, folder: &Path) -> anyhow::Result<Extracted> {
        let Some(network) = &self.network else {
            return extract(folder, FeatureName::Radiomics, &DataConfig::default());
        };
        let (ids, features) = network.extract(folder)?;
        Ok(Extracted { ids, features, left_out: 0 })
    }
}
