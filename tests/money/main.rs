//! Prices, the ledger and budgets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "the small functions of tests are tests, and their tables may be long"
)]

#[path = "../in_process/bill.rs"]
mod bill;
#[path = "../support/mod.rs"]
mod support;

mod bill_cut;
mod bill_property;
mod bill_session;
mod budget_concurrency;
mod budget_ledger;
mod budget_limits;
mod budget_settle;
mod money;
mod prices;
mod provider;
