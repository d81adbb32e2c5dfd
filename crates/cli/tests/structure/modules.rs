//! The modules of one crate: what each declares, imports and mentions.

use crate::tokens::{Kind, Token, behind_bracket, tokens};
use std::collections::BTreeMap;

/// Sources by path, as `train/mod.rs`, relative to the folder `src` of a crate.
pub(crate) type Sources = BTreeMap<String, String>;

/// A crate, as its modules declare it.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    pub(crate) modules: Vec<Module>,
    pub(crate) imports: Vec<Import>,
    pub(crate) mentions: Vec<Mention>,
    /// Where modules and files do not match.
    pub(crate) problems: Vec<String>,
}

/// One module: a file, or a `mod name { .. }` within one.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// What is defined here, and whether it is a trait.
    pub(crate) items: BTreeMap<String, bool>,
    /// The folder that holds the files of its children, empty or with a slash at its end.
    folder: String,
    in_test: bool,
}

/// One name that a `use` brings into a module.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) module: usize,
    /// None for `*`.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// Whether it has any `pub`.
    pub(crate) is_reexport: bool,
}

/// A path in code.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) module: usize,
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// Whether it can only be the name of an item: several segments, a call, a macro, a type or a constant.
    pub(crate) is_item: bool,
}

impl Crate {
    /// Reads the module trees of `lib.rs`, `main.rs` and `bin`.
    pub(crate) fn read(sources: &Sources) -> Self {
        let mut found = Self::default();
        for file in sources.keys() {
            let in_bin =
                file.strip_prefix("bin/").is_some_and(|rest| !rest.contains('/') || rest.ends_with("/main.rs"));
            if file == "lib.rs" || file == "main.rs" || in_bin {
                let folder = file.rfind('/').map_or("", |slash| &file[..=slash]).to_owned();
                let root = found.add(Module::new(file, None, folder, false));
                found.read_file(sources, root);
            }
        }
        for file in sources.keys() {
            // Such a file is not compiled, and this test does not read it.
            if !found.modules.iter().any(|module| module.file == *file) {
                found.problems.push(format!("no `mod` leads to the file {file}: declare or delete it"));
            }
        }
        found
    }

    fn add(&mut self, module: Module) -> usize {
        self.modules.push(module);
        self.modules.len() - 1
    }

    fn read_file(&mut self, sources: &Sources, root: usize) {
        let file = self.modules[root].file.clone();
        let tokens = tokens(&sources[&file]);
        // The modules that are open, each with the depth of braces inside it.
        let mut open = vec![(root, 0)];
        let mut depth = 0;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let (module, base) = open[open.len() - 1];
            let next = |text| tokens.get(at + 1).is_some_and(|token: &Token| token.is(text));
            if token.is("{") {
                depth += 1;
            } else if token.is("}") {
                depth -= 1;
                if depth < base {
                    open.pop();
                }
            } else if token.is("#") {
                self.attribute(&tokens, at, module);
            } else if token.is("mod") && tokens.get(at + 1).is_some_and(Token::is_word) {
                let child = self.child(sources, module, &tokens[at + 1], &tokens[at + 2]);
                if tokens[at + 2].is("{") {
                    depth += 1;
                    open.push((child, depth));
                }
                at += 2;
            } else if token.is("use") && !next("<") {
                at = self.import(&tokens, at, module);
            } else if token.is("(") && next("in") {
                // `pub(in crate::a)` is not a dependency.
                at = behind_bracket(&tokens, at) - 1;
            } else if let Some(name) = definition(&tokens, at) {
                if depth == base && !token.in_test {
                    self.modules[module].items.insert(tokens[name].text.to_owned(), token.is("trait"));
                }
                at = name;
            } else if token.is_word() {
                at = self.mention(&tokens, at, module);
            }
            at += 1;
        }
    }

    /// Adds the module of `mod name;` or `mod name {`.
    fn child(&mut self, sources: &Sources, parent: usize, name: &Token, behind: &Token) -> usize {
        let Module { file, folder, in_test, .. } = &self.modules[parent];
        let in_test = *in_test || name.in_test;
        let inside = format!("{folder}{}/", name.text);
        let files = [format!("{folder}{}.rs", name.text), format!("{inside}mod.rs")];
        let found = files.iter().find(|file| sources.contains_key(*file) && behind.is(";"));
        if found.is_none() && behind.is(";") {
            self.problems
                .push(format!("{file} line {}: no file for `mod {}`; expected one of {files:?}", name.line, name.text));
        }
        let child = self.add(Module::new(found.unwrap_or(&file.clone()), Some(parent), inside, in_test));
        if !in_test {
            self.modules[parent].children.insert(name.text.to_owned(), child);
        }
        if found.is_some() {
            self.read_file(sources, child);
        }
        child
    }

    /// Reads the `use` at `at` up to its semicolon, whose index it returns.
    fn import(&mut self, tokens: &[Token], at: usize, module: usize) -> usize {
        let end = at + tokens[at..].iter().position(|token| token.is(";")).expect("`use` ends with a semicolon");
        if !tokens[at].in_test && !self.modules[module].in_test {
            let mut before = tokens[..at].iter().rev();
            let previous = before.next();
            // `pub use`, or `pub(..) use`: no other `use` follows a parenthesis.
            let is_reexport = previous.is_some_and(|token| token.is("pub") || token.is(")"));
            let first = self.imports.len();
            self.use_tree(tokens, at + 1, Vec::new(), module);
            self.imports[first..].iter_mut().for_each(|import| import.is_reexport = is_reexport);
        }
        end
    }

    /// Reads one branch of a `use` and returns the index behind it.
    fn use_tree(&mut self, tokens: &[Token], mut at: usize, mut path: Vec<String>, module: usize) -> usize {
        let mut add = |name: Option<&str>, path: Vec<String>, line| {
            self.imports.push(Import { module, name: name.map(str::to_owned), path, line, is_reexport: false });
        };
        loop {
            let token = &tokens[at];
            if token.is("*") {
                add(None, path, token.line);
                return at + 1;
            } else if token.is("{") {
                at += 1;
                while !tokens[at].is("}") {
                    at = self.use_tree(tokens, at, path.clone(), module);
                    at += usize::from(tokens[at].is(","));
                }
                return at + 1;
            } else if token.is_word() {
                if !token.is("self") || path.is_empty() {
                    path.push(token.text.to_owned());
                }
                let renamed = tokens[at + 1].is("as");
                if renamed || !tokens[at + 1].is("::") {
                    let name = if renamed { tokens[at + 2].text.to_owned() } else { path[path.len() - 1].clone() };
                    add(Some(&name), path, token.line);
                    return at + if renamed { 3 } else { 1 };
                }
                at += 2;
            } else {
                // A leading `::` names another crate; `$` stands before `crate` in a macro.
                if token.is("::") {
                    path.push("::".to_owned());
                }
                at += 1;
            }
        }
    }

    /// Notes the path in code that begins at `at` and returns the index of its last token.
    fn mention(&mut self, tokens: &[Token], at: usize, module: usize) -> usize {
        let mut end = at;
        let mut path = vec![tokens[at].text.to_owned()];
        while end + 2 < tokens.len() && tokens[end + 1].is("::") && tokens[end + 2].is_word() {
            end += 2;
            path.push(tokens[end].text.to_owned());
        }
        // A field, a method, or what follows a generic type.
        let continues = at > 0 && (tokens[at - 1].is(".") || tokens[at - 1].is("::"));
        let is_called = tokens.get(end + 1).is_some_and(|next| ["(", "!", "::"].iter().any(|sign| next.is(sign)));
        let is_item = path.len() > 1 || is_called || path[0].starts_with(|c: char| c.is_uppercase());
        if !continues && !tokens[at].in_test && !self.modules[module].in_test {
            self.mentions.push(Mention { module, path, line: tokens[at].line, is_item });
        }
        end
    }

    /// Notes the paths that an attribute of serde has in strings.
    fn attribute(&mut self, attribute: &[Token], at: usize, module: usize) {
        let Some(open) = (at + 1..at + 3).find(|index| attribute.get(*index).is_some_and(|token| token.is("["))) else {
            return;
        };
        let attribute = &attribute[open + 1..behind_bracket(attribute, open) - 1];
        if attribute[0].is("path") {
            self.problems.push(format!(
                "{} line {}: this test does not read `#[path]`",
                self.modules[module].file, attribute[0].line
            ));
        }
        if !attribute[0].is("serde") || attribute[0].in_test || self.modules[module].in_test {
            return;
        }
        for token in attribute.iter().filter(|token| token.kind == Kind::Literal && token.text.contains("::")) {
            let path = token.text.split("::").map(str::to_owned).collect();
            self.mentions.push(Mention { module, path, line: token.line, is_item: true });
        }
    }
}

impl Module {
    fn new(file: &str, parent: Option<usize>, folder: String, in_test: bool) -> Self {
        Self { file: file.to_owned(), parent, children: BTreeMap::new(), items: BTreeMap::new(), folder, in_test }
    }
}

/// The index of the name that the keyword at `at` defines, if it is one that does.
fn definition(tokens: &[Token], at: usize) -> Option<usize> {
    let keywords = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules"];
    if !keywords.iter().any(|word| tokens[at].is(word)) {
        return None;
    }
    let skipped = tokens[at + 1..].iter().take_while(|token| token.is("mut") || token.is("!")).count();
    let name = at + 1 + skipped;
    let token = tokens.get(name)?;
    // `const fn`, `const unsafe fn` and `*const T` define nothing, and `union` can be an ordinary name.
    let is_name = token.is_word() && !["fn", "unsafe", "extern", "async"].contains(&token.text);
    let is_pointer = at > 0 && tokens[at - 1].is("*");
    let is_union = !tokens[at].is("union") || tokens.get(name + 1).is_some_and(|next| next.is("{") || next.is("<"));
    (is_name && !is_pointer && is_union).then_some(name)
}
