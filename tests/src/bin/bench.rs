//! `bench`: Tidegate beside haproxy and nginx. See `tidegate_tests::bench`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate_tests::bench::main()
}
