//! OTLP's JSON: whatever comes is read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(spans) = kansole_fuzz::monitor::traces::otlp::read(bytes) {
        spans.iter().for_each(|s| kansole_fuzz::bounded(&s.span));
    }
});
