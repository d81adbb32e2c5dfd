//! The page of a demo that is not finished: it is written again and again, and asks its reader's browser to load it again.

use pig_data::{Pixels, png_file::read_png};
use pig_report::{Canvas, DemoPage, Figure, Picture};
use pig_train::{
    Result,
    curves::charts,
    metrics_log,
    observer::{Cache, Event, Observer, warn},
};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The time between two versions of the page.
const EVERY: Duration = Duration::from_secs(5);
/// After how many seconds a browser loads the page again.
const RELOAD: u32 = 5;

/// Passes events on, and writes the page while they come.
pub(super) struct Live<'a> {
    observer: &'a dyn Observer,
    page: PathBuf,
    run: PathBuf,
    /// What was said and shown before the training.
    content: DemoPage,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: String,
    total: usize,
    done: usize,
    written: Option<Instant>,
    has_failed: bool,
}

impl<'a> Live<'a> {
    /// Writes to `page` what `content` holds and what the training in `run` has shown so far.
    pub(super) fn new(
        observer: &'a dyn Observer,
        page: &Path,
        run: &Path,
        content: DemoPage,
        started: Instant,
    ) -> Self {
        let state = Mutex::default();
        Self { observer, page: page.to_owned(), run: run.to_owned(), content, started, state }
    }

    /// Writes the page now.
    fn write(&self, state: &State) -> Result<()> {
        let minutes = self.started.elapsed().as_secs_f64() / 60.0;
        let State { stage, done, total, .. } = state;
        let doing = if stage.is_empty() { String::new() } else { format!(": {stage}, {done} of {total}") };
        let now = format!(
            "After {minutes:.1} minutes{doing}. This page loads itself again every {RELOAD} seconds until the demo is finished."
        );
        let mut page = self.content.clone();
        page.reload_seconds = Some(RELOAD);
        page.summary.insert(0, now);
        if let Some((name, preview)) = newest_preview(&self.run) {
            let caption = format!(
                "The latest preview of the training ({name}): held-out phantoms above, pairs of the networks as they are now below."
            );
            page.contact_sheets.insert(0, Figure::new(preview, caption, "held-out pairs and generated pairs"));
        }
        page.curves = charts(&metrics_log::read(&self.run)?);
        Ok(page.write(&self.page)?)
    }
}

impl Observer for Live<'_> {
    fn event(&self, event: Event) {
        self.observer.event(event.clone());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begin { stage, total, done } => (state.stage, state.total, state.done) = (stage, total, done),
            Event::Progress { done, .. } => state.done = done,
            Event::End => state.stage.clear(),
            Event::Note(_) | Event::Warning(_) => return,
        }
        let is_due = state.written.is_none_or(|written| written.elapsed() >= EVERY);
        if !is_due || state.has_failed {
            return;
        }
        state.written = Some(Instant::now());
        // The pairs do not need this page, so a page that cannot be written ends nothing; it is said once.
        if let Err(error) = self.write(&state) {
            state.has_failed = true;
            drop(state);
            warn(self.observer, format!("the page of the running demo is not written any more: {error}"));
        }
    }

    fn stop_requested(&self) -> bool {
        self.observer.stop_requested()
    }

    fn cache(&self) -> Option<Cache<'_>> {
        self.observer.cache()
    }
}

/// The name and the picture of the newest preview of a run, if there is one that can be read.
fn newest_preview(run: &Path) -> Option<(String, Canvas)> {
    let entries = std::fs::read_dir(run.join("previews")).ok()?;
    let written = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).ok();
    let path = entries.flatten().map(|entry| entry.path()).max_by_key(written)?;
    let picture = read_png(&path).ok()?;
    let Pixels::Eight(values) = picture.pixels else { return None };
    let drawn = Picture::from_bytes(&values, picture.height, picture.width, picture.channels).ok()?;
    let mut canvas = Canvas::new(picture.width, picture.height, [0; 3]);
    canvas.picture((0, 0), &drawn, 1);
    Some((path.file_stem()?.to_string_lossy().into_owned(), canvas))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_train::observer::Silent;

    #[test]
    fn the_page_follows_the_training() {
        let folder = tempfile::tempdir().unwrap();
        let (page, run) = (folder.path().join("index.html"), folder.path().join("run"));
        std::fs::create_dir_all(run.join("previews")).unwrap();
        let live = Live::new(&Silent, &page, &run, DemoPage::default(), Instant::now());
        live.event(Event::Begin { stage: "model_y".to_owned(), total: 40, done: 3 });
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains("model_y") && text.contains("3 of 40"), "{text}");
        assert!(text.contains("http-equiv=\"refresh\" content=\"5\""), "{text}");
        assert!(!text.contains("<figure>") && !text.contains("<svg"), "{text}");
        // Not before its time.
        live.event(Event::Progress { done: 4, message: String::new() });
        assert_eq!(std::fs::read_to_string(&page).unwrap(), text);
        // What the training has written since is shown.
        Canvas::new(4, 4, [9; 3]).write_png(&run.join("previews/model_y-step-000010.png"), &[]).unwrap();
        std::fs::write(run.join("metrics.jsonl"), "{\"network\":\"model_y\",\"step\":10,\"loss\":0.5}\n").unwrap();
        live.state.lock().unwrap().written = None;
        live.event(Event::Progress { done: 11, message: String::new() });
        let text = std::fs::read_to_string(&page).unwrap();
        for part in ["11 of 40", "model_y-step-000010", "<figure>", "<svg"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
