#![doc = "placeholder"]

pub mod http;
