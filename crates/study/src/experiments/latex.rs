//! Tables as LaTeX.

use pig_report::Table;
use pig_train::Result;
use std::path::Path;

/// Writes `table.tex` beside the other forms of a table.
pub(super) fn write_latex(out: &Path, table: &Table, caption: &str, label: &str) -> Result<()> {
    let text = format!("% needs the packages booktabs and inputenc (utf8)\n{}", table.latex(caption, label));
    Ok(pig_files::write(&out.join("table.tex"), text.as_bytes())?)
}
