use super::*;

fn refusal(name: &str, message: &str) -> WireError {
    let class = ErrorClass::UnsupportedParameter {
        name: name.to_owned(),
    };
    WireError {
        status: Some(400),
        ..WireError::new(class, Sent::Refused, message)
    }
}

fn with(change: impl FnOnce(&mut Dialect)) -> Dialect {
    let mut dialect = Dialect::default();
    change(&mut dialect);
    dialect
}

const SET: Params = Params {
    temperature: Some(0.2),
    effort: Some(Effort::Xhigh),
    max_output: None,
};

#[test]
#[expect(clippy::too_many_lines, reason = "a table of refusals")]
fn the_fix_for_each_refusal() {
    use Effort::{High, Low, Max, Medium, Minimal, None as Off, Xhigh};
    let newer = with(|d| d.output_cap = OutputCap::MaxCompletionTokens);
    let developer = with(|d| d.system = SystemRole::Developer);
    let folded = with(|d| d.system = SystemRole::FoldIntoUser);
    let quiet = with(|d| d.stream_usage = false);
    let tier = |tier| with(|d| (d.tier_field, d.service_tier) = (TierField::Always, tier));
    let plain = Dialect::default();
    let asks = |effort| Params {
        effort: Some(effort),
        ..Params::default()
    };
    let unset = Params::default();
    let instead = |of, instead| Some(CompatFix::Effort { of, instead });
    let openai = "Unsupported value: 'reasoning_effort' does not support 'xhigh' with this model. \
                  Supported values are: 'low', 'medium', and 'high'.";
    for (name, message, params, dialect, expected) in [
        // The cap has two names and goes under one of them.
        (
            "max_tokens",
            "",
            unset,
            &plain,
            Some(CompatFix::Cap(OutputCap::MaxCompletionTokens)),
        ),
        (
            "max_completion_tokens",
            "",
            unset,
            &newer,
            Some(CompatFix::Cap(OutputCap::MaxTokens)),
        ),
        // What was not sent cannot be what is wrong.
        (
            "temperature",
            "",
            SET,
            &plain,
            Some(CompatFix::NoTemperature),
        ),
        ("temperature", "", unset, &plain, None),
        (
            "stream_options",
            "",
            unset,
            &plain,
            Some(CompatFix::NoStreamOptions),
        ),
        (
            "stream_options.include_usage",
            "",
            unset,
            &plain,
            Some(CompatFix::NoStreamOptions),
        ),
        ("stream_options", "", unset, &quiet, None),
        // An effort: the nearest that the server lists, the lower of two; none, when it lists none.
        (
            "reasoning_effort",
            openai,
            SET,
            &plain,
            instead(Xhigh, High),
        ),
        (
            "reasoning_effort",
            "must be one of 'low' or 'high'",
            asks(Medium),
            &plain,
            instead(Medium, Low),
        ),
        (
            "reasoning_effort",
            "Input should be 'low' or 'medium'",
            asks(Off),
            &plain,
            instead(Off, Low),
        ),
        (
            "reasoning_effort",
            "supported values: minimal",
            asks(Max),
            &plain,
            instead(Max, Minimal),
        ),
        (
            "reasoning_effort",
            "Unrecognized request argument",
            SET,
            &plain,
            Some(CompatFix::NoEffort),
        ),
        (
            "reasoning.effort",
            "",
            SET,
            &plain,
            Some(CompatFix::NoEffort),
        ),
        ("reasoning_effort", "", unset, &plain, None),
        // Roles, from the newest to none at all.
        (
            "messages[0].role",
            "",
            unset,
            &developer,
            Some(CompatFix::Role(SystemRole::System)),
        ),
        (
            "developer",
            "",
            unset,
            &developer,
            Some(CompatFix::Role(SystemRole::System)),
        ),
        (
            "system role",
            "",
            unset,
            &plain,
            Some(CompatFix::Role(SystemRole::FoldIntoUser)),
        ),
        ("messages[0].role", "", unset, &folded, None),
        // A tier that the user chose has a price of its own.
        (
            "service_tier",
            "",
            unset,
            &tier(None),
            Some(CompatFix::NoServiceTier),
        ),
        (
            "service_tier",
            "",
            unset,
            &tier(Some(ServiceTier::Flex)),
            None,
        ),
        (
            "service_tier",
            "",
            unset,
            &tier(Some(ServiceTier::Priority)),
            None,
        ),
        ("service_tier", "", unset, &plain, None),
        // Nothing of ours.
        ("top_p", "", SET, &plain, None),
        ("", "", SET, &plain, None),
    ] {
        let sent = RefusedRequest {
            params: &params,
            dialect,
            system: true,
        };
        let error = refusal(name, message);
        assert_eq!(
            fix_for(&error, &sent, &CompatFixes::default()),
            expected,
            "{name} {message}"
        );
        // Once for each: what did not help does not help again.
        if let Some(made) = expected {
            assert_eq!(
                fix_for(&error, &sent, &CompatFixes(vec![made])),
                None,
                "{name} again"
            );
        }
    }
}

#[test]
fn only_a_refusal_before_the_answer_has_a_fix() {
    let (params, dialect) = (SET, Dialect::default());
    let sent = RefusedRequest {
        params: &params,
        dialect: &dialect,
        system: false,
    };
    let none = CompatFixes::default();
    let billed = WireError {
        sent: Sent::MaybeBilled,
        ..refusal("temperature", "")
    };
    let other = WireError::new(ErrorClass::InvalidRequest, Sent::Refused, "temperature");
    for error in [billed, other, refusal("messages[0].role", "")] {
        assert_eq!(fix_for(&error, &sent, &none), None, "{error:?}");
    }
}

#[test]
fn fixes_change_how_a_model_is_asked_and_say_what_the_user_loses() {
    let mut fixes = CompatFixes::default();
    for fix in [
        CompatFix::Cap(OutputCap::MaxCompletionTokens),
        CompatFix::Cap(OutputCap::MaxTokens),
        CompatFix::Role(SystemRole::FoldIntoUser),
        CompatFix::NoTemperature,
        CompatFix::Effort {
            of: Effort::Xhigh,
            instead: Effort::High,
        },
        CompatFix::NoStreamOptions,
        CompatFix::NoServiceTier,
    ] {
        fixes.add(fix);
    }
    let always = with(|d| {
        (d.output_cap, d.tier_field) = (OutputCap::MaxCompletionTokens, TierField::Always);
    });
    let (params, dialect, left_out) = fixes.applied(SET, &always);
    assert_eq!(
        (params.temperature, params.effort),
        (None, Some(Effort::High))
    );
    assert_eq!(
        (dialect.output_cap, dialect.system),
        (OutputCap::MaxTokens, SystemRole::FoldIntoUser)
    );
    assert!(
        !dialect.stream_usage
            && dialect.tier_to_send().is_none()
            && dialect.efforts == [Effort::High]
    );
    assert_eq!(
        left_out,
        [
            "takes no temperature: it was asked without your 0.2",
            "takes no effort `xhigh`: it was asked with `high`"
        ]
    );
    let (params, _, left_out) = fixes.applied(
        Params {
            effort: Some(Effort::Low),
            ..Params::default()
        },
        &always,
    );
    assert_eq!(
        (params.effort, left_out.len()),
        (Some(Effort::Low), 0),
        "a setting that the user did not make is not mentioned"
    );
    fixes.add(CompatFix::NoEffort);
    assert_eq!(fixes.applied(SET, &always).0.effort, None);
}

#[test]
fn fixes_are_stored_in_words_that_a_later_version_can_read() {
    let mut fixes = CompatFixes::default();
    fixes.add(CompatFix::Cap(OutputCap::MaxCompletionTokens));
    fixes.add(CompatFix::NoTemperature);
    fixes.add(CompatFix::Effort {
        of: Effort::Xhigh,
        instead: Effort::High,
    });
    let text = serde_json::to_string(&fixes).unwrap();
    assert_eq!(
        text,
        r#"[{"cap":"max_completion_tokens"},"no_temperature",{"effort":{"of":"xhigh","instead":"high"}}]"#
    );
    assert_eq!(serde_json::from_str::<CompatFixes>(&text).unwrap(), fixes);
}
