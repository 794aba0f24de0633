//! What the descriptions of tools cost in tokens.
//!
//! Owns: the published recipe for function tools, and the shape it reads.
//! Refuses: tools that are no functions.
//! Invariant: the count is exact only for what the recipe speaks of: flat parameters with type, description and enum.

use serde_json::{Map, Value};

use super::framing::{TokenCount, Tokenizer};
use super::{Encoding, count};

/// For each function.
const FUNCTION: u64 = 7;
/// The same in the older encoding (gpt-4, gpt-3.5).
const FUNCTION_CL100K: u64 = 10;
/// Once for a function that has parameters, and again for each of them.
const PARAMETER: u64 = 3;
/// For each value of an enum, less [`PARAMETER`] for the enum itself.
const ITEM: u64 = 3;
/// Once behind the last function.
const END: u64 = 12;
/// Tokens beyond its own bytes that a server may spend on a function, a parameter or the end.
const SLACK: u64 = 16;

/// The list is not one of function tools.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tool {number} {problem}")]
pub(crate) struct NotATool {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) problem: &'static str,
}

/// Tokens of these tools, written as the API takes them (OpenAI's published recipe).
pub(crate) fn tools(tokenizer: Tokenizer, tools: &[Value]) -> Result<TokenCount, NotATool> {
    let mut sum = ToolTokens {
        encoding: tokenizer.encoding(),
        tokens: 0,
        upper: 0,
        exact: true,
    };
    for (at, tool) in tools.iter().enumerate() {
        sum.function(tool).map_err(|problem| NotATool {
            number: at + 1,
            problem,
        })?;
    }
    if !tools.is_empty() {
        sum.tokens += END;
        sum.upper += END + SLACK;
    }
    let exact = sum.exact && matches!(tokenizer, Tokenizer::Known(_));
    Ok(TokenCount {
        tokens: sum.tokens,
        upper: sum.upper.max(sum.tokens),
        exact: exact || tools.is_empty(),
    })
}

struct ToolTokens {
    encoding: Encoding,
    tokens: u64,
    /// No tokenizer makes more tokens than there are bytes.
    upper: u64,
    exact: bool,
}

impl ToolTokens {
    fn function(&mut self, tool: &Value) -> Result<(), &'static str> {
        if tool.get("type").and_then(Value::as_str) != Some("function") {
            return Err("is not of type \"function\"");
        }
        let function = tool
            .get("function")
            .and_then(Value::as_object)
            .ok_or("has no object `function`")?;
        let name = function
            .get("name")
            .and_then(Value::as_str)
            .ok_or("has no name")?;
        let parameters = match function.get("parameters") {
            None | Some(Value::Null) => None,
            Some(Value::Object(schema)) => Some(schema),
            Some(_) => return Err("has parameters that are no object"),
        };
        self.upper += tool.to_string().len() as u64 + SLACK;
        self.tokens += match self.encoding {
            Encoding::O200kBase | Encoding::O200kHarmony => FUNCTION,
            _ => FUNCTION_CL100K,
        };
        self.spoken_of(function, &["name", "description", "parameters", "strict"]);
        let line = format!("{name}:{}", self.description(function));
        self.tokens += count(self.encoding, &line);
        let Some(schema) = parameters else {
            return Ok(());
        };
        self.spoken_of(schema, &["type", "properties", "required"]);
        match schema.get("properties") {
            None => Ok(()),
            Some(Value::Object(properties)) => self.parameters(properties),
            Some(_) => Err("has properties that are no object"),
        }
    }

    fn parameters(&mut self, properties: &Map<String, Value>) -> Result<(), &'static str> {
        if properties.is_empty() {
            return Ok(());
        }
        self.tokens += PARAMETER;
        for (name, schema) in properties {
            let schema = schema
                .as_object()
                .ok_or("has a parameter that is no object")?;
            self.spoken_of(schema, &["type", "description", "enum"]);
            self.tokens += PARAMETER;
            self.upper += SLACK;
            if let Some(items) = schema.get("enum").and_then(Value::as_array) {
                self.tokens -= PARAMETER;
                for item in items {
                    let word = self.word(item);
                    self.tokens += ITEM + count(self.encoding, &word);
                }
            }
            let kind = schema
                .get("type")
                .map_or(String::new(), |kind| self.word(kind));
            let line = format!("{name}:{kind}:{}", self.description(schema));
            self.tokens += count(self.encoding, &line);
        }
        Ok(())
    }

    /// Without the full stop at its end.
    fn description<'a>(&mut self, of: &'a Map<String, Value>) -> &'a str {
        let text = of.get("description").and_then(Value::as_str);
        self.exact &= text.is_some();
        text.map_or("", |text| text.strip_suffix('.').unwrap_or(text))
    }

    /// What is no text stands as JSON, of which the recipe does not speak.
    fn word(&mut self, value: &Value) -> String {
        self.exact &= value.is_string();
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    }

    /// What the recipe passes over reaches the model all the same: counted as it is written, and no longer exactly.
    fn spoken_of(&mut self, object: &Map<String, Value>, known: &[&str]) {
        for (key, value) in object
            .iter()
            .filter(|(key, _)| !known.contains(&key.as_str()))
        {
            self.exact = false;
            self.tokens += count(self.encoding, &format!("{key}:{value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tokens::framing::{FramedMessage, Framing, sent};

    fn weather() -> Value {
        json!({"type": "function", "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                    "unit": {
                        "type": "string",
                        "description": "The unit of temperature to return",
                        "enum": ["celsius", "fahrenheit"]
                    }
                },
                "required": ["location"]
            }
        }})
    }

    #[test]
    fn the_published_example() {
        let messages = [
            (
                "system",
                "You are a helpful assistant that can answer to questions about the weather.",
            ),
            ("user", "What's the weather like in San Francisco?"),
        ]
        .map(|(role, text)| FramedMessage {
            role,
            name: None,
            text,
        });
        for (encoding, alone, together) in [
            (Encoding::Cl100kBase, 71, 105),
            (Encoding::O200kBase, 68, 101),
        ] {
            let tokenizer = Tokenizer::Known(encoding);
            let tools = tools(tokenizer, &[weather()]).unwrap();
            assert_eq!((tools.tokens, tools.exact), (alone, true), "{encoding}");
            assert!(tools.upper >= tools.tokens);
            assert_eq!(
                tools
                    .plus(sent(tokenizer, Framing::PUBLISHED, messages))
                    .tokens,
                together,
                "{encoding}"
            );
        }
    }

    #[test]
    fn a_full_stop_is_dropped_and_no_tools_are_no_tokens() {
        let known = Tokenizer::Known(Encoding::O200kBase);
        let mut stopped = weather();
        stopped["function"]["description"] = json!("Get the current weather in a given location.");
        stopped["function"]["parameters"]["properties"]["unit"]["description"] =
            json!("The unit of temperature to return.");
        assert_eq!(
            tools(known, &[stopped]).unwrap(),
            TokenCount {
                upper: tools(known, &[weather()]).unwrap().upper + 2,
                ..tools(known, &[weather()]).unwrap()
            }
        );
        assert_eq!(
            tools(known, &[]).unwrap(),
            TokenCount {
                tokens: 0,
                upper: 0,
                exact: true
            }
        );
    }

    #[test]
    fn tools_outside_the_published_recipe_are_counted_but_not_exact() {
        let known = Tokenizer::Known(Encoding::O200kBase);
        let plain = tools(known, &[weather()]).unwrap();
        let mut nested = weather();
        nested["function"]["parameters"]["properties"]["location"]["items"] =
            json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let nested = tools(known, &[nested]).unwrap();
        assert!(
            !nested.exact && nested.tokens > plain.tokens && nested.upper > nested.tokens,
            "{nested:?}"
        );
        let bare = json!({"type": "function", "function": {"name": "now"}});
        assert!(!tools(known, &[bare]).unwrap().exact);
        assert!(
            !tools(Tokenizer::Assumed(Encoding::O200kBase), &[weather()])
                .unwrap()
                .exact
        );
        let odd = json!({
            "n": {"type": "integer", "description": "d", "enum": [1, null, {"deep": []}]},
            "several": {"type": ["string", "null"], "description": "d"},
            "empty": {"type": "string", "description": "d", "enum": []},
        });
        for name in ["n", "several"] {
            let tool = json!({"type": "function", "function": {
                "name": "f", "description": "g", "parameters": {"properties": {name: odd[name], "empty": odd["empty"]}}
            }});
            let odd = tools(known, &[tool]).unwrap();
            assert!(!odd.exact && odd.tokens > 20, "{name}: {odd:?}");
        }
    }

    #[test]
    fn a_tool_that_is_no_function_is_named_in_the_error() {
        for (tool, error) in [
            (json!(7), "tool 2 is not of type \"function\""),
            (
                json!({"type": "web_search"}),
                "tool 2 is not of type \"function\"",
            ),
            (
                json!({"type": "function"}),
                "tool 2 has no object `function`",
            ),
            (
                json!({"type": "function", "function": {}}),
                "tool 2 has no name",
            ),
            (
                json!({"type": "function", "function": {"name": "f", "parameters": []}}),
                "tool 2 has parameters that are no object",
            ),
            (
                json!({"type": "function", "function": {"name": "f", "parameters": {"properties": 1}}}),
                "tool 2 has properties that are no object",
            ),
            (
                json!({"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": 1}}}}),
                "tool 2 has a parameter that is no object",
            ),
        ] {
            let found = tools(
                Tokenizer::Guess(Encoding::O200kBase),
                &[weather(), tool.clone()],
            );
            assert_eq!(found.unwrap_err().to_string(), error, "{tool}");
        }
    }
}
