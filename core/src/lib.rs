#![doc = "placeholder"]
pub mod balance;
