//! The features by which images are compared.

use crate::{
    Result,
    inception::FeatureNetwork,
    radiomic::{self, Extracted, Region},
};
use pig_data::{DataConfig, Source};

/// The features by which images are compared.
#[derive(Clone, Copy)]
pub enum FeatureKind<'a> {
    /// Features of the FID's Inception network.
    Inception(&'a FeatureNetwork),
    /// Radiomic features of IBSI, standardised with the reference.
    Radiomics(Region),
}

impl FeatureKind<'_> {
    /// The features of a folder's images, resized to `size` (height and width) if one is given.
    pub(crate) fn extract(self, source: Source<'_>, size: Option<[usize; 2]>, data: &DataConfig) -> Result<Extracted> {
        match self {
            Self::Inception(network) => {
                let (ids, features) = network.extract(source, size)?;
                Ok(Extracted { ids, features, left_out: 0 })
            }
            Self::Radiomics(region) => radiomic::extract(source, region, size, data),
        }
    }
}
