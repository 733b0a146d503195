//! The bodies that receivers get: Slack's, and plain JSON with a signature.

use super::Alert;
use crate::config::settings::NotifyFormat;
use ring::hmac;
use serde_json::json;
use std::fmt::Write as _;

/// Longest text that is sent; a server's message can be long, and Slack refuses long ones.
const LONGEST: usize = 2000;

/// The body of an alert.
pub(super) fn body(alert: &Alert, format: NotifyFormat) -> Vec<u8> {
    let value = match format {
        NotifyFormat::Slack => {
            let mut text = format!("*kansole · {}* {}", escape(&alert.cluster), escape(&alert.title));
            if !alert.text.is_empty() {
                let _ = write!(text, "\n{}", escape(&short(&alert.text)));
            }
            if let Some(action) = &alert.action {
                let _ = write!(text, "\n`kansole actions show {}`", escape(action));
            }
            json!({ "text": text })
        }
        NotifyFormat::Json => {
            let mut value = json!({ "source": "kansole", "version": 1 });
            let mut alert = alert.clone();
            alert.text = short(&alert.text);
            if let (Some(to), Ok(serde_json::Value::Object(from))) =
                (value.as_object_mut(), serde_json::to_value(&alert))
            {
                to.extend(from);
            }
            value
        }
    };
    value.to_string().into_bytes()
}

/// `sha256=<hex>` of HMAC-SHA256 over the body, as GitHub signs its webhooks.
pub(super) fn signature(key: &[u8], body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body);
    tag.as_ref().iter().fold(String::from("sha256="), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Slack's three control characters. Nothing from a cluster may become a link or call a channel.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Notice;

    pub(super) fn alert(text: &str) -> Alert {
        Alert {
            event: Notice::Harmful,
            at: chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            cluster: "prod".into(),
            title: "reverted: raise memory".into(),
            text: text.into(),
            action: Some("cart-oom-3f9a2c".into()),
        }
    }

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let tag = signature(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(tag, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn text_of_a_cluster_calls_nobody_and_links_nowhere() {
        let body =
            String::from_utf8(body(&alert("<!channel> <https://evil|click> & more"), NotifyFormat::Slack)).unwrap();
        assert!(body.contains("&lt;!channel&gt; &lt;https://evil|click&gt; &amp; more"), "{body}");
        let long = body_of(&"é".repeat(LONGEST + 1));
        assert_eq!(long["text"].as_str().unwrap().chars().count(), LONGEST + 1, "cut between characters");
    }

    fn body_of(text: &str) -> serde_json::Value {
        serde_json::from_slice(&body(&alert(text), NotifyFormat::Json)).unwrap()
    }

    #[test]
    fn plain_json_has_a_version_and_every_field() {
        let value = body_of("why");
        for (key, wanted) in [
            ("source", "kansole"),
            ("event", "harmful"),
            ("at", "2023-11-14T22:13:20Z"),
            ("cluster", "prod"),
            ("title", "reverted: raise memory"),
            ("text", "why"),
            ("action", "cart-oom-3f9a2c"),
        ] {
            assert_eq!(value[key], wanted, "{key}");
        }
        assert_eq!(value["version"], 1);
    }
}
