//! `attacks`: what attacks cost. See `tidegate_tests::attacks`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate_tests::attacks::main()
}
