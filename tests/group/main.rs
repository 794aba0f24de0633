//! What machines share over Redis: answers, budgets, cool-downs.

#[path = "../in_process/answers.rs"]
mod answers;
#[path = "../in_process/one_gateway.rs"]
mod one_gateway;
#[path = "../support/mod.rs"]
mod support;

mod cache_machines;
mod redis_answers;
mod redis_budget;
mod redis_keys;
mod redis_memory;
mod redis_purse;
mod redis_rest;
mod redis_servers;
mod redis_waiting;
