//! The paper's mathematics: schedules, steps, Algorithm 1 and Algorithm 2.
