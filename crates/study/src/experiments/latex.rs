//! Tables as LaTeX.

use pig_report::Table;
use pig_train::Result;
use std::path::Path;

/// A table with its caption and its label.
pub(super) type Captioned<'t> = (&'t Table, &'t str, &'t str);

/// Writes `table.tex` beside the other forms of the tables.
pub(super) fn write_latex(out: &Path, tables: &[Captioned<'_>]) -> Result<()> {
    let mut text = "% needs the packages booktabs and inputenc (utf8)\n".to_owned();
    for (table, caption, label) in tables {
        text += &table.latex(caption, label);
    }
    Ok(pig_files::write(&out.join("table.tex"), text.as_bytes())?)
}
