//! Contact sheets: many pairs on one picture, in titled sections such as "real" and "generated".

use crate::ReportError;
use crate::canvas::Canvas;
use crate::font::TextSize;
use crate::picture::Picture;

/// The background: near black, as on a radiologist's screen, but bright enough to show where dark images end.
pub(crate) const GROUND: [u8; 3] = [24, 26, 29];
/// The colour of titles and labels.
pub(crate) const INK: [u8; 3] = [214, 216, 220];
/// The colour of mask outlines of one lesion: orange is visible on gray and on the colours of tissue.
const OUTLINE: [u8; 3] = [255, 153, 0];
/// Space between pictures.
pub(crate) const SPACE: usize = 8;
/// The side of a square in a legend.
const LEGEND_SQUARE: usize = 9;
/// The side that an enlarged picture should have approximately if no scale is given.
const COMFORTABLE_SIDE: usize = 144;

/// How the mask of a pair is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Show {
    /// The image, and beside it the mask in black and white.
    MaskBeside,
    /// The image with the mask's outline drawn on it.
    Outline,
    /// The image as it is, and beside it the image with the outline, so that a reader can first judge without it.
    #[default]
    OutlineBeside,
}

/// A class of lesion in pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassColour {
    /// Its name in the legend.
    pub name: String,
    /// The colour of its outlines.
    pub colour: [u8; 3],
    /// The labels of a label map whose pixels are of this class: one, or several where classes may overlap.
    pub labels: Vec<u8>,
}

/// One pair of a contact sheet.
#[derive(Debug, Clone)]
pub struct PairPicture {
    /// The image.
    pub image: Picture,
    /// Its label map, row-major, one value per pixel of the image: 0 is no lesion, the others are those of the classes.
    pub mask: Vec<u8>,
    /// Drawn under the pair; may be empty.
    pub label: String,
}

/// Pairs under one title.
#[derive(Debug, Clone)]
pub struct Section {
    /// Drawn above the pairs, such as "real" or "generated"; an empty title takes no space.
    pub title: String,
    /// The pairs, in reading order.
    pub pairs: Vec<PairPicture>,
}

/// Layout of a contact sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetStyle {
    /// Pairs in a row.
    pub columns: usize,
    /// Each pixel is drawn as a square with this side; `None` enlarges small pictures to about 144 pixels.
    pub scale: Option<usize>,
    /// How masks are shown.
    pub show: Show,
    /// The classes of lesion, with a legend of their colours; without any, all lesions have one colour and there is no legend.
    pub classes: Vec<ClassColour>,
}

impl Default for SheetStyle {
    fn default() -> Self {
        Self { columns: 4, scale: None, show: Show::default(), classes: Vec::new() }
    }
}

/// Draws a contact sheet. Pictures may differ in size: every cell is as large as the largest.
pub fn contact_sheet(sections: &[Section], style: &SheetStyle) -> Result<Canvas, ReportError> {
    let pairs = || sections.iter().flat_map(|section| &section.pairs);
    for pair in pairs() {
        let expected = pair.image.width() * pair.image.height();
        if pair.mask.len() != expected {
            return Err(ReportError::MaskShape { label: pair.label.clone(), found: pair.mask.len(), expected });
        }
    }
    let widest = pairs().map(|pair| pair.image.width()).max().filter(|&width| width > 0);
    let widest = widest.ok_or(ReportError::Empty { what: "contact sheet" })?;
    let highest = pairs().map(|pair| pair.image.height()).max().unwrap_or(0);
    let scale = style.scale.unwrap_or_else(|| comfortable_scale(widest, highest)).max(1);
    let cells = if style.show == Show::Outline { 1 } else { 2 };
    let label = if pairs().any(|pair| !pair.label.is_empty()) { TextSize::Label.line() } else { 0 };
    let layout = Layout {
        scale,
        picture: (widest * scale, highest * scale),
        pair: (cells * widest * scale + (cells - 1) * (SPACE / 4), highest * scale + label),
        columns: style.columns.max(1),
    };
    let columns = sections.iter().map(|section| section.pairs.len().min(layout.columns)).max().unwrap_or(0);
    let title_width = sections.iter().map(|section| TextSize::Title.width(&section.title)).max().unwrap_or(0);
    let legend = legend_size(&style.classes);
    let width = (columns * (layout.pair.0 + SPACE * 2)).max(title_width + SPACE * 2).max(legend.0);
    let height = SPACE + sections.iter().map(|section| layout.section_height(section)).sum::<usize>() + legend.1;
    let mut canvas = Canvas::new(width, height, GROUND);
    let mut y = SPACE;
    for section in sections {
        draw_section(&mut canvas, y, section, &layout, style);
        y += layout.section_height(section);
    }
    draw_legend(&mut canvas, (SPACE, y), &style.classes);
    Ok(canvas)
}

/// Width and height of the legend of these classes; nothing without classes.
pub(crate) fn legend_size(classes: &[ClassColour]) -> (usize, usize) {
    let width = |class: &ClassColour| LEGEND_SQUARE + SPACE / 2 + TextSize::Label.width(&class.name) + SPACE * 2;
    let height = if classes.is_empty() { 0 } else { TextSize::Label.line() + SPACE };
    (classes.iter().map(width).sum::<usize>(), height)
}

/// Draws a square in the colour of each class, with its name beside it.
pub(crate) fn draw_legend(canvas: &mut Canvas, (mut x, y): (usize, usize), classes: &[ClassColour]) {
    for class in classes {
        canvas.rectangle((x, y + SPACE / 4), (LEGEND_SQUARE, LEGEND_SQUARE), class.colour);
        canvas.text((x + LEGEND_SQUARE + SPACE / 2, y), &class.name, TextSize::Label, INK);
        x += LEGEND_SQUARE + SPACE / 2 + TextSize::Label.width(&class.name) + SPACE * 2;
    }
}

/// The masks of a label map with the colours of their outlines. Without classes, every label is lesion.
pub(crate) fn outlines<'a>(
    labels: &'a [u8],
    classes: &'a [ClassColour],
    one: [u8; 3],
) -> impl Iterator<Item = (Vec<bool>, [u8; 3])> + 'a {
    let of = |class: &ClassColour| labels.iter().map(|label| class.labels.contains(label)).collect();
    let lesion = classes.is_empty().then(|| (labels.iter().map(|&label| label > 0).collect(), one));
    lesion.into_iter().chain(classes.iter().map(move |class| (of(class), class.colour)))
}

/// The largest integer factor, at least 1, that keeps the longer side within a comfortable size.
pub(crate) fn comfortable_scale(width: usize, height: usize) -> usize {
    (COMFORTABLE_SIDE / width.max(height).max(1)).max(1)
}

struct Layout {
    scale: usize,
    /// Width and height of one enlarged picture.
    picture: (usize, usize),
    /// Width and height of a pair with its label.
    pair: (usize, usize),
    columns: usize,
}

impl Layout {
    fn title_height(section: &Section) -> usize {
        if section.title.is_empty() { 0 } else { TextSize::Title.line() + SPACE / 2 }
    }

    fn section_height(&self, section: &Section) -> usize {
        Self::title_height(section) + section.pairs.len().div_ceil(self.columns) * (self.pair.1 + SPACE)
    }
}

fn draw_section(canvas: &mut Canvas, y: usize, section: &Section, layout: &Layout, style: &SheetStyle) {
    canvas.text((SPACE, y), &section.title, TextSize::Title, INK);
    let top = y + Layout::title_height(section);
    for (index, pair) in section.pairs.iter().enumerate() {
        let x = SPACE + index % layout.columns * (layout.pair.0 + SPACE * 2);
        let y = top + index / layout.columns * (layout.pair.1 + SPACE);
        let beside = (x + layout.picture.0 + SPACE / 4, y);
        draw_pair(canvas, (x, y), beside, pair, layout.scale, style);
        let label = TextSize::Label.fitted(&pair.label, layout.pair.0);
        canvas.text((x, y + layout.picture.1), &label, TextSize::Label, INK);
    }
}

fn draw_pair(
    canvas: &mut Canvas,
    at: (usize, usize),
    beside: (usize, usize),
    pair: &PairPicture,
    scale: usize,
    style: &SheetStyle,
) {
    let width = pair.image.width();
    let outlined = |canvas: &mut Canvas, at| {
        for (mask, colour) in outlines(&pair.mask, &style.classes, OUTLINE) {
            canvas.outline(at, &mask, width, scale, colour);
        }
    };
    canvas.picture(at, &pair.image, scale);
    match style.show {
        Show::Outline => outlined(canvas, at),
        Show::OutlineBeside => {
            canvas.picture(beside, &pair.image, scale);
            outlined(canvas, beside);
        }
        Show::MaskBeside => {
            for (index, &label) in pair.mask.iter().enumerate() {
                let corner = (beside.0 + index % width * scale, beside.1 + index / width * scale);
                // Of classes that overlap, the last is shown: a region comes before its parts.
                let class = style.classes.iter().rev().find(|class| class.labels.contains(&label));
                let lesion = if label > 0 { [255; 3] } else { [0; 3] };
                let colour = class.map_or(lesion, |class| class.colour);
                canvas.rectangle(corner, (scale, scale), colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(height: usize, width: usize, channels: usize) -> PairPicture {
        let values: Vec<u8> = (0..height * width * channels).map(|i| (i * 37 % 256) as u8).collect();
        let mask = (0..height * width).map(|i| u8::from(i % width > width / 2 && i / width > height / 2)).collect();
        PairPicture { image: Picture::from_bytes(&values, height, width, channels).unwrap(), mask, label: "7".into() }
    }

    fn sheet(pairs: Vec<PairPicture>, style: &SheetStyle) -> Canvas {
        contact_sheet(&[Section { title: "real".into(), pairs }], style).unwrap()
    }

    #[test]
    fn dimensions_follow_from_the_layout() {
        let style = SheetStyle { columns: 3, scale: Some(2), show: Show::Outline, classes: Vec::new() };
        let canvas = sheet(vec![pair(20, 30, 1); 5], &style);
        // Three columns of 60 + 16; above: 8; title 24; two rows of 40 + 14 + 8.
        assert_eq!((canvas.width(), canvas.height()), (3 * 76, 8 + 24 + 2 * 62));
        let canvas = sheet(vec![pair(20, 30, 1); 5], &SheetStyle { show: Show::MaskBeside, ..style });
        assert_eq!((canvas.width(), canvas.height()), (3 * (60 + 2 + 60 + 16), 8 + 24 + 2 * 62));
    }

    #[test]
    fn image_and_mask_stand_side_by_side_unchanged() {
        let pair = pair(4, 5, 3);
        let style = SheetStyle { columns: 1, scale: Some(3), show: Show::MaskBeside, classes: Vec::new() };
        let canvas = sheet(vec![pair.clone()], &style);
        for y in 0..12 {
            for x in 0..15 {
                let (row, column) = (y / 3, x / 3);
                assert_eq!(canvas.pixel(8 + x, 32 + y), pair.image.pixel(row, column));
                let expected = if pair.mask[row * 5 + column] > 0 { [255; 3] } else { [0; 3] };
                assert_eq!(canvas.pixel(8 + 15 + 2 + x, 32 + y), expected);
            }
        }
    }

    #[test]
    fn the_plain_picture_has_no_outline_and_the_other_has() {
        let style = SheetStyle { columns: 1, scale: Some(4), show: Show::OutlineBeside, classes: Vec::new() };
        let canvas = sheet(vec![pair(8, 8, 1)], &style);
        let orange = |from: usize| (0..32).any(|y| (0..32).any(|x| canvas.pixel(from + x, 32 + y) == OUTLINE));
        assert!(!orange(8));
        assert!(orange(8 + 32 + 2));
    }

    #[test]
    fn each_class_has_its_colour_and_a_place_in_the_legend() {
        let [first, second] = [[86, 180, 233], [240, 228, 66]];
        let class = |name: &str, colour, label| ClassColour { name: name.to_owned(), colour, labels: vec![label] };
        let classes = vec![class("mass", first, 1), class("calcification", second, 2)];
        let mut pair = pair(8, 8, 1);
        pair.mask = (0..64).map(|i| [1, 0, 0, 2][i % 8 / 2] * u8::from((2..6).contains(&(i / 8)))).collect();
        let style = SheetStyle { columns: 1, scale: Some(4), show: Show::Outline, classes };
        let canvas = sheet(vec![pair.clone()], &style);
        let in_picture =
            |colour, from: usize| (0..16).any(|x| (0..32).any(|y| canvas.pixel(8 + from + x, 32 + y) == colour));
        assert!(in_picture(first, 0) && !in_picture(first, 16));
        assert!(in_picture(second, 16) && !in_picture(second, 0));
        let plain = sheet(vec![pair], &SheetStyle { classes: Vec::new(), ..style });
        let (top, height) = (plain.height(), canvas.height());
        assert_eq!(height, top + TextSize::Label.line() + SPACE);
        for colour in [first, second] {
            assert!((0..canvas.width()).any(|x| (top..height).any(|y| canvas.pixel(x, y) == colour)), "the legend");
        }
    }

    #[test]
    fn mixed_sizes_and_colours_share_a_sheet() {
        let canvas = sheet(vec![pair(8, 8, 1), pair(16, 4, 3)], &SheetStyle::default());
        // The longest side is 16, enlarged 9 times to 144.
        assert_eq!(canvas.width(), 2 * (2 * 72 + 2 + 16));
        assert_eq!(comfortable_scale(512, 300), 1);
        assert_eq!(comfortable_scale(64, 64), 2);
    }

    #[test]
    fn nothing_and_misfits_are_refused() {
        let empty = contact_sheet(&[], &SheetStyle::default()).unwrap_err();
        assert!(matches!(empty, ReportError::Empty { .. }));
        let mut wrong = pair(4, 4, 1);
        wrong.mask.pop();
        let error = contact_sheet(&[Section { title: String::new(), pairs: vec![wrong] }], &SheetStyle::default());
        assert!(error.unwrap_err().to_string().contains("mask of `7` has 15 values, but its image has 16 pixels"));
    }

    /// Noise is the hardest case for a PNG: 64 pairs of noise at 64 x 64 must stay under half a megabyte.
    #[test]
    fn a_typical_sheet_is_small() {
        let mut state = 1_u32;
        let mut noise = || {
            let mut pair = pair(64, 64, 1);
            let values: Vec<u8> = (0..64 * 64)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (96 + (state >> 26)) as u8
                })
                .collect();
            pair.image = Picture::from_bytes(&values, 64, 64, 1).unwrap();
            pair
        };
        let pairs = (0..64).map(|_| noise()).collect();
        let canvas = sheet(pairs, &SheetStyle { columns: 8, scale: Some(2), show: Show::Outline, classes: Vec::new() });
        let bytes = canvas.encode_png(&[]).unwrap();
        assert!(bytes.len() < 500_000, "{} bytes", bytes.len());
    }
}
