//! Tables: for pages, Markdown and LaTeX.

use std::fmt::Write as _;

/// A table: the cells of the head, and rows with the same number of cells. In pages, short cells that start with a digit are
/// kept on one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns; empty for a table without a head.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The table in Markdown, one line per row.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("|{}\n", "---|".repeat(self.head.len()));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{rule}{rows}", line(&self.head))
    }

    /// The table as a LaTeX float with `caption`. It needs the package booktabs, and UTF-8 as the input encoding.
    #[must_use]
    pub fn latex(&self, caption: &str, label: &str) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| latex_escape(cell)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let columns = format!("l{}", "r".repeat(self.head.len().saturating_sub(1)));
        let mut text = String::from("\\begin{table}\n\\centering\n");
        // Writing to a String cannot fail.
        let _ = write!(text, "\\caption{{{}}}\n\\label{{tab:{label}}}\n", latex_escape(caption));
        let _ = write!(text, "\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n", line(&self.head));
        self.rows.iter().for_each(|row| text += &line(row));
        text + "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    }
}

fn latex_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '±' => out.push_str("$\\pm$"),
            '−' => out.push_str("$-$"),
            '<' => out.push_str("$<$"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        Table { head: cells(["arm", "Dice %"]), rows: vec![cells(["pig|x", "60.54 ± 3.21"]), cells(["a_b", "1 & 2"])] }
    }

    #[test]
    fn markdown_keeps_its_columns() {
        assert_eq!(table().markdown(), "| arm | Dice % |\n|---|---|\n| pig\\|x | 60.54 ± 3.21 |\n| a_b | 1 & 2 |\n");
    }

    #[test]
    fn latex_escapes_what_it_would_read() {
        let text = table().latex("100 % of \\x, p < 1", "t");
        assert!(text.contains("\\begin{tabular}{lr}\n\\toprule\narm & Dice \\% \\\\\n\\midrule\n"), "{text}");
        assert!(text.contains("pig|x & 60.54 $\\pm$ 3.21 \\\\\na\\_b & 1 \\& 2 \\\\\n\\bottomrule"), "{text}");
        assert!(text.contains("\\caption{100 \\% of \\textbackslash{}x, p $<$ 1}"), "{text}");
    }
}
