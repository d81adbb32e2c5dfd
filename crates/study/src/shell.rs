//! Words of commands that users run.

/// A word as a POSIX shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    let is_word = !word.is_empty() && word.chars().all(is_plain);
    if is_word { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_more() {
        assert_eq!(
            ["a/b-c.d", "two words", "it's", "", "$x"].map(quoted),
            ["a/b-c.d", "'two words'", "'it'\\''s'", "''", "'$x'"]
        );
    }
}
