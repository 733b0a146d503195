//! The tree of types: what a field holds, how lists and maps merge, and when an empty value is left out.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a list or map is merged and owned in server-side apply (structured-merge-diff's element relationship).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Merge {
    /// One value: owned and replaced as a whole. Lists are this unless they say otherwise.
    #[default]
    Atomic,
    /// A list whose items are the keys.
    Set,
    /// A list of objects told apart by these fields.
    ByKeys(Vec<String>),
}

/// How a strategic merge patch treats a list or struct.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strategy {
    /// Lists are merged, not replaced.
    pub merge: bool,
    /// Only the fields named in `$retainKeys` stay.
    pub retain_keys: bool,
    /// What tells the items apart; `None` for lists of scalars.
    pub key: Option<String>,
}

/// A field of a struct is its type.
pub type Field = Type;

/// What a value looks like.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Another schema, by name.
    Ref(String),
    /// Known fields.
    Struct {
        /// Go's name: `DeploymentSpec`.
        name: String,
        /// By JSON name.
        fields: BTreeMap<String, Field>,
        /// Fields that are not known are kept (custom kinds).
        open: bool,
    },
    /// Any keys, values of one type.
    Map(Box<Type>),
    /// Items of one type.
    List(Box<Type>),
    /// A string.
    Text,
    /// Base64.
    Bytes,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// True or false.
    Bool,
    /// A whole number or a string (`25%`).
    IntOrString,
    /// `250m`, `1Gi`.
    Quantity,
    /// RFC 3339, whole seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    /// Anything.
    Any,
}

/// A type, with what belongs to the place where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Type {
    shape: Shape,
    /// How a list merges.
    pub merge: Merge,
    /// Whether a map or struct is owned as a whole, said at this place.
    whole: bool,
    /// For strategic merge patches.
    pub strategy: Strategy,
    /// Go's type without a pointer's star, for error texts: `[]v1.Container`.
    pub go: String,
    /// A pointer in Go: an empty value differs from none.
    pub pointer: bool,
    /// An empty value is left out.
    pub omit: bool,
    /// What an absent value means, where the schema says so.
    pub default: Option<Value>,
}

impl Type {
    /// A type of this shape that says nothing else.
    pub fn plain(shape: Shape) -> Self {
        Self {
            shape,
            merge: Merge::Atomic,
            whole: false,
            strategy: Strategy::default(),
            go: String::new(),
            pointer: false,
            omit: true,
            default: None,
        }
    }

    /// The type of a named OpenAPI schema; `go` is the table of Go's spellings.
    pub(super) fn of_schema(name: &str, schema: &Value, go: &Map<String, Value>) -> Self {
        let short = name.rsplit('.').next().unwrap_or(name);
        match short {
            "Quantity" => return Self::plain(Shape::Quantity),
            "IntOrString" => return Self::plain(Shape::IntOrString),
            "Time" => return Self::plain(Shape::Time),
            "MicroTime" => return Self::plain(Shape::MicroTime),
            "FieldsV1" | "RawExtension" => return Self::plain(Shape::Any),
            _ => {}
        }
        let mut made = Self::of(schema, short);
        if let Shape::Struct { name: own, fields, .. } = &mut made.shape {
            short.clone_into(own);
            for spelt in go.get(name).and_then(Value::as_array).into_iter().flatten() {
                let (Some(field), Some(text)) = (spelt[0].as_str(), spelt[1].as_str()) else { continue };
                if let Some(known) = fields.get_mut(field) {
                    known.spell(text);
                    known.omit = spelt[2].as_bool().unwrap_or(true);
                }
            }
        }
        made
    }

    /// Takes over how Go spells the type: `*int32`, `[]v1.Container`, `map[v1.ResourceName]resource.Quantity`.
    fn spell(&mut self, text: &str) {
        self.pointer = text.starts_with('*');
        text.trim_start_matches('*').clone_into(&mut self.go);
        let item = match &self.shape {
            Shape::List(_) => self.go.strip_prefix("[]"),
            Shape::Map(_) => self.go.split_once(']').map(|(_, item)| item),
            _ => None,
        };
        let item = item.map(str::to_owned);
        if let (Shape::List(inner) | Shape::Map(inner), Some(item)) = (&mut self.shape, item) {
            inner.spell(&item);
        }
    }

    /// The type an OpenAPI schema describes where it stands.
    pub(super) fn of(schema: &Value, name: &str) -> Self {
        let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
        let shape = if let Some(reference) = reference {
            Shape::Ref(reference.trim_start_matches("#/components/schemas/").to_owned())
        } else if schema["x-kubernetes-int-or-string"] == true || schema["format"] == "int-or-string" {
            Shape::IntOrString
        } else {
            match schema["type"].as_str().unwrap_or_default() {
                "object" => object(schema, name, open),
                "array" => Shape::List(Box::new(Self::of(&schema["items"], name))),
                "integer" => Shape::Int,
                "number" => Shape::Float,
                "boolean" => Shape::Bool,
                "string" => match schema["format"].as_str() {
                    Some("date-time") => Shape::Time,
                    Some("byte") => Shape::Bytes,
                    _ => Shape::Text,
                },
                _ => Shape::Any,
            }
        };
        let mut made = Self::plain(shape);
        made.merge = merge(schema);
        made.default = schema.get("default").cloned();
        made.whole = schema["x-kubernetes-map-type"] == "atomic";
        let strategy = schema["x-kubernetes-patch-strategy"].as_str().unwrap_or_default();
        made.strategy = Strategy {
            merge: strategy.split(',').any(|s| s == "merge"),
            retain_keys: strategy.split(',').any(|s| s == "retainKeys"),
            key: schema["x-kubernetes-patch-merge-key"].as_str().map(str::to_owned),
        };
        made
    }

    /// The type itself, references followed.
    pub fn resolve(&self) -> &Self {
        match &self.shape {
            Shape::Ref(name) => super::named(name).unwrap_or_else(|| any()),
            _ => self,
        }
    }

    /// What it looks like, references followed.
    pub fn shape(&self) -> &Shape {
        &self.resolve().shape
    }

    /// Whether it is owned and replaced as a whole: a list without merge rule, or a map or struct said to be atomic.
    pub fn atomic(&self) -> bool {
        match self.shape() {
            Shape::List(_) => self.merge == Merge::Atomic,
            _ => self.whole || self.resolve().whole,
        }
    }

    /// The type of a field, or of a map's values.
    pub fn field(&self, name: &str) -> Option<&Field> {
        match self.shape() {
            Shape::Struct { fields, .. } => fields.get(name),
            Shape::Map(item) => Some(item),
            _ => None,
        }
    }

    /// The type of a list's items or a map's values.
    pub fn item(&self) -> Option<&Self> {
        match self.shape() {
            Shape::List(item) | Shape::Map(item) => Some(item),
            _ => None,
        }
    }
}

/// The type of what no schema describes.
pub fn any() -> &'static Type {
    static ANY: std::sync::OnceLock<Type> = std::sync::OnceLock::new();
    ANY.get_or_init(|| Type::plain(Shape::Any))
}

fn object(schema: &Value, name: &str, open: bool) -> Shape {
    if let Some(properties) = schema["properties"].as_object() {
        let fields = properties.iter().map(|(k, v)| (k.clone(), Type::of(v, name))).collect();
        return Shape::Struct { name: name.to_owned(), fields, open };
    }
    if schema["additionalProperties"].is_object() {
        return Shape::Map(Box::new(Type::of(&schema["additionalProperties"], name)));
    }
    if open || schema["additionalProperties"] == true {
        return Shape::Any;
    }
    Shape::Struct { name: name.to_owned(), fields: BTreeMap::new(), open }
}

/// structured-merge-diff's reading of the list extensions (kube-openapi, schemaconv/smd.go).
fn merge(schema: &Value) -> Merge {
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Merge::Set,
        Some("map") => Merge::ByKeys(
            schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|k| k.as_str().map(str::to_owned))
                .collect(),
        ),
        Some(_) => Merge::Atomic,
        None => match schema["x-kubernetes-patch-strategy"].as_str() {
            Some("merge" | "merge,retainKeys") => match schema["x-kubernetes-patch-merge-key"].as_str() {
                Some(key) => Merge::ByKeys(vec![key.to_owned()]),
                None => Merge::Set,
            },
            _ => Merge::Atomic,
        },
    }
}

impl Type {
    /// Adds or replaces a field; what was anything becomes a struct with this field and whatever else.
    pub(super) fn add_field(&mut self, name: &str, field: Type) {
        if !matches!(self.shape, Shape::Struct { .. }) {
            self.shape = Shape::Struct { name: String::new(), fields: BTreeMap::new(), open: true };
        }
        if let Shape::Struct { fields, .. } = &mut self.shape {
            fields.insert(name.to_owned(), field);
        }
    }
}
