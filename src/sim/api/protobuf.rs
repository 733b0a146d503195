//! Bodies that kubectl's typed clients send as `application/vnd.kubernetes.protobuf`, read into JSON: the envelope
//! (`k8s\0` and a `runtime.Unknown`) and the messages of the kinds that are served, by the field tables of the
//! `generated.proto` files of 1.36 (packed: `message|number name type|…`; `s` text, `b` bool, `i` whole number, `y` bytes,
//! `d` double, `*` repeated, `%` map). Answers are always JSON.

use crate::sim::clock::{at, rfc3339, rfc3339_micro};
use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

/// Fields of a message by number: name and type.
type Message = HashMap<u64, (String, String)>;

static MESSAGES: LazyLock<HashMap<String, Message>> = LazyLock::new(|| {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("protobuf.txt.gz")[..])
        .read_to_string(&mut text)
        .expect("packed text; a test reads it");
    let field = |field: &str| -> Option<(u64, (String, String))> {
        let mut words = field.split(' ');
        Some((words.next()?.parse().ok()?, (words.next()?.to_owned(), words.next()?.to_owned())))
    };
    text.lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, fields)| (name.to_owned(), fields.split('|').filter_map(field).collect()))
        .collect()
});

/// Messages whose fields JSON shows in the object around them.
const INLINE: [&str; 6] = [
    "localObjectReference",
    "handler",
    "volumeSource",
    "persistentVolumeSource",
    "ingressRuleValue",
    "ephemeralContainerCommon",
];
/// Deeper than any object goes.
const DEPTH: usize = 64;

/// A value on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next field; `None` if the message is malformed. Not to be asked at its end.
    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Number(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.bytes(length)?)
            }
            5 => Wire::Number(u64::from(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))),
            _ => return None,
        };
        Some((tag >> 3, wire))
    }
}

/// The object in a body.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &[u8]) -> Result<Value, String> {
    let rest = body.strip_prefix(b"k8s\0").ok_or("provided data does not appear to be a protobuf message")?;
    let unknown = message(rest, "runtime.Unknown", 0).ok_or("the envelope cannot be read")?;
    let of = |pointer: &str| unknown.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (of("/typeMeta/apiVersion"), of("/typeMeta/kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("core", &api_version));
    let package = group.split('.').next().unwrap_or_default();
    let mut name = format!("{package}.{version}.{kind}");
    if kind == "DeleteOptions" {
        "meta.v1.DeleteOptions".clone_into(&mut name);
    }
    if !MESSAGES.contains_key(&name) {
        return Err(format!("no kind {kind:?} is registered for version {api_version:?}"));
    }
    let raw = raw(rest).unwrap_or_default();
    let Some(Value::Object(fields)) = message(raw, &name, 0) else {
        return Err(format!("the {kind} cannot be read"));
    };
    let mut object = Map::new();
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    object.extend(fields);
    Ok(Value::Object(object))
}

/// The `raw` of the envelope, as bytes.
fn raw(envelope: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields(envelope);
    while !fields.0.is_empty() {
        if let (2, Wire::Bytes(raw)) = fields.field()? {
            return Some(raw);
        }
    }
    None
}

fn message(bytes: &[u8], name: &str, depth: usize) -> Option<Value> {
    let known = MESSAGES.get(name).filter(|_| depth < DEPTH)?;
    let mut object = Map::new();
    let mut fields = Fields(bytes);
    while !fields.0.is_empty() {
        let (number, wire) = fields.field()?;
        // A field this version does not know is left out, as protobuf has it.
        let Some((field, kind)) = known.get(&number) else { continue };
        if let Some(kind) = kind.strip_prefix('*') {
            let all = object.entry(field.as_str()).or_insert_with(|| Value::Array(Vec::new()));
            all.as_array_mut()?.push(value(&wire, kind, depth)?);
        } else if let Some(kind) = kind.strip_prefix('%') {
            let Wire::Bytes(entry) = wire else { return None };
            let (key, value) = entry_of(entry, kind, depth)?;
            let all = object.entry(field.as_str()).or_insert_with(|| Value::Object(Map::new()));
            all.as_object_mut()?.insert(key, value);
        } else {
            match value(&wire, kind, depth)? {
                // Go writes empty texts and zero times where JSON leaves them out.
                Value::Null => {}
                Value::String(s) if s.is_empty() => {}
                Value::Object(inner) if INLINE.contains(&field.as_str()) => object.extend(inner),
                value => drop(object.insert(field.clone(), value)),
            }
        }
    }
    Some(Value::Object(object))
}

fn entry_of(bytes: &[u8], kind: &str, depth: usize) -> Option<(String, Value)> {
    let (mut key, mut found) = (String::new(), Value::from(""));
    let mut fields = Fields(bytes);
    while !fields.0.is_empty() {
        match fields.field()? {
            (1, Wire::Bytes(k)) => key = String::from_utf8(k.to_vec()).ok()?,
            (2, wire) => found = value(&wire, kind, depth)?,
            _ => {}
        }
    }
    Some((key, found))
}

fn value(wire: &Wire<'_>, kind: &str, depth: usize) -> Option<Value> {
    Some(match (wire, kind) {
        (Wire::Number(n), "i") => Value::from(*n as i64),
        (Wire::Number(n), "b") => Value::from(*n != 0),
        (Wire::Number(n), "d") => Value::from(f64::from_bits(*n)),
        (Wire::Bytes(b), "s") => Value::from(String::from_utf8(b.to_vec()).ok()?),
        (Wire::Bytes(b), "y") => Value::from(super::list::base64(b)),
        (Wire::Bytes(b), "runtime.RawExtension" | "meta.v1.FieldsV1") => {
            let inner = Fields(b).field().map(|(_, w)| w);
            let Some(Wire::Bytes(json)) = inner else { return Some(Value::Null) };
            serde_json::from_slice(json).ok()?
        }
        (Wire::Bytes(b), _) => special(kind, message(b, kind, depth + 1)?),
        _ => return None,
    })
}

/// Types that JSON writes otherwise than as objects.
fn special(kind: &str, mut message: Value) -> Value {
    let number = |name: &str| message[name].as_i64().unwrap_or(0);
    match kind {
        "meta.v1.Time" | "meta.v1.MicroTime" if number("seconds") == 0 && number("nanos") == 0 => Value::Null,
        "meta.v1.Time" => rfc3339(at(number("seconds").saturating_mul(1000))).into(),
        "meta.v1.MicroTime" => {
            let whole = at(number("seconds").saturating_mul(1000));
            rfc3339_micro(whole + chrono::TimeDelta::nanoseconds(number("nanos"))).into()
        }
        "intstr.IntOrString" if number("type") == 0 => number("intVal").into(),
        "intstr.IntOrString" => message["strVal"].take(),
        "resource.Quantity" => message["string"].take(),
        "authorization.v1.ExtraValue" | "authentication.v1.ExtraValue" | "meta.v1.Verbs" => message["items"].take(),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn messages_become_objects() {
        let metadata = [field(1, b"m"), field(2, b""), field(11, &[field(1, b"a"), field(2, b"b")].concat())].concat();
        let raw = [field(1, &metadata), field(2, &[field(1, b"k"), field(2, b"v")].concat())].concat();
        assert_eq!(
            read(&body("v1", "ConfigMap", &raw)).unwrap(),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "labels": {"a": "b"}}, "data": {"k": "v"}})
        );
        let port = [vec![0x08, 1], field(3, b"http")].concat();
        let service = field(2, &field(1, &field(4, &port)));
        assert_eq!(read(&body("v1", "Service", &service)).unwrap()["spec"]["ports"][0]["targetPort"], "http");
    }

    #[test]
    fn what_is_none_is_refused() {
        assert!(read(b"{}").is_err() && read(b"k8s\0").is_err() && read(&body("v1", "Nothing", b"")).is_err());
        assert!(read(&body("v1", "ConfigMap", &[0x0a, 200, 1])).is_err());
    }
}
