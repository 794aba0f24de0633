//! The arithmetic of the judge.

use crate::support::server::{Pico, Prices, Tokens};

#[test]
fn amounts_print_as_exact_decimals() {
    for (pico, text) in [
        (0, "0"),
        (1, "0.000000000001"),
        (1_834_000_000, "0.001834"),
        (5_000_000_000_000, "5"),
        (-500_000_000_000, "-0.5"),
        (12_345_600_000_000, "12.3456"),
    ] {
        assert_eq!(Pico(pico).to_string(), text);
    }
    assert_eq!(Pico::usd("5"), Pico(5_000_000_000_000));
    assert_eq!(Pico::usd("0.001834"), Pico(1_834_000_000));
}

#[test]
fn tokens_are_charged_in_disjoint_parts() {
    let prices = Prices::new()
        .model("m", "0.25", "0.025", "2.0")
        .model_with_writes("w", "5", "0.5", "6.25", "25")
        .model("deep", "0.435", "0.003625", "0.87");
    let tokens = Tokens {
        prompt: 1000,
        cached: 600,
        cache_write: 100,
        completion: 50,
        reasoning: 30,
    };
    // 300 x 0.25 + 600 x 0.025 + 100 x 0.25 + 50 x 2 = 215 millionths of a dollar.
    assert_eq!(prices.cost("m", tokens).to_string(), "0.000215");
    // 300 x 5 + 600 x 0.5 + 100 x 6.25 + 50 x 25 = 3675
    assert_eq!(prices.cost("w", tokens).to_string(), "0.003675");
    let one = Tokens {
        prompt: 1,
        cached: 1,
        ..Tokens::default()
    };
    assert_eq!(
        prices.cost("deep", one),
        Pico(3625),
        "the smallest price there is loses no digit"
    );
}

#[test]
#[should_panic(expected = "more than 6 decimals")]
fn a_price_that_cannot_be_held_is_refused() {
    let _ = Prices::new().model("m", "0.0000001", "0", "0");
}

#[test]
#[should_panic(expected = "no price for \"other\"")]
fn a_model_without_a_price_is_not_free() {
    let _ = Prices::new()
        .model("m", "1", "1", "1")
        .cost("other", Tokens::default());
}
