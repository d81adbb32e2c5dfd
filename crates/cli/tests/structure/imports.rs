//! Which files of a crate need which other files.

use crate::modules::{Crate, Import, Mention};
use std::collections::BTreeMap;

/// For each pair of files of which the first needs the second: the first line that shows it, the text of that line, and the number of such
/// places.
pub(crate) type Edges = BTreeMap<(String, String), Example>;

/// The first place where a file needs another.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) places: usize,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// An item of this module.
    Item {
        module: usize,
        is_trait: bool,
    },
}

/// The edges of a crate. A file does not need its child module because it declares it or re-exports from it.
pub(crate) fn edges(read: &Crate) -> Edges {
    let mut edges = Edges::new();
    for import in &read.imports {
        let word = if import.is_reexport { "pub use" } else { "use" };
        let star = if import.name.is_none() { "::*" } else { "" };
        let text = format!("{word} {}{star}", import.path.join("::"));
        for target in read.resolve(import.module, &import.path, &mut Vec::new()) {
            if read.counts(import, target) {
                add(&mut edges, read, import.module, target, (import.line, &text));
            }
        }
    }
    for mention in read.mentions.iter().filter(|mention| mention.is_item) {
        for target in read.mentioned(mention) {
            add(&mut edges, read, mention.module, target, (mention.line, &mention.path.join("::")));
        }
    }
    edges
}

fn add(edges: &mut Edges, read: &Crate, from: usize, target: Target, (line, text): (usize, &str)) {
    let files = (read.modules[from].file.clone(), read.modules[target.module()].file.clone());
    if files.0 == files.1 {
        return;
    }
    let example = edges.entry(files).or_insert_with(|| Example { line, text: text.to_owned(), places: 0 });
    example.places += 1;
    if line < example.line {
        (example.line, example.text) = (line, text.to_owned());
    }
}

impl Target {
    fn module(self) -> usize {
        match self {
            Self::Module(module) | Self::Item { module, .. } => module,
        }
    }
}

impl Crate {
    /// Whether an import alone makes its file need the target, whatever the code then does with the name.
    fn counts(&self, import: &Import, target: Target) -> bool {
        let file = &self.modules[import.module].file;
        let is_below = self.ancestors(target.module()).any(|module| self.modules[module].file == *file);
        let Some(name) = &import.name else {
            return !(is_below && import.is_reexport);
        };
        let mut mentions = self.mentions.iter().filter(|mention| self.modules[mention.module].file == *file);
        match target {
            // Paths through an imported module count themselves.
            Target::Module(_) if mentions.any(|mention| mention.path.len() > 1 && mention.path[0] == *name) => false,
            Target::Module(_) => !(is_below && import.is_reexport),
            Target::Item { .. } if !is_below => true,
            // If the file mentions the name, its mentions count themselves; if not, only child modules use the name, through `super`.
            Target::Item { .. } if import.is_reexport => false,
            Target::Item { is_trait, .. } => is_trait || mentions.any(|mention| mention.path[0] == *name),
        }
    }

    /// The targets of a path in code. If there are items, only they count: code that consists of the name of a module only names a value.
    fn mentioned(&self, mention: &Mention) -> Vec<Target> {
        let mut targets = self.resolve(mention.module, &mention.path, &mut Vec::new());
        let has_item = targets.iter().any(|target| matches!(target, Target::Item { .. }));
        targets.retain(|target| matches!(target, Target::Item { .. }) || (!has_item && mention.path.len() > 1));
        targets
    }

    /// A module and all modules around it.
    fn ancestors(&self, module: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(module), |&module| self.modules[module].parent)
    }

    /// The targets of a path in a module. Paths of other crates have no targets. `under_way` holds the imports that are being followed.
    fn resolve(&self, module: usize, path: &[String], under_way: &mut Vec<usize>) -> Vec<Target> {
        let mut found = match path[0].as_str() {
            "crate" => self.ancestors(module).last().map(Target::Module).into_iter().collect(),
            "self" => vec![Target::Module(module)],
            "super" => self.modules[module].parent.map(Target::Module).into_iter().collect(),
            name => self.lookup(module, name, under_way),
        };
        for name in &path[1..] {
            let Some(module) = found.iter().find_map(|target| match target {
                Target::Module(module) => Some(*module),
                Target::Item { .. } => None,
            }) else {
                // A variant, an associated item, or another crate.
                break;
            };
            found = match name.as_str() {
                "super" => self.modules[module].parent.map(Target::Module).into_iter().collect(),
                name => self.lookup(module, name, under_way),
            };
            if found.is_empty() {
                // A macro may have defined the name.
                return vec![Target::Item { module, is_trait: false }];
            }
        }
        found
    }

    /// The targets of a name in a module. A module and a function may have the same name.
    fn lookup(&self, module: usize, name: &str, under_way: &mut Vec<usize>) -> Vec<Target> {
        let Some(place) = self.modules.get(module) else { return Vec::new() };
        let child = place.children.get(name).map(|&child| Target::Module(child));
        let item = place.items.get(name).map(|&is_trait| Target::Item { module, is_trait });
        let mut found: Vec<Target> = child.into_iter().chain(item).collect();
        for (index, import) in self.imports.iter().enumerate() {
            if import.module == module && import.name.as_deref() == Some(name) && !under_way.contains(&index) {
                under_way.push(index);
                found.extend(self.resolve(module, &import.path, under_way));
                under_way.pop();
            }
        }
        if !found.is_empty() {
            return found;
        }
        for (index, import) in self.imports.iter().enumerate() {
            if import.module == module && import.name.is_none() && !under_way.contains(&index) {
                under_way.push(index);
                for target in self.resolve(module, &import.path, under_way) {
                    if let Target::Module(inside) = target {
                        found.extend(self.lookup(inside, name, under_way));
                    }
                }
                under_way.pop();
            }
        }
        found
    }
}
