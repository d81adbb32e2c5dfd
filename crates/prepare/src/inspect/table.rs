//! The report as text for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Problem, Report, Spread};

/// How many lines of a list are shown; the JSON contains all.
const SHOWN: usize = 10;

/// The report as text: lines with a name and a value, then the lists and the notes.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    for (name, value) in facts(report) {
        let _ = writeln!(text, "{name:<18}{value}");
    }
    for (title, lines) in lists(report) {
        let _ = writeln!(text, "\n{title}: {}", lines.len());
        for line in lines.iter().take(SHOWN) {
            let _ = writeln!(text, "  {line}");
        }
        if lines.len() > SHOWN {
            let _ = writeln!(text, "  and {} more (--json lists all)", lines.len() - SHOWN);
        }
    }
    for note in &report.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    text
}

/// The report's numbers as pairs of name and value.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![("layout", report.layout.to_string())];
    let volumes = if report.volumes > 0 { format!(", {} of them volumes", report.volumes) } else { String::new() };
    facts.push(("images", format!("{}{volumes}; {} slices read", report.cases, report.slices)));
    facts.push(("patients", report.patients.map_or("not known".to_owned(), |count| count.to_string())));
    let mut add = |name, counts: String| {
        if !counts.is_empty() {
            facts.push((name, counts));
        }
    };
    add("sizes", counted(&report.sizes));
    add("classes", counted(&report.classes));
    add("sides", counted(&report.sides));
    add("views", counted(&report.views));
    add("spacing (mm)", counted(&report.spacings));
    add("darkest values", spread(report.darkest.as_ref(), ""));
    add("brightest values", spread(report.brightest.as_ref(), ""));
    if let Some(becomes) = &report.colour_becomes {
        add("colour", format!("{} of {} images, {becomes} (prepare.colour)", report.colour, report.cases));
    }
    add("mask values", mask_values(&report.mask_values));
    let class = |(name, count): (&String, &super::ClassCount)| {
        format!("{name}: {} images or slices, {} pixels", count.slices, count.pixels)
    };
    add("mask classes", report.mask_classes.iter().map(class).collect::<Vec<_>>().join(", "));
    add("lesions per image", counted(&report.lesions_per_image));
    add("lesion area", spread(report.lesion_pixels.as_ref(), " pixels"));
    add("", spread(report.lesion_mm2.as_ref(), " mm2"));
    if report.weak_masks > 0 {
        add("weak masks", report.weak_masks.to_string());
    }
    if report.synthetic > 0 {
        add("synthetic", report.synthetic.to_string());
    }
    facts
}

/// The report's lists with their titles, without the empty lists.
pub(super) fn lists(report: &Report) -> Vec<(String, Vec<String>)> {
    let groups = |groups: &[Vec<String>]| groups.iter().map(|group| group.join(", ")).collect::<Vec<_>>();
    let problems = |list: &[Problem]| list.iter().map(told).collect::<Vec<_>>();
    let lists = [
        ("groups of equal images".to_owned(), groups(&report.duplicates)),
        (
            format!("groups of near-duplicates (at most {} of 64 bits differ)", report.near_bits),
            groups(&report.near_duplicates),
        ),
        ("image and mask disagree".to_owned(), problems(&report.mismatches)),
        ("no mask".to_owned(), problems(&report.missing_masks)),
        ("masks that cannot be used as they are".to_owned(), problems(&report.unclear_masks)),
        ("possible burnt-in text".to_owned(), problems(&report.text_suspects)),
        ("unreadable".to_owned(), problems(&report.unreadable)),
    ];
    lists.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

/// A problem's reason, with the file's name unless the reason contains it.
fn told(problem: &Problem) -> String {
    if problem.reason.contains(&problem.file) {
        problem.reason.clone()
    } else {
        format!("{}: {}", problem.file, problem.reason)
    }
}

/// At most eight entries with their counts, the most frequent first.
fn counted<K: std::fmt::Display + Ord>(counts: &BTreeMap<K, usize>) -> String {
    const MOST: usize = 8;
    let mut entries: Vec<_> = counts.iter().collect();
    entries.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let more = entries.len().saturating_sub(MOST);
    let mut words: Vec<String> = entries.iter().take(MOST).map(|(key, count)| format!("{key}: {count}")).collect();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    words.join(", ")
}

fn mask_values(values: &BTreeMap<String, u64>) -> String {
    const MOST: usize = 8;
    let total: u64 = values.values().sum();
    let mut entries: Vec<_> = values.iter().collect();
    entries.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let share = |count: u64| 100.0 * count as f64 / total.max(1) as f64;
    let mut words: Vec<String> =
        entries.iter().take(MOST).map(|(value, count)| format!("{value}: {:.2} %", share(**count))).collect();
    if entries.len() > MOST {
        words.push(format!("{} more", entries.len() - MOST));
    }
    words.join(", ")
}

fn spread(spread: Option<&Spread>, unit: &str) -> String {
    spread.map_or_else(String::new, |s| {
        format!(
            "{} to {}{unit}, median {} (quartiles {} and {})",
            short(s.least),
            short(s.greatest),
            short(s.median),
            short(s.lower),
            short(s.upper)
        )
    })
}

/// Integers in full, other numbers with four significant digits.
fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e9 {
        return format!("{value:.0}");
    }
    let digits = (3 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 8);
    format!("{value:.*}", digits as usize)
}
