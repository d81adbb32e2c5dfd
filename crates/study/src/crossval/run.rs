//! Runs the unfinished pieces of a cross-validation.

use crate::crossval::{
    fold::{FoldData, check_unchanged},
    open::{Crossval, Selection},
    piece::{Piece, PieceKind},
    results::Results,
};
use burn::tensor::Device;
use pig_train::{
    Result,
    observer::{Observer, Outcome, note},
};
use std::collections::BTreeSet;

impl Crossval {
    /// Whether all selected pieces are finished.
    ///
    /// # Errors
    /// When a piece was finished with another split or with other settings.
    pub fn is_finished(&self, selection: &Selection) -> Result<bool> {
        let mut is_finished = true;
        for piece in self.pieces(selection)? {
            is_finished &= self.finished(piece)?.is_some();
        }
        Ok(is_finished)
    }

    /// Runs the selected pieces that are not finished, and the pieces that they need. Then writes the results of all finished pieces.
    ///
    /// # Errors
    /// When a piece was finished with another split or with other settings, or images or masks of a selected fold have changed since.
    pub fn run(&self, selection: &Selection, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
        let mut data: Option<FoldData<'_>> = None;
        let pieces = self.pieces(selection)?;
        let mut unread: BTreeSet<usize> = pieces.iter().map(|piece| piece.fold).collect();
        for piece in pieces {
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
            unread.remove(&piece.fold);
            note(observer, format!("fold {}: {}{}", piece.fold, piece.label(&self.file), seed_words(piece)));
            let outcome = match piece.kind {
                PieceKind::Generator(which) => fold.generator(which, device, observer)?,
                PieceKind::Segmenter { variant, seed } => fold.segmenter(variant, seed, device, observer)?,
                PieceKind::Curation(which) => fold.curation(which, device, observer)?,
                PieceKind::Agreement { arm, seed } => fold.agreement(arm, seed, device, observer)?,
            };
            if outcome == Outcome::Interrupted {
                return Ok(outcome);
            }
        }
        // Of folds without anything to do, no picture was read.
        for fold in unread {
            check_unchanged(self, fold, observer)?;
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
