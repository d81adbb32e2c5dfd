//! The font of labels: DejaVu Sans, anti-aliased. `fonts/README.md` gives the origin of its file.
//!
//! Outlines are filled in plain f32 arithmetic without functions of the platform, so that a picture has the same bytes on
//! every machine.

use ab_glyph::{Font as _, FontRef, Glyph, PxScaleFont, ScaleFont as _, point};
use std::sync::LazyLock;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    let file = include_bytes!("../fonts/DejaVuSans-subset.ttf");
    FontRef::try_from_slice(file).expect("the font file of this crate is valid")
});

/// Replaces the text that was cut off.
const ELLIPSIS: char = '…';

/// The number of shades from background to ink. They are few so that pictures with labels stay within the 256 colours of an
/// indexed PNG; more shades would not be visible.
pub(crate) const SHADES: u8 = 15;

/// The size of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextSize {
    /// Labels of pictures.
    Label,
    /// Titles of sections.
    Title,
}

impl TextSize {
    /// Pixels per em. Capitals are 8/11 em high and small letters 6/11 em, so that both end at whole pixels.
    fn em(self) -> f32 {
        match self {
            Self::Label => 11.0,
            Self::Title => 16.5,
        }
    }

    fn font(self) -> PxScaleFont<&'static FontRef<'static>> {
        // The library measures a font by the height of its lines, not by its em.
        let units = FONT.units_per_em().unwrap_or_else(|| FONT.height_unscaled());
        FONT.as_scaled(self.em() * FONT.height_unscaled() / units)
    }

    /// Height of a line in pixels, from the top of accented capitals to the bottom of letters such as g.
    #[must_use]
    pub fn line(self) -> usize {
        let font = self.font();
        (font.ascent().ceil() - font.descent().floor()) as usize
    }

    /// Width of `text` on one line, in pixels.
    #[must_use]
    pub fn width(self, text: &str) -> usize {
        let font = self.font();
        text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum::<f32>().ceil() as usize
    }

    /// `text` if it is at most `room` pixels wide, else as much of its beginning as fits, followed by an ellipsis.
    #[must_use]
    pub fn fitted(self, text: &str, room: usize) -> String {
        if self.width(text) <= room {
            return text.to_owned();
        }
        let cut = |end: usize| format!("{}{ELLIPSIS}", text[..end].trim_end());
        let ends = text.char_indices().rev().map(|(end, _)| end);
        ends.map(cut).find(|cut| self.width(cut) <= room).unwrap_or_default()
    }

    /// Calls `shade` with column, row and shade of every pixel that `text` touches; shades run from 1 to [`SHADES`].
    /// (0, 0) is the upper left corner of the line. Letters may extend beyond their line, so coordinates may be negative.
    pub(crate) fn draw(self, text: &str, mut shade: impl FnMut(i32, i32, u8)) {
        let font = self.font();
        // The baseline lies between pixels, which keeps the lower edges of letters sharp.
        let baseline = font.ascent().ceil();
        let mut x = 0.0;
        for character in text.chars() {
            let id = font.glyph_id(character);
            let glyph: Glyph = id.with_scale_and_position(font.scale(), point(x, baseline));
            x += font.h_advance(id);
            // A space has no outline.
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let (left, top) = (outline.px_bounds().min.x as i32, outline.px_bounds().min.y as i32);
            outline.draw(|column, row, covered| {
                let level = (covered.min(1.0) * f32::from(SHADES)).round() as u8;
                if level > 0 {
                    shade(left + column as i32, top + row as i32, level);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_measured_by_the_font() {
        assert_eq!((TextSize::Label.line(), TextSize::Title.line()), (14, 20));
        assert_eq!(TextSize::Label.width(""), 0);
        // All digits of DejaVu are 1303 of 2048 units wide: 7.0 pixels at 11 pixels per em.
        assert_eq!(TextSize::Label.width("0123456789"), 70);
    }

    #[test]
    fn long_text_ends_in_an_ellipsis_and_fits() {
        let (size, text) = (TextSize::Label, "patient 17, slice 4");
        assert_eq!(size.fitted(text, size.width(text)), text);
        for room in 0..size.width(text) {
            let cut = size.fitted(text, room);
            assert!(size.width(&cut) <= room, "{cut} in {room}");
            assert!(cut.is_empty() || cut.ends_with(ELLIPSIS) && text.starts_with(cut.trim_end_matches(ELLIPSIS)));
        }
        assert_eq!(size.fitted(text, size.width("patient…")), "patient…");
        assert_eq!(size.fitted(text, size.width("patient …")), "patient…");
    }

    #[test]
    fn feet_and_heads_of_letters_are_sharp() {
        for (size, capital) in [(TextSize::Label, 8), (TextSize::Title, 12)] {
            let mut rows = std::collections::BTreeMap::new();
            size.draw("H", |_, row, shade| *rows.entry(row).or_insert(0) += u32::from(shade));
            let shades: Vec<u32> = rows.values().copied().collect();
            assert_eq!(rows.len(), capital);
            // The lower ends are as dark as the stems above them.
            assert_eq!(shades[0], shades[1]);
            assert_eq!(shades[capital - 1], shades[capital - 2]);
        }
    }

    /// Every character of the font in both sizes. This detects a font, a compiler or a machine that fills outlines differently.
    #[test]
    fn letters_are_the_same_on_every_machine() {
        let text: String = (' '..='ÿ').chain("–—‘’“”…−∞≈≤≥".chars()).collect();
        let mut drawn = Vec::new();
        for size in [TextSize::Label, TextSize::Title] {
            size.draw(&text, |x, y, shade| {
                drawn.extend([x.to_le_bytes(), y.to_le_bytes(), i32::from(shade).to_le_bytes()].concat());
            });
        }
        let sha256 = pig_files::sha256(&drawn);
        assert_eq!(sha256, "27402214b5dc2469b1d5f14d8764f6a86ba5f20870ea5f721c82a9af256622cb");
    }
}
