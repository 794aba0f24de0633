//! The headers of a response: request id, rate limits, how long to wait.
//!
//! Owns: [`ResponseMeta`], the rate-limit headers of OpenAI, Groq and Anthropic, and `retry-after` in all its forms.
//! Refuses: acting on them.
//! Invariant: an invalid header counts as absent.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::chat::Timestamp;

/// The longest wait or reset that is believed.
const YEAR: Duration = Duration::from_hours(366 * 24);

/// One bucket of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RateWindow {
    pub(crate) limit: Option<u64>,
    pub(crate) remaining: Option<u64>,
    /// Until the bucket is FULL again, not until one request fits.
    pub(crate) reset: Option<Duration>,
}

/// What is known about a response before its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ResponseMeta {
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    /// The account that the key belongs to, if the server names it.
    pub(crate) organization: Option<String>,
    pub(crate) requests: RateWindow,
    pub(crate) tokens: RateWindow,
    /// From sending to having the headers.
    pub(crate) opened_after: Duration,
}

impl ResponseMeta {
    pub(crate) fn of(
        status: u16,
        headers: &HeaderMap,
        opened_after: Duration,
        now: Timestamp,
    ) -> Self {
        let id = ["x-request-id", "request-id", "x-generation-id"]
            .into_iter()
            .find_map(|name| text(headers, name));
        Self {
            status,
            request_id: id.map(short),
            organization: text(headers, "openai-organization").map(short),
            requests: RateWindow::of(headers, "requests", now),
            tokens: RateWindow::of(headers, "tokens", now),
            opened_after,
        }
    }
}

fn short(id: &str) -> String {
    id.chars()
        .filter(char::is_ascii_graphic)
        .take(128)
        .collect()
}

/// The first instant of the next month in UTC, when providers' monthly quotas are reset.
pub(crate) fn month_end(now: Timestamp) -> Timestamp {
    let month = jiff::Timestamp::from_millisecond(now.0)
        .ok()
        .and_then(|now| {
            let first = now
                .to_zoned(jiff::tz::TimeZone::UTC)
                .first_of_month()
                .ok()?
                .start_of_day()
                .ok()?;
            first.checked_add(jiff::Span::new().months(1)).ok()
        });
    month.map_or(Timestamp(i64::MAX), |end| {
        Timestamp(end.timestamp().as_millisecond())
    })
}

impl RateWindow {
    fn of(headers: &HeaderMap, what: &str, now: Timestamp) -> Self {
        let get = |part: &str| {
            text(headers, &format!("x-ratelimit-{part}-{what}"))
                .or_else(|| text(headers, &format!("anthropic-ratelimit-{what}-{part}")))
        };
        // Azure writes -1 or 0 for an unknown limit.
        let limit = get("limit")
            .and_then(|n| n.parse().ok())
            .filter(|limit| *limit > 0);
        let remaining = get("remaining")
            .and_then(|n| n.parse().ok())
            .filter(|left| *left > 0 || limit.is_some());
        Self {
            limit,
            remaining,
            reset: get("reset").and_then(|reset| until(reset, now)),
        }
    }
}

/// A Go duration (`6m0s`, `7.66s`, `12ms`), plain seconds, or an RFC 3339 instant.
fn until(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = match text.parse::<jiff::Timestamp>() {
        Ok(instant) => Timestamp(instant.as_millisecond()).since(now),
        Err(_) => go_duration(text)?,
    };
    (wait <= YEAR).then_some(wait)
}

fn go_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_length);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = next;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok())?
}

/// How long the server asks to wait: `retry-after-ms` and `x-ms-retry-after-ms`, then `retry-after` in seconds or as a
/// date. A date is measured from the server's own `date`, so that a wrong clock here does not matter; else from `now`.
/// Of several the longest counts. More than a year counts as a year, not as no wait.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let here = text(headers, "date").and_then(http_date).unwrap_or(now);
    let longest = |name: &str, read: &dyn Fn(&str) -> Option<Duration>| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values.filter_map(|value| read(value.trim())).max()
    };
    let millis = |text: &str| seconds(text, 1000.0);
    let wait =
        longest("retry-after-ms", &millis).or_else(|| longest("x-ms-retry-after-ms", &millis));
    let date = |text: &str| http_date(text).map(|then| then.since(here).min(YEAR));
    wait.or_else(|| {
        longest("retry-after", &|text| {
            seconds(text, 1.0).or_else(|| date(text))
        })
    })
}

/// A number of `1 / parts` seconds. Plain digits are limited to a year; `1e300`, `inf` or `-3` count as absent.
fn seconds(text: &str, parts: f64) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(text.parse::<f64>().ok()? / parts).ok();
    let in_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if in_digits {
        Some(wait.map_or(YEAR, |wait| wait.min(YEAR)))
    } else {
        wait.filter(|wait| *wait <= YEAR)
    }
}

/// The server's clock (`date`).
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    text(headers, "date").and_then(http_date)
}

fn http_date(text: &str) -> Option<Timestamp> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser
        .parse_timestamp(text)
        .ok()
        .map(|instant| Timestamp(instant.as_millisecond()))
}

/// What the server says about trying again (`x-should-retry`).
pub(crate) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match text(headers, "x-should-retry")? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn how_long_to_wait() {
        let date = "Sun, 22 Nov 2026 21:00:00 GMT";
        let later = "Sun, 22 Nov 2026 21:00:30 GMT";
        let now = Timestamp(
            "2026-11-22T21:00:10Z"
                .parse::<jiff::Timestamp>()
                .unwrap()
                .as_millisecond(),
        );
        for (pairs, millis) in [
            (&[("retry-after", "9")][..], Some(9000)),
            (&[("retry-after", " 1.5 ")], Some(1500)),
            (&[("retry-after", "0")], Some(0)),
            (
                &[("retry-after", "9"), ("retry-after-ms", "250")],
                Some(250),
            ),
            (&[("x-ms-retry-after-ms", "40")], Some(40)),
            (&[("retry-after", later)], Some(20_000)),
            (&[("retry-after", later), ("date", date)], Some(30_000)),
            (&[("retry-after", date)], Some(0)),
            (&[("retry-after", "86400")], Some(86_400_000)),
            (&[("retry-after", "94608000000")], Some(31_622_400_000)),
            (
                &[("retry-after", "99999999999999999999999999999999")],
                Some(31_622_400_000),
            ),
            (
                &[("retry-after", "Wed, 01 Jan 9000 00:00:00 GMT")],
                Some(31_622_400_000),
            ),
            (
                &[("retry-after", "1"), ("retry-after", "86400")],
                Some(86_400_000),
            ),
            (
                &[("retry-after", "9"), ("retry-after-ms", "-1")],
                Some(9000),
            ),
            (
                &[
                    ("retry-after", "9"),
                    ("retry-after-ms", "NaN"),
                    ("x-ms-retry-after-ms", "40"),
                ],
                Some(40),
            ),
            (&[("retry-after", "soon"), ("retry-after", "2")], Some(2000)),
            (&[("retry-after", "-3")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "1e300")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "\u{ff}")], None),
            (&[], None),
        ] {
            assert_eq!(
                retry_after(&headers(pairs), now),
                millis.map(Duration::from_millis),
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn resets_as_servers_write_them() {
        let now = Timestamp(1_000_000_000_000);
        for (text, millis) in [
            ("12ms", Some(12)),
            ("1s", Some(1000)),
            ("6m0s", Some(360_000)),
            ("7.66s", Some(7660)),
            ("1h2m3.5s", Some(3_723_500)),
            ("30", Some(30_000)),
            ("2001-09-09T01:46:50Z", Some(10_000)),
            ("2001-09-09T01:46:30Z", Some(0)),
            ("1000000030", None),
            ("6x", None),
            ("s", None),
            ("-1", None),
        ] {
            assert_eq!(
                until(text, now),
                millis.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_left_at_openai_anthropic_and_azure() {
        let meta = |pairs: &[(&str, &str)]| {
            ResponseMeta::of(200, &headers(pairs), Duration::ZERO, Timestamp(0))
        };
        let openai = meta(&[
            ("x-request-id", "req_1"),
            ("openai-organization", "acme"),
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-remaining-tokens", "149984"),
        ]);
        assert_eq!(
            (openai.request_id.as_deref(), openai.organization.as_deref()),
            (Some("req_1"), Some("acme"))
        );
        let reset = Some(Duration::from_millis(120));
        assert_eq!(
            openai.requests,
            RateWindow {
                limit: Some(500),
                remaining: Some(0),
                reset
            }
        );
        assert_eq!(openai.tokens.remaining, Some(149_984));
        let azure = meta(&[
            ("x-ratelimit-limit-tokens", "-1"),
            ("x-ratelimit-remaining-tokens", "0"),
        ]);
        assert_eq!(azure.tokens, RateWindow::default());
        let anthropic = meta(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("request-id", "a"),
        ]);
        assert_eq!(
            (anthropic.requests.limit, anthropic.request_id.as_deref()),
            (Some(50), Some("a"))
        );
    }

    #[test]
    fn a_month_ends_in_utc() {
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        for (now, end) in [
            ("2026-11-23T10:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"),
            ("2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(month_end(at(now)), at(end), "{now}");
        }
        assert_eq!(month_end(Timestamp(i64::MAX)), Timestamp(i64::MAX));
    }

    #[test]
    fn the_header_about_retrying() {
        for (value, expected) in [
            ("true", Some(true)),
            ("false", Some(false)),
            ("maybe", None),
        ] {
            assert_eq!(
                should_retry(&headers(&[("x-should-retry", value)])),
                expected
            );
        }
    }
}
