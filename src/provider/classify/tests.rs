use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::provider::Secret;

fn plain(status: u16, body: &str) -> WireError {
    classify(
        status,
        &HeaderMap::new(),
        body.as_bytes(),
        &Mask::default(),
        Timestamp(0),
    )
}

fn unsupported(name: &str) -> ErrorClass {
    ErrorClass::UnsupportedParameter {
        name: name.to_owned(),
    }
}

#[test]
fn the_status_alone() {
    for (status, class) in [
        (307, ErrorClass::Redirected),
        (400, ErrorClass::InvalidRequest),
        (401, ErrorClass::InvalidKey),
        (402, ErrorClass::NoCredit),
        (403, ErrorClass::Forbidden),
        (404, ErrorClass::ModelNotFound),
        (405, ErrorClass::InvalidRequest),
        (408, ErrorClass::Timeout),
        (409, ErrorClass::Timeout),
        (413, ErrorClass::ContextTooLong),
        (418, ErrorClass::InvalidRequest),
        (422, ErrorClass::InvalidRequest),
        (425, ErrorClass::Timeout),
        (429, ErrorClass::RateLimited),
        (498, ErrorClass::Overloaded),
        (500, ErrorClass::ServerError),
        (502, ErrorClass::ServerError),
        (503, ErrorClass::Overloaded),
        (504, ErrorClass::ServerError),
        (520, ErrorClass::ServerError),
        (524, ErrorClass::ServerError),
        (529, ErrorClass::Overloaded),
        (999, ErrorClass::InvalidRequest),
    ] {
        for body in [
            "",
            "null",
            "[]",
            "<html><body>nginx</body></html>",
            "{\"error\":{}}",
            "plain words",
        ] {
            assert_eq!(plain(status, body).class, class, "{status} {body:?}");
        }
    }
}

#[test]
fn code_then_type_then_message() {
    for (status, body, class) in [
        // The code alone, the type alone: both are enough to know a quota from a rate.
        (
            429,
            r#"{"error":{"code":"insufficient_quota","message":"m"}}"#,
            ErrorClass::QuotaExceeded,
        ),
        (
            429,
            r#"{"error":{"type":"insufficient_quota","code":null}}"#,
            ErrorClass::QuotaExceeded,
        ),
        (
            429,
            r#"{"error":{"code":"credit_balance_exhausted"}}"#,
            ErrorClass::QuotaExceeded,
        ),
        (
            429,
            r#"{"error":{"code":"organization_spend_limit_exceeded"}}"#,
            ErrorClass::QuotaExceeded,
        ),
        (
            429,
            r#"{"error":{"code":"project_spend_limit_exceeded"}}"#,
            ErrorClass::QuotaExceeded,
        ),
        (
            429,
            r#"{"error":{"code":"organization_usage_limit_exceeded"}}"#,
            ErrorClass::QuotaExceeded,
        ),
        (
            429,
            r#"{"type":"error","error":{"type":"enforced_spend_limit_reached"}}"#,
            ErrorClass::QuotaExceeded,
        ),
        (
            429,
            r#"{"error":{"code":"rate_limit_exceeded","type":"insufficient_quota"}}"#,
            ErrorClass::RateLimited,
        ),
        (
            429,
            r#"{"error":{"code":"rate_limit_exceeded","type":"tokens"}}"#,
            ErrorClass::RateLimited,
        ),
        (
            503,
            r#"{"error":{"code":"slow_down"}}"#,
            ErrorClass::RateLimited,
        ),
        // Google says "quota" of a per-minute limit too.
        (
            429,
            r#"[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED"}}]"#,
            ErrorClass::RateLimited,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-min"}}"#,
            ErrorClass::RateLimited,
        ),
        (
            400,
            r#"{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}"#,
            ErrorClass::ContextTooLong,
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens","code":40303}"#,
            ErrorClass::ContextTooLong,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 201000 tokens"}}"#,
            ErrorClass::ContextTooLong,
        ),
        (
            413,
            r#"{"type":"error","error":{"type":"request_too_large"}}"#,
            ErrorClass::ContextTooLong,
        ),
        (
            500,
            r#"{"error":"the request exceeds the available context size"}"#,
            ErrorClass::ContextTooLong,
        ),
        (
            400,
            r#"{"error":{"code":"content_filter","message":"filtered"}}"#,
            ErrorClass::ContentFilter,
        ),
        (
            403,
            r#"{"error":{"code":403,"message":"Your input was flagged: violence"}}"#,
            ErrorClass::ContentFilter,
        ),
        (
            403,
            r#"{"error":{"code":403,"message":"moderation"}}"#,
            ErrorClass::ContentFilter,
        ),
        (
            403,
            r#"{"error":{"code":"unsupported_country_region_territory"}}"#,
            ErrorClass::Forbidden,
        ),
        (
            401,
            r#"{"error":{"code":"invalid_api_key","type":"invalid_request_error"}}"#,
            ErrorClass::InvalidKey,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}]"#,
            ErrorClass::InvalidKey,
        ),
        (
            400,
            r#"{"error":{"code":400,"details":[{"reason":"API_KEY_INVALID"}]}}"#,
            ErrorClass::InvalidKey,
        ),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
            ErrorClass::NoCredit,
        ),
        (
            402,
            r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#,
            ErrorClass::NoCredit,
        ),
        (
            404,
            r#"{"error":{"message":"model \"llama9\" not found, try pulling it first"}}"#,
            ErrorClass::ModelNotFound,
        ),
        (
            400,
            r#"{"error":{"message":"The model `gpt-9` does not exist"}}"#,
            ErrorClass::ModelNotFound,
        ),
        (
            529,
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
            ErrorClass::Overloaded,
        ),
        (
            500,
            r#"{"type":"error","error":{"type":"api_error","message":"Internal"}}"#,
            ErrorClass::ServerError,
        ),
        (
            400,
            r#"{"code":"x","error":"bad"}"#,
            ErrorClass::InvalidRequest,
        ),
    ] {
        assert_eq!(plain(status, body).class, class, "{status} {body}");
    }
}

#[test]
fn a_refused_parameter_by_its_name_or_by_the_words_for_it() {
    for (status, body, class) in [
        (
            400,
            r#"{"error":{"code":"unsupported_parameter","param":"max_tokens"}}"#,
            unsupported("max_tokens"),
        ),
        (
            400,
            r#"{"error":{"code":"unsupported_value","param":"temperature"}}"#,
            unsupported("temperature"),
        ),
        (
            400,
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}}"#,
            unsupported("max_tokens"),
        ),
        (
            422,
            r#"{"detail":[{"type":"extra_forbidden","msg":"Extra inputs are not permitted: stream_options"}]}"#,
            unsupported("stream_options"),
        ),
        // As Mistral, DeepSeek, vLLM and llama.cpp write it.
        (
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#,
            unsupported("stream_options"),
        ),
        (
            400,
            r#"{"error":{"message":"Failed to deserialize: messages[0].role: unknown variant `developer`, expected one of `system`, `user`","type":"invalid_request_error"}}"#,
            unsupported("developer"),
        ),
        (
            400,
            r#"{"error":{"message":"Unsupported value: 'messages[0].role' does not support 'developer' with this model.","param":"messages[0].role","code":"unsupported_value"}}"#,
            unsupported("messages[0].role"),
        ),
        (
            500,
            r#"{"error":{"code":500,"message":"System role not supported","type":"server_error"}}"#,
            unsupported("system role"),
        ),
        (
            400,
            r#"{"object":"error","message":"got an unexpected keyword argument 'service_tier'","code":40001}"#,
            unsupported("service_tier"),
        ),
        (
            400,
            r#"{"error":{"message":"Unrecognized request argument supplied: reasoning_effort","param":null,"code":null}}"#,
            unsupported("reasoning_effort"),
        ),
        (
            400,
            r#"{"error":{"message":"Images are not supported by this model"}}"#,
            ErrorClass::InvalidRequest,
        ),
        (
            400,
            r#"{"error":{"code":"unsupported_parameter","param":"a b\u001b"}}"#,
            ErrorClass::InvalidRequest,
        ),
    ] {
        assert_eq!(plain(status, body).class, class, "{status} {body}");
    }
}

#[test]
fn whose_quota_it_is() {
    for (code, of_account) in [
        ("insufficient_quota", true),
        ("credit_balance_exhausted", true),
        ("organization_spend_limit_exceeded", true),
        ("organization_usage_limit_exceeded", true),
        ("enforced_spend_limit_reached", true),
        ("billing_hard_limit_reached", true),
        ("project_spend_limit_exceeded", false),
        ("rate_limit_exceeded", false),
    ] {
        let body = format!(r#"{{"error":{{"code":"{code}","type":"x"}}}}"#);
        assert_eq!(plain(429, &body).of_account, of_account, "{code}");
    }
    let typed = r#"{"error":{"code":"project_spend_limit_exceeded","type":"insufficient_quota"}}"#;
    assert!(!plain(429, typed).of_account);
}

#[test]
fn a_refusal_tells_what_is_left_too() {
    let headers = [
        ("x-ratelimit-remaining-requests", "0"),
        ("openai-organization", "acme"),
    ];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let headers: HeaderMap = headers
        .into_iter()
        .chain([(
            "x-ratelimit-limit-requests".parse().unwrap(),
            "9".parse().unwrap(),
        )])
        .collect();
    let meta = classify(429, &headers, b"", &Mask::default(), Timestamp(0))
        .meta
        .unwrap();
    assert_eq!(
        (
            meta.requests.remaining,
            meta.organization.as_deref(),
            meta.status
        ),
        (Some(0), Some("acme"), 429)
    );
}

#[test]
fn only_a_gateway_that_gave_up_or_what_is_no_refusal_may_have_cost_money() {
    for (status, sent) in [
        (429, Sent::Refused),
        (500, Sent::Refused),
        (503, Sent::Refused),
        (504, Sent::MaybeBilled),
        (999, Sent::MaybeBilled),
    ] {
        assert_eq!(plain(status, "").sent, sent, "{status}");
    }
}

#[test]
fn a_message_is_one_masked_line() {
    let mask = Mask::new([Secret::parse(b"0815-my-own-key", "x").unwrap()]);
    let body = "{\"error\":{\"message\":\"bad key\\n0815-my-own-key \\u001b[31m sk-abcdef\"}}";
    let error = classify(401, &HeaderMap::new(), body.as_bytes(), &mask, Timestamp(0));
    assert_eq!(
        error.to_string(),
        "the server answered 401 Unauthorized: bad key [key] [31m [key]"
    );
    for (body, expected) in [
        ("", "the server answered 502 Bad Gateway"),
        (
            "<html><head><TITLE>502 down</TITLE></head>",
            "the server answered 502 Bad Gateway: 502 down",
        ),
        (
            "<p>try <b>later</b></p>",
            "the server answered 502 Bad Gateway: try later",
        ),
        (
            "upstream\r\nfailed",
            "the server answered 502 Bad Gateway: upstream failed",
        ),
        (
            "\n\n\n{\"detail\":\"padded\"}",
            "the server answered 502 Bad Gateway: padded",
        ),
    ] {
        assert_eq!(plain(502, body).message, expected);
    }
}

#[test]
fn an_error_inside_an_answer() {
    let error = |json: &str| ErrorBody::find(&serde_json::from_str(json).unwrap()).unwrap();
    for (json, streamed, class) in [
        (
            r#"{"error":{"code":429,"message":"slow"}}"#,
            false,
            ErrorClass::RateLimited,
        ),
        (
            r#"{"error":{"code":429,"message":"slow"}}"#,
            true,
            ErrorClass::InStream,
        ),
        (
            r#"{"error":{"code":502,"message":"upstream died"}}"#,
            false,
            ErrorClass::InStream,
        ),
        (
            r#"{"error":{"code":"503","message":"busy"}}"#,
            false,
            ErrorClass::InStream,
        ),
        (r#"{"error":{"code":408}}"#, false, ErrorClass::InStream),
        (
            r#"{"error":{"type":"overloaded_error"}}"#,
            false,
            ErrorClass::InStream,
        ),
        (
            r#"{"error":{"code":"context_length_exceeded"}}"#,
            false,
            ErrorClass::ContextTooLong,
        ),
        (
            r#"{"error":{"message":"upstream died"}}"#,
            false,
            ErrorClass::InStream,
        ),
        (r#"{"object":"error"}"#, false, ErrorClass::InStream),
    ] {
        let wire = in_answer(&error(json), streamed, &Mask::default());
        assert_eq!(
            (wire.class, wire.sent),
            (class, Sent::MaybeBilled),
            "{json}"
        );
    }
}

#[test]
fn a_wait_in_the_header_wins_over_one_in_the_body() {
    let body = br#"{"error":{"code":429,"details":[{"retryDelay":"34s"}]}}"#;
    let mut headers = HeaderMap::new();
    let wait = |headers: &HeaderMap| {
        classify(429, headers, body, &Mask::default(), Timestamp(0)).retry_after
    };
    assert_eq!(wait(&headers), Some(Duration::from_secs(34)));
    headers.insert("retry-after", "7".parse().unwrap());
    assert_eq!(wait(&headers), Some(Duration::from_secs(7)));
}

proptest! {
    #[test]
    fn any_status_and_any_bytes_give_an_error(status in 300u16..1000, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let error = classify(status, &HeaderMap::new(), &body, &Mask::default(), Timestamp(0));
        prop_assert!(!error.message.contains('\n') && error.message.chars().count() < 400);
    }
}
