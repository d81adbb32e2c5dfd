//! What an error becomes: a message and an exit code.

/// The exit code of an error that the user can correct.
pub(crate) const USER_ERROR: u8 = 1;

/// The error with its causes, without causes that the message already contains.
pub(crate) fn message(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |message, cause| {
        let cause = cause.to_string();
        if message.contains(&cause) { message } else { format!("{message}: {cause}") }
    })
}
