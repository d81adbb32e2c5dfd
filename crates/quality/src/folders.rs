//! Comparisons of the same folders many times: the features of each folder are extracted only once.

use crate::{
    Result,
    features::FeatureKind,
    inception::{FeatureNetwork, InceptionSettings},
    patients::{groups, of_images},
    radiomic::{Extracted, Region, extractor},
};
use burn::tensor::Device;
use pig_data::{DataConfig, Source};
use pig_metrics::{
    comparison::{Comparison, ComparisonSettings, Floor, compare, compare_above, floor},
    radiomics::standardise,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The region for features without a network.
const REGION: Region = Region::WholeImage;

/// The features of folders of images: Inception features if there are weights, else radiomic features.
pub struct FolderFeatures {
    network: Option<FeatureNetwork>,
    known: BTreeMap<PathBuf, Extracted>,
    /// The floor of each reference. It is expensive to compute, and the same for every set compared with that reference.
    floors: BTreeMap<PathBuf, Option<Floor>>,
}

impl FolderFeatures {
    /// Opens the network if there are settings for it.
    pub fn open(settings: Option<&InceptionSettings>, device: &Device) -> Result<Self> {
        let network = settings.map(|settings| FeatureNetwork::open(settings, device)).transpose()?;
        Ok(Self { network, known: BTreeMap::new(), floors: BTreeMap::new() })
    }

    /// A warning if there are no weights, or if they are not those with which published numbers were computed.
    pub fn warning(&self) -> Option<String> {
        match &self.network {
            Some(network) => network.warning(),
            None => Some(
                "without --weights these are distances of radiomic features, not the FID; they are not comparable with published numbers"
                    .to_owned(),
            ),
        }
    }

    /// Compares `other` (generated images) with `reference` (real images, with patients in its manifest.csv).
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
            compare_above(
                floor,
                &ours.features,
                &theirs.features,
                patients.as_deref(),
                network.extractor(None),
                &settings,
            )?
        } else {
            let (ours, theirs, kept) = standardise(&ours.features, &theirs.features)?;
            compare(&ours, &theirs, patients.as_deref(), extractor(REGION, &kept, None), &settings)?
        };
        Ok(found)
    }

    fn extract(&self, folder: &Path) -> Result<Extracted> {
        let kind = self.network.as_ref().map_or(FeatureKind::Radiomics(REGION), FeatureKind::Inception);
        let data = DataConfig::default();
        kind.extract(Source::all(folder, &data), None, &data)
    }
}
