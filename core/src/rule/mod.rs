//! Rules: a condition and what is done where it holds.
