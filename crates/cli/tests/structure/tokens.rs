//! Rust source as words and signs, in which the tokens of tests are marked.

/// One word, sign or literal.
#[derive(Clone, Debug)]
pub(crate) struct Token<'a> {
    /// A name, a keyword, `::`, `..`, another single character, or what a string literal holds.
    pub(crate) text: &'a str,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    /// Whether it is compiled only for tests.
    pub(crate) in_test: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Sign,
    Literal,
}

impl Token<'_> {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Literal && self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }
}

/// The tokens of a file. Comments and lifetimes are left out.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut reader = Reader { source, at: 0, line: 1, tokens: Vec::new() };
    while reader.at < source.len() {
        reader.step();
    }
    mark_tests(&mut reader.tokens);
    reader.tokens
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Skips this many bytes and counts their lines.
    fn skip(&mut self, bytes: usize) {
        self.line += self.rest()[..bytes].matches('\n').count();
        self.at += bytes;
    }

    fn push(&mut self, text: &'a str, kind: Kind) {
        self.tokens.push(Token { text, line: self.line, kind, in_test: false });
    }

    fn step(&mut self) {
        let rest = self.rest();
        let first = rest.chars().next().expect("not at the end");
        if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if rest.starts_with("//") {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.skip(block_comment(rest));
        } else if first == '"' {
            self.quoted(0);
        } else if first == '\'' {
            self.quote();
        } else if first.is_ascii_digit() {
            let length = number(rest);
            self.push(&rest[..length], Kind::Literal);
            self.skip(length);
        } else if is_name(first) {
            self.word();
        } else {
            let length = if rest.starts_with("::") || rest.starts_with("..") { 2 } else { first.len_utf8() };
            self.push(&rest[..length], Kind::Sign);
            self.skip(length);
        }
    }

    /// A name, or the literal that begins like one: `r"`, `br#"`, `b'`, `c"`.
    fn word(&mut self) {
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        let behind = &rest[word.len()..];
        let hashes = behind.len() - behind.trim_start_matches('#').len();
        match word {
            "r" | "br" | "cr" if behind[hashes..].starts_with('"') => self.raw(word.len(), hashes),
            "b" | "c" if behind.starts_with('"') => self.quoted(word.len()),
            "b" if behind.starts_with('\'') => {
                self.skip(word.len());
                self.quote();
            }
            // `r#name`: the name follows.
            "r" if hashes == 1 => self.skip(2),
            _ => {
                self.push(word, Kind::Word);
                self.skip(word.len());
            }
        }
    }

    /// A string with escapes, `prefix` bytes before its quote.
    fn quoted(&mut self, prefix: usize) {
        let text = &self.rest()[prefix + 1..];
        let mut end = 0;
        while !text[end..].starts_with('"') {
            let escaped = text[end..].starts_with('\\');
            let mut chars = text[end..].chars();
            let length = |c: Option<char>| c.expect("a string ends with a quote").len_utf8();
            end += length(chars.next());
            if escaped {
                end += length(chars.next());
            }
        }
        self.push(&text[..end], Kind::Literal);
        self.skip(prefix + end + 2);
    }

    /// A string without escapes, between `hashes` hashes.
    fn raw(&mut self, prefix: usize, hashes: usize) {
        let start = prefix + hashes + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let length = self.rest()[start..].find(&close).expect("a raw string ends with its quote and hashes");
        self.push(&self.rest()[start..start + length], Kind::Literal);
        self.skip(start + length + close.len());
    }

    /// A character or a lifetime.
    fn quote(&mut self) {
        let inside = &self.rest()[1..];
        let mut chars = inside.chars();
        let first = chars.next().expect("a quote does not end a file");
        let length = if first == '\\' {
            let escaped = 1 + chars.next().map_or(0, char::len_utf8);
            escaped + inside[escaped..].find('\'').expect("a character ends with a quote") + 1
        } else if chars.next() == Some('\'') {
            first.len_utf8() + 1
        } else {
            self.skip(1 + inside.find(|c| !is_name(c)).unwrap_or(inside.len()));
            return;
        };
        self.push(&inside[..length - 1], Kind::Literal);
        self.skip(1 + length);
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of the block comment at the start of a text, including nested comments.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// Length of the number at the start of a text. `0..n` and `0.max(n)` start with numbers of one digit.
fn number(text: &str) -> usize {
    let digits = |text: &str| text.find(|c| !is_name(c)).unwrap_or(text.len());
    let whole = digits(text);
    match text[whole..].strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|c: char| c.is_ascii_digit()) => whole + 1 + digits(fraction),
        _ => whole,
    }
}

/// The first index behind the bracket that opens at `open`.
pub(crate) fn behind_bracket(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.kind == Kind::Sign {
            match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Marks the tokens under `#[cfg(test)]`, `#![cfg(test)]` or `#[test]`.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        let inner = tokens.get(at + 1).is_some_and(|token| token.is("!"));
        let open = at + 1 + usize::from(inner);
        if !tokens[at].is("#") || !tokens.get(open).is_some_and(|token| token.is("[")) {
            at += 1;
            continue;
        }
        let behind = behind_bracket(tokens, open);
        let mut end = behind;
        if is_test(&tokens[open + 1..behind - 1]) {
            end = if inner { tokens.len() } else { behind_item(tokens, behind) };
            tokens[at..end].iter_mut().for_each(|token| token.in_test = true);
        }
        at = end;
    }
}

/// Whether an attribute restricts an item to the build of tests.
fn is_test(attribute: &[Token]) -> bool {
    let has = |word| attribute.iter().any(|token| token.is(word));
    match attribute {
        [only] => only.is("test"),
        [first, ..] => first.is("cfg") && has("test") && !has("not") && !has("any"),
        [] => false,
    }
}

/// The first index behind the item, field, variant or statement that begins at `at`, perhaps with further attributes.
fn behind_item(tokens: &[Token], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|token| token.is("#")) {
        at = behind_bracket(tokens, at + 1);
    }
    let statement = ["use", "static", "type", "let"];
    let item = ["fn", "mod", "struct", "enum", "union", "trait", "impl", "extern", "macro_rules"];
    let mut ends = None;
    while let Some(token) = tokens.get(at) {
        let constant =
            token.is("const") && !tokens.get(at + 1).is_some_and(|next| ["fn", "unsafe"].contains(&next.text));
        if ends.is_none() && (constant || statement.iter().any(|word| token.is(word))) {
            ends = Some("statement");
        } else if ends.is_none() && item.iter().any(|word| token.is(word)) {
            ends = Some("item");
        }
        if token.is(";") || ends.is_none() && token.is(",") {
            return at + 1;
        } else if token.is("}") || token.is(")") || token.is("]") {
            return at;
        } else if token.is("{") && ends != Some("statement") {
            return behind_bracket(tokens, at);
        } else if token.is("{") || token.is("(") || token.is("[") {
            at = behind_bracket(tokens, at);
        } else {
            at += 1;
        }
    }
    at
}
