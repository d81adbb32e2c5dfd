//! Comparison of sampling with other frameworks: reads initial noise from, and writes whole trajectories to, NumPy archives.
//!
//! Arrays have the axes of other frameworks, [.., channels, height, width]; x is the mask and y the image, as in the paper.

use crate::{Error, Result, samples::Samples};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::write::file_stem;
use pig_diffusion::{noise::Stream, prediction::Estimate, schedule::Schedule, step::Step, timesteps::Transition};
use pig_files::sha256;
use pig_weights::npz::{self, NpyArray, Values};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// x_T and y_T from a file; sample S starts from row S.
#[derive(Clone, Debug)]
pub struct InitialNoise {
    path: PathBuf,
    /// Rows of height * width values; `None` if the file has no x_T.
    x: Option<Vec<Vec<f32>>>,
    /// Rows of height * width * channels values.
    y: Vec<Vec<f32>>,
}

impl InitialNoise {
    /// Reads `y_T` of `[samples, channels, height, width]` and, if the file has it, `x_T` with one channel. Both must have the
    /// sizes [height, width, channels] that the run starts from. Numbers of any type become f32.
    pub fn read(path: &Path, x_size: [usize; 3], y_size: [usize; 3]) -> Result<Self> {
        let mut arrays = npz::read(path)?;
        let bad = |problem: String, advice| Error::BadFile { path: path.to_owned(), problem, advice };
        let y = arrays.remove("y_T").ok_or_else(|| {
            let names: Vec<&str> = arrays.keys().map(String::as_str).collect();
            bad(format!("no array y_T; found {names:?}"), "save y_T, or x_T and y_T")
        })?;
        let x = arrays.remove("x_T");
        if let Some(name) = arrays.keys().next() {
            return Err(bad(format!("has an array {name:?}, expected x_T and y_T"), "save x_T and y_T, or y_T alone"));
        }
        let rows = |name: &str, array: &NpyArray, size| {
            rows(array, size).map_err(|problem| bad(format!("{name} {problem}"), "save normal noise of the run's size"))
        };
        let noise = Self {
            path: path.to_owned(),
            x: x.map(|x| rows("x_T", &x, x_size)).transpose()?,
            y: rows("y_T", &y, y_size)?,
        };
        match &noise.x {
            Some(x) if x.len() != noise.y.len() => {
                let problem = format!("x_T has {} rows and y_T {}, expected the same number", x.len(), noise.y.len());
                Err(bad(problem, "give both for the same samples"))
            }
            _ => Ok(noise),
        }
    }

    /// Number of samples that can start from the noise of a file: the rows of y_T, 0 without a y_T. Sizes are not checked.
    pub fn count(path: &Path) -> Result<usize> {
        Ok(npz::read(path)?.get("y_T").and_then(|y| y.shape.first().copied()).unwrap_or(0))
    }

    /// Refuses samples that have no row.
    pub fn check(&self, seeds: &[u64]) -> Result<()> {
        match seeds.iter().find(|&&seed| seed >= self.y.len() as u64) {
            None => Ok(()),
            Some(seed) => Err(Error::BadFile {
                path: self.path.clone(),
                problem: format!("has {} rows, for the samples from 0 on; sample {seed} was requested", self.y.len()),
                advice: "give a row for each sample, or request other samples with --count or --seeds",
            }),
        }
    }

    /// SHA-256 of the values, which identifies the noise.
    pub fn sha256(&self) -> String {
        let values = self.x.iter().flatten().chain(&self.y).flatten();
        sha256(&values.flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// The start of the chain `stream` for the samples `ids`, `[batch, height, width, channels]`; `None` if the file has none.
    pub(crate) fn start(&self, stream: Stream, ids: &[u64], size: [usize; 3], device: &Device) -> Option<Tensor<4>> {
        let rows = match stream {
            Stream::X => self.x.as_ref()?,
            _ => &self.y,
        };
        let values: Vec<f32> = ids.iter().flat_map(|&id| rows[id as usize].iter().copied()).collect();
        let [height, width, channels] = size;
        Some(Tensor::from_data(TensorData::new(values, [ids.len(), height, width, channels]), device))
    }
}

/// `[samples, channels, height, width]` as one vector of height * width * channels values per sample.
fn rows(array: &NpyArray, [height, width, channels]: [usize; 3]) -> std::result::Result<Vec<Vec<f32>>, String> {
    match array.shape[..] {
        [_, c, h, w] if (c, h, w) == (channels, height, width) => {}
        _ => {
            let found = &array.shape;
            return Err(format!("is of shape {found:?}, expected [samples, {channels}, {height}, {width}]"));
        }
    }
    let values = array.to_f32();
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(format!("holds {value}, expected finite numbers"));
    }
    let pixels = height * width;
    let last_to_first =
        |row: &[f32]| (0..pixels * channels).map(|i| row[i % channels * pixels + i / channels]).collect::<Vec<f32>>();
    Ok(values.chunks_exact((pixels * channels).max(1)).map(last_to_first).collect())
}

/// The input of one evaluation of the networks, and their estimate.
#[derive(Clone, Debug)]
struct Look {
    at: Transition,
    /// [batch, height, width, channels] of both arrays.
    dims: [usize; 4],
    x_t: Vec<f32>,
    x_0: Vec<f32>,
}

/// Records every evaluation in both chains, on the host.
#[derive(Debug, Default)]
pub struct Recorder {
    x: Mutex<Vec<Look>>,
    y: Mutex<Vec<Look>>,
}

/// A step that records its chain.
struct Recorded<'a> {
    step: Box<dyn Step + 'a>,
    looks: &'a Mutex<Vec<Look>>,
}

/// A record is consistent after every statement, so it can be used after a panic of another thread.
fn held(looks: &Mutex<Vec<Look>>) -> MutexGuard<'_, Vec<Look>> {
    looks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Step for Recorded<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let host = |tensor: &Tensor<4>| tensor.to_data_as::<f32>().try_to_vec::<f32>().unwrap_or_default();
        let look = Look { at, dims: x_t.dims(), x_t: host(x_t), x_0: host(&estimate.x_0) };
        held(self.looks).push(look);
        self.step.step(x_t, estimate, at)
    }
}

impl Recorder {
    /// Wraps `step`, so that the chain `stream` is recorded here.
    pub(crate) fn record<'a>(&'a self, step: Box<dyn Step + 'a>, stream: Stream) -> Box<dyn Step + 'a> {
        let looks = if stream == Stream::X { &self.x } else { &self.y };
        Box::new(Recorded { step, looks })
    }

    /// Writes a file such as `arrays/000017.npz` into `out` for each of the samples `ids` of the batch just made, and clears the
    /// record.
    ///
    /// `schedule` is the noise schedule of the sampling; the last argument is [height, width], and the channels of masks and
    /// images.
    pub fn write(
        &self,
        out: &Path,
        ids: &[u64],
        samples: &Samples,
        schedule: &Schedule,
        ([height, width], [classes, channels]): ([usize; 2], [usize; 2]),
    ) -> Result<()> {
        let (x, y) = (std::mem::take(&mut *held(&self.x)), std::mem::take(&mut *held(&self.y)));
        let folder = out.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        for (index, &id) in ids.iter().enumerate() {
            let mut arrays = vec![("synthetic", NpyArray { shape: vec![1], values: Values::U8(vec![1]) })];
            let mut picture = |name, values: Option<&Vec<f32>>, channels| {
                if let Some(values) = values {
                    arrays.push((name, picture_array(values, [height, width, channels])));
                }
            };
            picture("x_0", samples.masks.get(index), classes);
            picture("y_0", samples.images.get(index), channels);
            let moves: Vec<Transition> = if y.is_empty() { &x } else { &y }.iter().map(|look| look.at).collect();
            arrays.push(("t", numbers(Values::I64(moves.iter().map(|at| at.t as i64).collect()))));
            let levels = moves.iter().map(|at| schedule.alpha_bar(at.t)).collect();
            arrays.push(("alpha_bar", numbers(Values::F64(levels))));
            for (names, looks) in [(["x_t", "x_0_hat"], &x), (["y_t", "y_0_hat"], &y)] {
                let Some([_, height, width, channels]) = looks.first().map(|look| look.dims) else { continue };
                let each = height * width * channels;
                let own = |values: &[f32]| values[index * each..(index + 1) * each].to_vec();
                let noisy: Vec<Vec<f32>> = looks.iter().map(|look| own(&look.x_t)).collect();
                let clean: Vec<Vec<f32>> = looks.iter().map(|look| own(&look.x_0)).collect();
                for (name, rows) in names.into_iter().zip([noisy, clean]) {
                    arrays.push((name, steps(&rows, [height, width, channels])));
                }
            }
            let bytes = npz::encode(arrays.iter().map(|(name, array)| (*name, array)));
            pig_files::write(&path(out, id), &bytes)?;
        }
        Ok(())
    }
}

/// The folder of saved arrays within an output folder.
const FOLDER: &str = "arrays";

/// The path of a sample's arrays.
pub fn path(out: &Path, seed: u64) -> PathBuf {
    out.join(FOLDER).join(format!("{}.npz", file_stem(seed)))
}

fn numbers(values: Values) -> NpyArray {
    NpyArray { shape: vec![values.len()], values }
}

/// Rows of height * width * channels values as `[rows, channels, height, width]`.
fn steps(rows: &[Vec<f32>], [height, width, channels]: [usize; 3]) -> NpyArray {
    let pixels = height * width;
    let first_to_last = |row: &Vec<f32>| -> Vec<f32> {
        (0..pixels * channels).map(|i| row[i % pixels * channels + i / pixels]).collect()
    };
    let values: Vec<f32> = rows.iter().flat_map(first_to_last).collect();
    NpyArray::f32(&[rows.len(), channels, height, width], values)
}

/// One picture as `[channels, height, width]`.
fn picture_array(values: &Vec<f32>, size: [usize; 3]) -> NpyArray {
    let mut array = steps(std::slice::from_ref(values), size);
    array.shape.remove(0);
    array
}
