//! Which form of an answer a client wants (`Accept`).

use crate::sim::status::Status;
use http::{HeaderMap, header};

/// The form of objects in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// As they are.
    #[default]
    Object,
    /// A `meta.k8s.io/v1` Table (or v1beta1).
    Table(&'static str),
    /// `PartialObjectMetadata`, or a list of them.
    Metadata(&'static str),
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Form.
    pub form: Form,
    /// YAML instead of JSON.
    pub yaml: bool,
    /// Aggregated discovery: `v2`, or `v2beta1`.
    pub aggregated: Option<&'static str>,
}

/// Reads `Accept`: the first clause that can be served; protobuf cannot.
///
/// # Errors
/// 406 if nothing fits.
pub fn wanted(headers: &HeaderMap) -> Result<Wanted, Status> {
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    if accept.is_empty() {
        return Ok(Wanted::default());
    }
    accept.iter().flat_map(|a| a.split(',')).find_map(clause).ok_or_else(|| {
        let known = "application/json, application/yaml, application/vnd.kubernetes.protobuf, \
             application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        Status::new(406, "NotAcceptable", format!("406: Not Acceptable\n\nAvailable representations: {known}"))
            .with(serde_json::json!({}))
    })
}

fn clause(clause: &str) -> Option<Wanted> {
    let mut parts = clause.split(';').map(str::trim);
    let yaml = match parts.next()? {
        "application/json" | "application/*" | "*/*" | "" => false,
        "application/yaml" => true,
        _ => return None,
    };
    let (mut kind, mut group, mut version) = ("", "", "");
    for (name, value) in parts.filter_map(|p| p.split_once('=')) {
        match name.trim() {
            "as" => kind = value.trim(),
            "g" => group = value.trim(),
            "v" => version = value.trim(),
            _ => {}
        }
    }
    let known = |versions: &[&'static str]| versions.iter().find(|v| **v == version).copied();
    let mut wanted = Wanted { yaml, ..Wanted::default() };
    match (kind, group) {
        ("", _) => {}
        ("Table", "meta.k8s.io") => wanted.form = Form::Table(known(&["v1", "v1beta1"])?),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io") => {
            wanted.form = Form::Metadata(known(&["v1", "v1beta1"])?);
        }
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io") => wanted.aggregated = Some(known(&["v2", "v2beta1"])?),
        _ => return None,
    }
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &'static str) -> Result<Wanted, u16> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, http::HeaderValue::from_static(accept))]);
        wanted(&headers).map_err(|s| s.code)
    }

    #[test]
    fn the_first_that_can_be_served_is_taken() {
        assert_eq!(of("application/vnd.kubernetes.protobuf,application/json").unwrap().form, Form::Object);
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(of(kubectl).unwrap().form, Form::Table("v1"));
        let listed = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(of(listed).unwrap().aggregated, Some("v2"));
        assert_eq!(of("application/vnd.kubernetes.protobuf"), Err(406));
        assert_eq!(of("text/html"), Err(406));
    }
}
