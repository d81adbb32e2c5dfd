//! A page of headings, tables, figures and charts: one HTML file that contains its pictures and styles, and neither runs a
//! script nor loads anything.
//!
//! Like the demo's page, it is well-formed XML, and every text from outside is escaped.

use std::path::Path;

use crate::ReportError;
use crate::chart::Chart;
use crate::histogram::HistogramChart;
use crate::markup::escape;
use crate::page::{Figure, NearestSection, Page};
use crate::table::Table;

/// The longest cell that is kept on one line.
const SHORT_CELL: usize = 16;

/// A part of a page.
#[derive(Debug, Clone)]
pub enum Block {
    /// A heading of the second level.
    Heading(String),
    /// A paragraph.
    Paragraph(String),
    /// A sentence that the reader should not miss.
    Warning(String),
    /// A list of sentences.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A table of measures with the definition of its numbers.
    Measures {
        /// The table.
        table: Table,
        /// The definition: number of cases, method, and kind of interval.
        definition: String,
    },
    /// A picture with its caption.
    Figure(Figure),
    /// Histograms side by side.
    Charts(Vec<HistogramChart>),
    /// Curves side by side.
    Curves(Vec<Chart>),
    /// Generated images, each beside its nearest training image.
    Nearest(NearestSection),
    /// Verbatim text that a reader can open; it is closed at first.
    Folded {
        /// The title, which is always shown.
        title: String,
        /// The text.
        text: String,
    },
}

/// A page made of blocks.
#[derive(Debug, Clone)]
pub struct Document {
    /// Title of the page.
    pub title: String,
    /// A sentence under the title that says what the page is about.
    pub lead: String,
    /// The parts, in order.
    pub blocks: Vec<Block>,
    /// The last line.
    pub footer: String,
}

impl Document {
    /// The page as text.
    ///
    /// # Errors
    /// When a picture cannot be encoded.
    pub fn render(&self) -> Result<String, ReportError> {
        let mut page = Page::begin(&self.title);
        page.add(format_args!("<p class=\"lead\">{}</p>\n", escape(&self.lead)));
        for block in &self.blocks {
            render_block(&mut page, block)?;
        }
        Ok(page.end(&self.footer))
    }

    /// Renders the page and writes it, whole or not at all.
    ///
    /// # Errors
    /// When a picture cannot be encoded or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        Ok(pig_files::write(path, self.render()?.as_bytes())?)
    }
}

fn render_block(page: &mut Page, block: &Block) -> Result<(), ReportError> {
    match block {
        Block::Heading(text) => page.heading(&escape(text)),
        Block::Paragraph(text) => page.add(format_args!("<p>{}</p>\n", escape(text))),
        Block::Warning(text) => page.add(format_args!("<p class=\"verdict bad\">{}</p>\n", escape(text))),
        Block::List(items) => {
            page.add(format_args!("<ul>\n"));
            for item in items {
                page.add(format_args!("<li>{}</li>\n", escape(item)));
            }
            page.add(format_args!("</ul>\n"));
        }
        Block::Table(table) => render_table(page, table),
        Block::Measures { table, definition } => {
            page.add(format_args!("<section class=\"measures\">"));
            render_table(page, table);
            page.add(format_args!("<p class=\"small definition\">{}</p></section>\n", escape(definition)));
        }
        Block::Figure(figure) => page.figure(figure)?,
        Block::Charts(charts) => {
            let charts: String = charts.iter().map(HistogramChart::inline_svg).collect();
            page.add(format_args!("<div class=\"charts\">{charts}</div>\n"));
        }
        Block::Curves(charts) => {
            let charts: String = charts.iter().map(Chart::inline_svg).collect();
            page.add(format_args!("<div class=\"charts\">{charts}</div>\n"));
        }
        Block::Nearest(section) => page.nearest(section)?,
        Block::Folded { title, text } => page.add(format_args!(
            "<details><summary>{}</summary><pre>{}</pre></details>\n",
            escape(title),
            escape(text)
        )),
    }
    Ok(())
}

fn render_table(page: &mut Page, table: &Table) {
    page.add(format_args!("<div class=\"scroll\"><table>"));
    if !table.head.is_empty() {
        page.add(format_args!("<thead><tr>"));
        for cell in &table.head {
            page.add(format_args!("<th>{}</th>", escape(cell)));
        }
        page.add(format_args!("</tr></thead>"));
    }
    page.add(format_args!("<tbody>\n"));
    for row in &table.rows {
        page.add(format_args!("<tr>"));
        for (index, cell) in row.iter().enumerate() {
            let number = cell.starts_with(|c: char| c.is_ascii_digit()) && cell.len() <= SHORT_CELL;
            let text = escape(cell);
            match index {
                0 => page.add(format_args!("<th>{text}</th>")),
                _ if number => page.add(format_args!("<td class=\"number\">{text}</td>")),
                _ => page.add(format_args!("<td>{text}</td>")),
            }
        }
        page.add(format_args!("</tr>\n"));
    }
    page.add(format_args!("</tbody></table></div>\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::Canvas;
    use crate::page::NearestPair;
    use crate::picture::Picture;

    #[test]
    fn a_page_is_well_formed_and_escaped() {
        let mark = "<script>alert(1)</script> & \"x\"".to_owned();
        let row = vec![mark.clone(), "12 %".to_owned()];
        let picture = Picture::from_bytes(&[7; 6], 2, 3, 1).unwrap();
        let blocks = vec![
            Block::Heading(mark.clone()),
            Block::Paragraph(mark.clone()),
            Block::Warning(mark.clone()),
            Block::List(vec![mark.clone()]),
            Block::Table(Table { head: row.clone(), rows: vec![row.clone()] }),
            Block::Measures { table: Table { head: row.clone(), rows: vec![row] }, definition: mark.clone() },
            Block::Curves(vec![Chart { title: mark.clone(), ..Chart::default() }]),
            Block::Figure(Figure::new(Canvas::new(3, 2, [9; 3]), mark.clone(), mark.clone())),
            Block::Nearest(NearestSection {
                pairs: vec![NearestPair {
                    name: mark.clone(),
                    generated: picture.clone(),
                    training: picture,
                    distance: 0.5,
                    flipped: true,
                }],
                check: None,
                unit: mark.clone(),
            }),
            Block::Folded { title: mark.clone(), text: mark.clone() },
        ];
        let document = Document { title: mark.clone(), lead: mark.clone(), blocks, footer: mark.clone() };
        let html = document.render().unwrap();
        assert!(!html.contains("<script"));
        let body = html.split_once('\n').unwrap().1;
        let parsed = roxmltree::Document::parse(body).unwrap();
        let count = |name: &str| parsed.descendants().filter(|node| node.has_tag_name(name)).count();
        assert_eq!((count("h1"), count("h2"), count("td"), count("th"), count("img")), (1, 1, 2, 6, 3));
        let texts = parsed.descendants().filter(|node| node.text().is_some_and(|text| text == mark)).count();
        assert!(texts >= 9, "{texts}");
    }
}
