//! What a data folder holds, in a few words: for somebody who has no configuration yet.

use std::collections::BTreeMap;
use std::fmt;

use rayon::prelude::*;

use crate::channels::Channels;
use crate::colour::Colours;
use crate::columns::GroupSource;
use crate::config::{DataConfig, Resize};
use crate::discover::Dataset;
use crate::error::Result;
use crate::read::read_header;

/// How many sizes are listed; the others are counted.
const LISTED_SIZES: usize = 3;

/// What a data folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// How many pairs there are.
    pub pairs: usize,
    /// How many patients or groups.
    pub groups: usize,
    /// What a split keeps together.
    pub by: GroupSource,
    /// How many images are in colour.
    pub colours: Colours,
    /// Images by size: height and width.
    pub sizes: BTreeMap<[usize; 2], usize>,
    /// Images by their bits in each channel.
    pub bits: BTreeMap<u8, usize>,
}

impl Survey {
    /// Looks at all images of a data set.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn of(dataset: &Dataset) -> Result<Self> {
        let headers = dataset.pairs.par_iter().map(|pair| read_header(&pair.image)).collect::<Result<Vec<_>>>()?;
        let (mut sizes, mut bits) = (BTreeMap::new(), BTreeMap::new());
        for header in &headers {
            *sizes.entry([header.height, header.width]).or_default() += 1;
            *bits.entry(header.bit_depth).or_default() += 1;
        }
        Ok(Self {
            pairs: dataset.len(),
            groups: dataset.group_count(),
            by: dataset.group_source.clone(),
            colours: Colours::of(dataset.pairs.iter().map(|pair| pair.image.as_path()))?,
            sizes,
            bits,
        })
    }

    /// The configuration that these data give `config`: the number of channels, and the column of the groups.
    #[must_use]
    pub fn decided(&self, config: &DataConfig) -> DataConfig {
        let mut config = config.clone();
        if config.channels == Channels::Auto {
            config.channels = Channels::Count(self.colours.channels());
        }
        config
    }

    /// The section `[data]` of a configuration for these data, as TOML, with the size of `config`.
    pub fn section(&self, config: &DataConfig) -> String {
        let [height, width] = config.size;
        let size = if height == width { height.to_string() } else { format!("[{height}, {width}]") };
        let mut lines = vec!["[data]".to_owned(), format!("size = {size}")];
        lines.push(format!("channels = {}", self.decided(config).channels));
        if let GroupSource::Column(name) = &self.by {
            lines.push(format!("group_column = {name:?}"));
        }
        let is_distorted = |[h, w]: &[usize; 2]| h * width != w * height;
        if config.resize == Resize::Stretch && self.sizes.keys().any(is_distorted) {
            lines.push(
                "resize = \"pad\" # the images have other proportions; without this line they are stretched".to_owned(),
            );
        }
        lines.join("\n")
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Colours { coloured, total } = self.colours;
        let kind = match coloured {
            0 => "gray".to_owned(),
            _ if coloured == total => "RGB".to_owned(),
            _ => format!("{coloured} RGB and {} gray", total - coloured),
        };
        let mut sizes: Vec<(&[usize; 2], &usize)> = self.sizes.iter().collect();
        sizes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut listed: Vec<String> =
            sizes.iter().take(LISTED_SIZES).map(|([height, width], _)| format!("{width}x{height}")).collect();
        if sizes.len() > LISTED_SIZES {
            listed.push(format!("{} other sizes", sizes.len() - LISTED_SIZES));
        }
        let bits: Vec<String> = self.bits.keys().map(|bits| format!("{bits} bits")).collect();
        write!(f, "{} pairs, {kind}, {}, {}", self.pairs, listed.join(" or "), bits.join(" and "))?;
        match &self.by {
            GroupSource::Column(name) => write!(f, ", column {name} with {} groups", self.groups)?,
            GroupSource::Image => f.write_str(", no column that groups them")?,
        }
        if self.by.names_patients() { Ok(()) } else { f.write_str(", no patients") }
    }
}
