//! Folders that are compared with each other many times: the features of each are extracted once.

use crate::{
    Result,
    features::FeatureKind,
    inception::{FeatureNetwork, InceptionSettings},
    patients::{groups, of_images},
    radiomic::{Extracted, Region, extractor},
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

/// What images are compared by without a network.
const REGION: Region = Region::WholeImage;

/// The features of folders of images: the Inception's where there are weights, else radiomic ones.
pub struct FolderFeatures {
    network: Option<FeatureNetwork>,
    known: BTreeMap<PathBuf, Extracted>,
    /// Floors of references, which are dear and the same for everything that is compared with one.
    floors: BTreeMap<PathBuf, Option<Floor>>,
}

impl FolderFeatures {
    /// Opens the network, where there is one.
    pub fn open(settings: Option<&InceptionSettings>, device: &Device) -> Result<Self> {
        let network = settings.map(|settings| FeatureNetwork::open(settings, device)).transpose()?;
        Ok(Self { network, known: BTreeMap::new(), floors: BTreeMap::new() })
    }

    /// A warning where the weights are not those that published numbers stand on, or where there are none.
    pub fn warning(&self) -> Option<String> {
        match &self.network {
            Some(network) => network.warning(),
            None => Some(
                "without --weights these are distances of radiomic features, not the FID; they compare with nothing that is published"
                    .to_owned(),
            ),
        }
    }

    /// `other` (generated images) against `reference` (real ones, with patients in its manifest.csv).
    pub fn compare(&mut self, reference: &Path, other: &Path) -> Result<Comparison> {
        for folder in [reference, other] {
            if !self.known.contains_key(folder) {
                let found = self.extract(folder)?;
                self.known.insert(folder.to_owned(), found);
            }
        }
        let (ours, theirs) = (&self.known[reference], &self.known[other]);
        let patients = groups(reference, None, &DataConfig::default())?;
        let patients = of_images(patients.as_ref(), &ours.ids)?;
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
            compare(&ours, &theirs, patients.as_deref(), extractor(REGION, &kept), &settings)?
        };
        Ok(found)
    }

    fn extract(&self, folder: &Path) -> Result<Extracted> {
        let kind = self.network.as_ref().map_or(FeatureKind::Radiomics(REGION), FeatureKind::Inception);
        kind.extract(folder, &DataConfig::default())
    }
}
