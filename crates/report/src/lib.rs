//! Pictures and pages: contact sheets, progress strips, curves, and the one-page summary.
