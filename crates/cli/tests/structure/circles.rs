//! Circles (cycles of dependencies) among files, and how they are printed.

use crate::imports::Edges;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The circles. Each is the sorted list of files that all need each other, directly or through other files (Tarjan's algorithm).
pub(crate) fn circles(edges: &Edges) -> Vec<Vec<String>> {
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges.keys() {
        needs.entry(from).or_default().push(to);
    }
    let mut search =
        Search { needs: &needs, index: BTreeMap::new(), low: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for file in needs.keys() {
        if !search.index.contains_key(file) {
            search.visit(file);
        }
    }
    search.found.sort();
    search.found
}

struct Search<'a> {
    needs: &'a BTreeMap<&'a str, Vec<&'a str>>,
    index: BTreeMap<&'a str, usize>,
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<Vec<String>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, file: &'a str) {
        let index = self.index.len();
        self.index.insert(file, index);
        self.stack.push(file);
        let mut low = index;
        for &other in self.needs.get(file).into_iter().flatten() {
            if !self.index.contains_key(other) {
                self.visit(other);
                low = low.min(self.low[other]);
            } else if self.stack.contains(&other) {
                low = low.min(self.index[other]);
            }
        }
        self.low.insert(file, low);
        if low == index {
            let start =
                self.stack.iter().position(|&on| on == file).expect("a file is on the stack while it is visited");
            let mut circle: Vec<String> = self.stack.drain(start..).map(str::to_owned).collect();
            circle.sort();
            if circle.len() > 1 {
                self.found.push(circle);
            }
        }
    }
}

/// A circle for a reader: its files, and each edge within it with an example.
pub(crate) fn describe(name: &str, circle: &[String], edges: &Edges) -> String {
    let files: BTreeSet<&String> = circle.iter().collect();
    let mut text = format!("{name}: {} files need each other: {}\n", circle.len(), circle.join(", "));
    for ((from, to), example) in edges {
        if files.contains(from) && files.contains(to) {
            let more = if example.places > 1 { format!(" and {} more", example.places - 1) } else { String::new() };
            writeln!(text, "  {from} -> {to} (line {}: {}{more})", example.line, example.text)
                .expect("writing to a string cannot fail");
        }
    }
    text
}
