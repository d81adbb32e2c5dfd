//! The page of a boost: the answer, what to do, and the page of its cross-validation.

use super::{
    best::Best,
    forecast::Part,
    plan::{Plan, hours_words},
    verdict::Advice,
};
use crate::{
    crossval::{
        Crossval, Done, PieceKind, Selection, Variant,
        results::{ClassResults, Results},
        text::HEAD,
    },
    report::{self, Request},
    shell::quoted,
    showcase::{Generated, kinds_sheet},
};
use burn::tensor::Device;
use pig_data::PreparedSet;
use pig_quality::curate::Scored;
use pig_report::{Block, Figure, Table};
use pig_train::{Result, observer::Observer};
use serde::Serialize;
use std::path::Path;

/// Pairs that are shown for each end of the order.
const SHOWN: usize = 8;

/// The time that a part took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Taken {
    /// Seconds of the finished pieces.
    pub seconds: f64,
    /// How many pieces are finished.
    pub pieces: usize,
    /// How many of them were interrupted; the time before their last start is not known.
    pub interrupted: usize,
}

/// The time that each part took, in the order of [`Part::ALL`].
///
/// # Errors
/// When a record of a piece cannot be read.
pub(super) fn taken(crossval: &Crossval, folds: usize) -> Result<[Taken; 4]> {
    let mut found = [Taken::default(); 4];
    for fold in 0..folds {
        for piece in crossval.pieces(&Selection { fold: Some(fold), ..Selection::default() })? {
            let part = match piece.kind {
                PieceKind::Segmenter { variant: Variant::Real, .. } => Part::RealSegmenters,
                PieceKind::Segmenter { .. } => Part::PairSegmenters,
                PieceKind::Generator(_) => Part::Generators,
                PieceKind::Curation(_) | PieceKind::Agreement { .. } => Part::Curation,
            };
            if let Some(done) = Done::read(&piece.folder(&crossval.file, crossval.out()))? {
                let own = &mut found[part as usize];
                own.seconds += done.seconds;
                own.pieces += 1;
                own.interrupted += usize::from(!done.at_once);
            }
        }
    }
    Ok(found)
}

/// Forecast and time taken beside each other.
pub(super) fn times(plan: &Plan, taken: &[Taken; 4]) -> Table {
    let row = |name: &str, forecast: f64, own: Taken| {
        let note = match own.interrupted {
            0 => String::new(),
            count => format!("{count} of {} pieces were interrupted; their time before that is not known", own.pieces),
        };
        vec![name.to_owned(), format!("about {}", hours_words(forecast)), hours_words(own.seconds), note]
    };
    let parts = Part::ALL.into_iter().zip(plan.seconds).zip(taken);
    let mut rows: Vec<Vec<String>> = parts.map(|((part, forecast), own)| row(part.words(), forecast, *own)).collect();
    let all = taken.iter().fold(Taken::default(), |sum, own| Taken {
        seconds: sum.seconds + own.seconds,
        pieces: sum.pieces + own.pieces,
        interrupted: sum.interrupted + own.interrupted,
    });
    rows.push(row("together", plan.total(), all));
    Table { head: ["part", "forecast", "taken", ""].map(str::to_owned).to_vec(), rows }
}

/// The rows of each class in one table, beside the verdict, which is one of their mean; nothing if lesions are one.
fn by_class(classes: &[ClassResults]) -> Vec<Block> {
    let rows: Vec<Vec<String>> = classes
        .iter()
        .flat_map(|ClassResults { class, results }| {
            results.table().rows.into_iter().map(move |row| [class.clone()].into_iter().chain(row).collect())
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let head = ["class"].into_iter().chain(HEAD).map(str::to_owned).collect();
    let definition = "Each class alone: only its pixels are lesion. The verdict is one of the mean over classes, in which a slice counts with its mean over \
                      the classes that its prediction or its true mask has; p (Holm) here counts the rows of this table.";
    vec![
        Block::Heading("By class".to_owned()),
        Block::Measures { table: Table { head, rows }, definition: definition.to_owned() },
    ]
}

/// What the page is made of.
pub(super) struct Material<'a> {
    pub(super) plan: &'a Plan,
    pub(super) crossval: &'a Crossval,
    pub(super) results: &'a Results,
    pub(super) advice: &'a Advice,
    pub(super) best: Option<&'a Best>,
    pub(super) taken: &'a [Taken; 4],
}

impl Material<'_> {
    /// Writes the page, unless it is there and only its time would change; says whether it was written.
    ///
    /// # Errors
    /// When results cannot be read, or the page cannot be written.
    pub(super) fn write(&self, data: &Path, page: &Path, device: &Device, observer: &dyn Observer) -> Result<bool> {
        let asked = Request { path: self.crossval.out().to_owned(), data: Some(data.to_owned()), count: 0 };
        let mut document = report::report(&asked, device, observer)?.document;
        let mut blocks = vec![match self.advice {
            Advice::With { .. } => Block::Paragraph(self.advice.reason().to_owned()),
            Advice::Without { .. } => Block::Warning(self.advice.reason().to_owned()),
        }];
        // An answer of pictures whose patients are not known is too good.
        blocks.extend(self.plan.findings.patients.iter().cloned().map(Block::Warning));
        blocks.extend(by_class(&self.results.classes));
        blocks.push(Block::Heading("What to do".to_owned()));
        blocks.push(Block::List(self.steps()));
        blocks.push(Block::Heading("Forecast and time".to_owned()));
        blocks.push(Block::Table(times(self.plan, self.taken)));
        if let Some(share) = self.plan.detectable {
            blocks.push(Block::Paragraph(format!(
                "Before it began, this comparison was expected to find a true gain of {:.1} points of Dice four times in five (at 5 %, uncorrected); \
                 the table below says what it could find in fact.",
                100.0 * share
            )));
        }
        blocks.extend(self.plan.without_lesion().map(|words| Block::Paragraph(format!("{words}."))));
        blocks.extend(self.ends(observer)?);
        blocks.append(&mut document.blocks);
        document.blocks = blocks;
        document.title = format!("Do generated pairs help? {}", self.advice.title());
        document.lead = format!(
            "{} of {} folds were planned, each with {} patients or groups that test; {} hours, planned by {}.",
            self.plan.folds,
            self.crossval.folds.len(),
            self.plan.patients[2],
            self.plan.hours,
            self.plan.program
        );
        let text = document.render()?;
        if pig_files::read_to_string(page).is_ok_and(|before| report::is_same_page(&before, &text)) {
            return Ok(false);
        }
        pig_files::write(page, text.as_bytes())?;
        Ok(true)
    }

    /// What to do, with commands.
    fn steps(&self) -> Vec<String> {
        let path = |path: &Path| quoted(&path.display().to_string());
        let Some(best) = self.best else {
            return vec![
                "Train your segmenter on the real pairs alone. No folder of generated pairs was written.".to_owned(),
                "More patients, longer training of the generator, or another comparison may give another answer: pig boost with more --hours and another --out."
                    .to_owned(),
            ];
        };
        let mut steps = Vec::new();
        if let Some((folder, real)) = &best.joined {
            steps.push(format!(
                "{} holds {real} real pairs and the {} generated ones, ready for any tool. The {} test pairs of fold 0 are not in it.",
                path(folder),
                best.generated,
                self.crossval.folds[0].test.len()
            ));
        }
        steps.push(format!("{} holds the {} generated pairs alone.", path(&best.pairs), best.generated));
        steps.extend(best.problem.iter().map(|problem| format!("They were not joined with the real pairs: {problem}")));
        steps.push(format!("With pig: {}", best.command));
        steps
    }

    /// The generated pairs of fold 0 with which segmenters of real pairs agree most and least.
    fn ends(&self, observer: &dyn Observer) -> Result<Vec<Block>> {
        let Some(made) = self.crossval.measured_pairs(0, 0, observer)? else { return Ok(Vec::new()) };
        let mut order: Vec<(u64, &Scored)> =
            made.seeds.iter().copied().zip(&made.scored).filter(|(_, pair)| pair.area > 0.0).collect();
        order.sort_by(|a, b| b.1.dice.unwrap_or(0.0).total_cmp(&a.1.dice.unwrap_or(0.0)).then(a.0.cmp(&b.0)));
        let shown = SHOWN.min(order.len() / 2);
        if shown == 0 {
            return Ok(Vec::new());
        }
        let read = |pairs: &[(u64, &Scored)]| -> Result<Vec<Generated>> {
            let one = |(seed, pair): &(u64, &Scored)| {
                let name = format!("{seed}: {:.0} %", 100.0 * pair.dice.unwrap_or(0.0));
                let mut read = Generated::read(&made.folder, *seed, &made.preparation)?;
                read.name = name;
                Ok(read)
            };
            pairs.iter().map(one).collect()
        };
        let (first, last) = (read(&order[..shown])?, read(&order[order.len() - shown..])?);
        let set: &PreparedSet = &made.like;
        let sheet =
            kinds_sheet(&[("most agreement", first.as_slice()), ("least agreement", last.as_slice())], set, SHOWN / 2)?;
        Ok(vec![
            Block::Heading("Which pairs were chosen".to_owned()),
            Block::Paragraph(format!(
                "Segmenters of real pairs were asked for the lesion of each generated picture; Dice with the pair's own mask orders the pairs. \
                 {} pairs were made in fold 0, and the training set of chosen pairs has {} of them.",
                made.scored.len(),
                made.chosen
            )),
            Block::Figure(Figure::new(
                sheet,
                "Generated pairs of fold 0 with a lesion, with seed and agreement (Dice): those with the most, and those with the least.",
                "generated pairs with outlined masks, by agreement",
            )),
        ])
    }
}
