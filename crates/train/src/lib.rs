//! Training, sampling, checkpoints and run directories.
