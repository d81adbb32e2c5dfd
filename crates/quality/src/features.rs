//! What images are compared by.

use crate::{
    Result,
    inception::FeatureNetwork,
    radiomic::{self, Extracted, Region},
};
use pig_data::DataConfig;
use std::path::Path;

/// What images are compared by.
#[derive(Clone, Copy)]
pub enum FeatureKind<'a> {
    /// The FID's Inception.
    Inception(&'a FeatureNetwork),
    /// IBSI's radiomics, scaled by the reference.
    Radiomics(Region),
}

impl FeatureKind<'_> {
    /// The features of a folder's images.
    pub(crate) fn extract(self, folder: &Path, data: &DataConfig) -> Result<Extracted> {
        match self {
            Self::Inception(network) => {
                let (ids, features) = network.extract(folder)?;
                Ok(Extracted { ids, features, left_out: 0 })
            }
            Self::Radiomics(region) => radiomic::extract(folder, region, data),
        }
    }
}
