//! Pictures of the steps of a sampling, which appear while it goes on: the estimates of mask and image, as in Fig. 3.

use crate::{Config, Error, Result};
use burn::tensor::Tensor;
use pig_data::{
    Preparation,
    png_file::write_png,
    preparation::Pixels,
    write::{file_stem, keyword},
};
use pig_diffusion::{noise::Stream, prediction::Estimate, step::Step, timesteps::Transition};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The folder of the steps within an output folder.
pub const FOLDER: &str = "steps";
/// The most steps of a sample that are written; of more, evenly spread ones.
pub const MOST: usize = 50;

/// Writes `steps/SEED/N.png` for the samples of a batch: the estimated mask on the left and the estimated image on the right, or one of them if
/// the other is given. N counts the evaluations of the networks from 1.
#[derive(Debug)]
pub struct StepPictures {
    folder: PathBuf,
    size: [usize; 2],
    channels: usize,
    turns: usize,
    /// The chain that moves last in a turn.
    last: Stream,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ids: Vec<u64>,
    turn: usize,
    masks: Vec<Vec<f32>>,
    error: Option<Error>,
}

/// A step that shows its chain.
struct Shown<'a> {
    step: Box<dyn Step + 'a>,
    stream: Stream,
    pictures: &'a StepPictures,
}

impl StepPictures {
    /// Pictures of samplings with the settings of `config` and so many evaluations, in the folder `out`; `makes_images` is false if images
    /// are given. None if the chains run on latents, which are no pictures.
    pub fn new(config: &Config, out: &Path, turns: usize, makes_images: bool) -> Option<Self> {
        (!config.has_latents()).then(|| Self {
            folder: out.join(FOLDER),
            size: config.data.size,
            channels: config.data.channels.count(),
            turns,
            last: if makes_images { Stream::Y } else { Stream::X },
            state: Mutex::default(),
        })
    }

    /// The samples of the next batch.
    pub(crate) fn begin(&self, ids: &[u64]) {
        *self.state() = State { ids: ids.to_vec(), ..State::default() };
    }

    /// The error of a picture that could not be written, if there was one.
    pub(crate) fn ended(&self) -> Result<()> {
        self.state().error.take().map_or(Ok(()), Err)
    }

    /// Wraps `step`, so that the chain `stream` is shown.
    pub(crate) fn show<'a>(&'a self, step: Box<dyn Step + 'a>, stream: Stream) -> Box<dyn Step + 'a> {
        Box::new(Shown { step, stream, pictures: self })
    }

    /// A state is consistent after every statement, so it can be used after a panic of another thread.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the estimates of a chain: one vector per sample.
    fn take(&self, stream: Stream, rows: Vec<Vec<f32>>) {
        let mut state = self.state();
        if stream == Stream::X {
            state.masks.clone_from(&rows);
        }
        if stream != self.last {
            return;
        }
        state.turn += 1;
        let (turn, images) = (state.turn, if stream == Stream::Y { rows } else { Vec::new() });
        if state.error.is_some() || !is_written(turn, self.turns) {
            return;
        }
        let pictures = (0..state.ids.len()).map(|index| {
            let picture = self.picture(state.masks.get(index), images.get(index));
            (state.ids[index], picture)
        });
        let written =
            pictures.collect::<Vec<_>>().into_iter().try_for_each(|(id, picture)| self.write(id, turn, picture));
        state.error = written.err();
    }

    /// Mask and image side by side: the pixels and their width.
    fn picture(&self, mask: Option<&Vec<f32>>, image: Option<&Vec<f32>>) -> (Vec<u8>, usize) {
        let ([height, width], channels) = (self.size, self.channels);
        // Of several classes the strongest is shown.
        let mask = mask.map(|mask| {
            let classes = (mask.len() / (height * width)).max(1);
            let greatest: Vec<f32> =
                mask.chunks_exact(classes).map(|pixel| pixel.iter().copied().fold(f32::MIN, f32::max)).collect();
            let gray = Preparation::display(&greatest);
            gray.into_iter().flat_map(|value| std::iter::repeat_n(value, channels)).collect::<Vec<u8>>()
        });
        let image = image.map(|image| Preparation::display(image));
        let parts: Vec<Vec<u8>> = mask.into_iter().chain(image).collect();
        let row = width * channels;
        let joined =
            (0..height).flat_map(|y| parts.iter().flat_map(move |part| part[y * row..(y + 1) * row].iter().copied()));
        (joined.collect(), parts.len() * width)
    }

    fn write(&self, id: u64, turn: usize, (pixels, width): (Vec<u8>, usize)) -> Result<()> {
        let folder = self.folder.join(file_stem(id));
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        let path = folder.join(format!("{turn:04}.png"));
        let text = [(keyword::SYNTHETIC, "yes")];
        Ok(write_png(&path, [self.size[0], width], self.channels, &Pixels::Eight(pixels), &text)?)
    }
}

/// Whether the picture of this turn, counted from 1, is among the [`MOST`] of all `turns` that are written. The first and the last always are.
fn is_written(turn: usize, turns: usize) -> bool {
    turns <= MOST || turn == 1 || turn * (MOST - 1) / turns != (turn - 1) * (MOST - 1) / turns
}

impl Step for Shown<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let values = estimate.x_0.to_data_as::<f32>().try_to_vec::<f32>().unwrap_or_default();
        let each = values.len() / estimate.x_0.dims()[0].max(1);
        self.pictures.take(self.stream, values.chunks_exact(each.max(1)).map(<[f32]>::to_vec).collect());
        self.step.step(x_t, estimate, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_so_many_steps_are_written_and_the_ends_always() {
        for turns in [1, 7, MOST, MOST + 1, 99, 1000] {
            let written: Vec<usize> = (1..=turns).filter(|&turn| is_written(turn, turns)).collect();
            assert!(written.len() <= MOST && written.len() >= turns.min(MOST - 1), "{turns}: {}", written.len());
            assert_eq!((written.first(), written.last()), (Some(&1), Some(&turns)));
        }
    }
}
