//! Runs the unfinished pieces of a cross-validation.

use crate::crossval::{
    fold::FoldData,
    open::{Crossval, Selection},
    piece::{Piece, PieceKind},
    results::Results,
};
use burn::tensor::Device;
use pig_train::{
    Result,
    observer::{Observer, Outcome, note},
};

impl Crossval {
    /// Runs the selected pieces that are not finished, and the pieces that they need. Then writes the results of all finished pieces.
    pub fn run(&self, selection: &Selection, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
        let mut data: Option<FoldData<'_>> = None;
        for piece in self.pieces(selection)? {
            if self.finished(piece)?.is_some() {
                continue;
            }
            if observer.stop_requested() {
                return Ok(Outcome::Interrupted);
            }
            let fold = match data.take().filter(|data| data.number == piece.fold) {
                Some(fold) => fold,
                None => FoldData::read(self, piece.fold, observer)?,
            };
            let fold = data.insert(fold);
            note(observer, format!("fold {}: {}{}", piece.fold, piece.label(&self.file), seed_words(piece)));
            let outcome = match piece.kind {
                PieceKind::Generator { arm } => fold.generator(arm, device, observer)?,
                PieceKind::Segmenter { variant, seed } => fold.segmenter(variant, seed, device, observer)?,
                PieceKind::Curation { arm } => fold.curation(arm, device, observer)?,
                PieceKind::Agreement { arm, seed } => fold.agreement(arm, seed, device, observer)?,
            };
            if outcome == Outcome::Interrupted {
                return Ok(outcome);
            }
        }
        self.results()?.write(&self.out)?;
        Ok(Outcome::Finished)
    }

    /// The results of all finished pieces.
    pub fn results(&self) -> Result<Results> {
        Results::read(self)
    }
}

fn seed_words(piece: Piece) -> String {
    piece.seed().map(|seed| format!(", seed {seed}")).unwrap_or_default()
}
