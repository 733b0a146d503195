//! The decoders of traces, by the very files of kansole: only what they need is built with the fuzzer's instruments.
#![allow(dead_code, missing_docs)]

#[path = "../../src/model/mod.rs"]
pub mod model;

#[path = "../../src/monitor"]
pub mod monitor {
    pub mod traces {
        pub mod bounds;
        pub mod jaeger;
        pub mod otlp;
        pub mod proto;
        pub mod value;
    }
}

use model::trace::Span;
use monitor::traces::bounds::{ATTRIBUTES, CHARACTERS};

/// What holds of every span, whatever it was made of.
pub fn bounded(span: &Span) {
    assert!(span.duration >= 0);
    assert!(span.attributes.len() <= ATTRIBUTES);
    let texts = span.attributes.iter().flat_map(|(k, v)| [k, v]).chain([&span.service, &span.operation, &span.id]);
    for text in texts.chain(span.message.as_ref()).chain(span.parent.as_ref()).chain(span.host.as_ref()) {
        assert!(text.chars().count() <= CHARACTERS + 1);
        assert!(!text.chars().any(char::is_control));
    }
}
