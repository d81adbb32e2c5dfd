//! The curves of a run.

use crate::{
    Result,
    metrics_log::{self, Line},
    watch::{EXPECTED, Watched},
};
use pig_report::{Chart, Scale, Series, write_curves};
use std::{collections::BTreeSet, path::Path};

/// Writes curves.svg of a run from its metrics.jsonl.
pub fn write_run_curves(run: &Path) -> Result<()> {
    Ok(write_curves(&run.join("curves.svg"), &charts(&metrics_log::read(run)?))?)
}

/// The charts of a run: training and validation loss, validation by quarter of the timesteps, what the pairs
/// of previews showed, learning rate.
pub fn charts(lines: &[Line]) -> Vec<Chart> {
    let mut networks: Vec<&str> = lines.iter().map(|line| line.network.as_str()).collect();
    networks.dedup();
    let mut charts = Vec::new();
    for network in networks {
        let of = |value: &dyn Fn(&Line) -> Option<f64>| -> Vec<(f64, f64)> {
            let own = lines.iter().filter(|line| line.network == network);
            own.filter_map(|line| Some((line.step as f64, value(line)?))).collect()
        };
        let chart = |title: String, y_label: &str, y_scale, series| Chart {
            title,
            x_label: "optimiser step".to_owned(),
            y_label: y_label.to_owned(),
            y_scale,
            series,
            ..Chart::default()
        };
        let loss = of(&|line| line.loss);
        let window = (loss.len() as f64 / 20.0).max(1.0);
        let mut series = Series::raw_and_smoothed("training", loss, window).to_vec();
        series.push(Series::new("validation", of(&|line| line.validation.map(|v| v.mean))));
        charts.push(chart(format!("{network}: loss"), "loss (mean squared error)", Scale::Log, series));
        let names = ["least noise", "second quarter", "third quarter", "most noise"];
        let quarters = names
            .iter()
            .enumerate()
            .map(|(i, name)| Series::new(*name, of(&move |line| Some(line.validation?.quarters?[i]))));
        if lines.iter().any(|line| line.network == network && line.validation.is_some_and(|v| v.quarters.is_some())) {
            let title = format!("{network}: validation loss by quarter of the timesteps");
            charts.push(chart(title, "loss (mean squared error)", Scale::Log, quarters.collect()));
        }
        let psnr = of(&|line| line.reconstruction.map(|r| r.psnr));
        if !psnr.is_empty() {
            let series = vec![Series::new("held out", psnr)];
            charts.push(chart(format!("{network}: reconstruction"), "PSNR in dB", Scale::Linear, series));
        }
        let watched = |value: fn(&Watched) -> Option<f64>| of(&move |line| value(line.watched.as_ref()?));
        let of_class = |name: &str, value: fn(&Watched) -> Option<f64>| {
            of(&|line| value(line.watched.as_ref()?.classes.get(name)?))
        };
        let own = lines.iter().filter(|line| line.network == network).filter_map(|line| line.watched.as_ref());
        let classes: BTreeSet<&str> = own.flat_map(|watched| watched.classes.keys()).map(String::as_str).collect();
        let contrasts = |generated, shuffled, real| {
            vec![
                Series::new("generated", generated),
                Series::new("generated, shuffled masks", shuffled),
                Series::new("real, held out", real),
            ]
        };
        let contrast = watched(|watched| watched.contrast);
        if !contrast.is_empty() {
            let (shuffled, real) =
                (watched(|watched| watched.contrast_shuffled), watched(|watched| watched.contrast_real));
            let title = format!("{network}: do images fit their masks?");
            let series = contrasts(contrast, shuffled, real);
            charts.push(chart(title, "mean lesion contrast", Scale::Linear, series));
        }
        for &name in &classes {
            let series = contrasts(
                of_class(name, |watched| watched.contrast),
                of_class(name, |watched| watched.contrast_shuffled),
                of_class(name, |watched| watched.contrast_real),
            );
            let title = format!("{network}: do images fit their masks of the class {name}?");
            charts.push(chart(title, "mean contrast of the class", Scale::Linear, series));
        }
        let copies = watched(|watched| watched.suspected_copies);
        if !copies.is_empty() {
            let expected = copies.iter().map(|&(step, _)| (step, EXPECTED)).collect();
            let mut series = vec![Series::new("generated", copies), Series::new("expected without copies", expected)];
            let with = |name: &&str| {
                Series::new(format!("generated, with {name}"), of_class(name, |watched| watched.suspected_copies))
            };
            series.extend(classes.iter().map(with));
            charts.push(chart(
                format!("{network}: copies of training images?"),
                "share suspected",
                Scale::Linear,
                series,
            ));
        }
        let rate = Series::new("learning rate", of(&|line| line.learning_rate));
        charts.push(chart(format!("{network}: learning rate"), "learning rate", Scale::Linear, vec![rate]));
    }
    charts
}
