//! Jaeger's JSON: whatever comes is read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(traces) = kansole_fuzz::monitor::traces::jaeger::answer(bytes) {
        traces.iter().flat_map(|t| &t.spans).for_each(kansole_fuzz::bounded);
    }
});
