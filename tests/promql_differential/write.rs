//! Sends samples to a Prometheus by remote write 1.0: a protobuf `WriteRequest` in a snappy block, both written by hand
//! because they are a page of code.

use crate::data::{EVERY, Made, START};

/// Samples of half an hour go in one request: Prometheus takes what is at most an hour older than its newest.
const SPAN: i64 = 60;

/// Sends all samples.
pub async fn send(client: &reqwest::Client, url: &str, series: &[Made]) {
    let last = series.iter().filter_map(|s| s.samples.last()).map(|s| s.0).max().unwrap_or(START);
    let mut from = START;
    while from <= last {
        let to = from + SPAN * EVERY;
        let mut request = Vec::new();
        for s in series {
            let samples: Vec<_> = s.samples.iter().filter(|(at, _)| (from..to).contains(at)).collect();
            if !samples.is_empty() {
                let mut one = Vec::new();
                for (name, value) in &s.labels {
                    let mut label = Vec::new();
                    bytes(1, name.as_bytes(), &mut label);
                    bytes(2, value.as_bytes(), &mut label);
                    bytes(1, &label, &mut one);
                }
                for (at, value) in samples {
                    let mut sample = vec![1 << 3 | 1];
                    sample.extend_from_slice(&value.to_bits().to_le_bytes());
                    sample.push(2 << 3);
                    varint(*at as u64, &mut sample);
                    bytes(2, &sample, &mut one);
                }
                bytes(1, &one, &mut request);
            }
        }
        let sent = client
            .post(format!("{url}/api/v1/write"))
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .body(snappy(&request))
            .send()
            .await
            .expect("the real Prometheus answers");
        assert_eq!(sent.status(), 204, "{}", sent.text().await.unwrap_or_default());
        from = to;
    }
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A field of bytes.
fn bytes(field: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// A snappy block of literals only.
fn snappy(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(content.len() as u64, &mut out);
    for chunk in content.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend_from_slice(&((chunk.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out
}
