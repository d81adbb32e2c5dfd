//! Ten steps of PyTorch's Adam and AdamW, and five of its Muon, with weight decay, from given gradients, in f64.

use safetensors::SafeTensors;

const FILE: &[u8] = include_bytes!("../../../tests/peers/goldens/optimizers.safetensors");

/// The array of this name: `start`, `gradient.STEP`, `adam.STEP` or `adamw.STEP`, with steps from 1 to 10; or `start.SHAPE`,
/// `gradient.SHAPE.STEP` or `muon.SHAPE.STEP` for the shapes 4x9, 9x4 and 6x6, with steps from 1 to 5.
pub(crate) fn read(name: &str) -> Vec<f64> {
    let file = SafeTensors::deserialize(FILE).unwrap();
    let data = file.tensor(name).unwrap().data();
    data.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
}
