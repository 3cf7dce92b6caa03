//! The `Poller` contract on `MioPoller` where descriptors run out: the limit is the process's, so the
//! one test has a process of its own.

mod loopback;

use loopback::Loopback;
use tidegate_tests::contract_tests;

contract_tests!(tcp: Loopback, unix: false, scarcity);
