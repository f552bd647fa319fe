#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| promql_fuzz::evaluate(text));
