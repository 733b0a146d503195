//! Requests that write: their parameters read, their bodies brought into the version that is stored, the answer brought
//! back into the one that was asked for.

use super::{Answer, Api, Asked, body, discovery, json_answer, view};
use crate::sim::resource::Resource;
use crate::sim::status::Status;
use crate::sim::write::{self, Options, Patch, Target, Written};
use axum::body::Body;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use std::sync::Arc;

/// What a request does to an object.
#[derive(Debug, Clone, Copy)]
enum Act {
    Create,
    Update,
    Patch(Patch),
}

impl Api {
    pub(super) async fn write(&self, asked: &Asked, body: Body) -> Answer {
        let bytes = body::read(body).await?;
        let Asked { parts, query, place, kind, .. } = asked;
        let (act, name) = match parts.method {
            Method::PATCH => match body::patch(&parts.headers, kind.custom)? {
                Patch::Apply => (Act::Patch(Patch::Apply), "ApplyOptions"),
                patch => (Act::Patch(patch), "PatchOptions"),
            },
            Method::PUT => (Act::Update, "UpdateOptions"),
            _ => (Act::Create, "CreateOptions"),
        };
        let bytes = match act {
            Act::Patch(_) => (&bytes[..]).into(),
            _ => body::object(&parts.headers, &bytes)?,
        };
        let options = body::options(query, &parts.headers, name)?;
        let written = self.stored_as(asked, act, &bytes, &options)?;
        let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
        let mut answer = if place.subresource.is_empty() || place.subresource == "status" {
            self.formed(asked, code, written.object)?
        } else {
            json_answer(code, &written.object)
        };
        for warning in &written.warnings {
            let text = format!("299 - {}", Value::from(warning.as_str()));
            if let Ok(value) = HeaderValue::from_str(&text) {
                answer.headers_mut().append(header::WARNING, value);
            }
        }
        Ok(answer)
    }

    /// Writes in the shape that is stored: Events of events.k8s.io as core Events, autoscalers of v1 as those of v2.
    fn stored_as(&self, asked: &Asked, act: Act, bytes: &[u8], options: &Options) -> Result<Written, Status> {
        let Asked { place, kind, .. } = asked;
        if !view::differs(kind, &place.version) {
            return self.act(asked, kind, &place.version, act, bytes, options);
        }
        let stored = match kind.group.as_str() {
            "events.k8s.io" => self.store.registry.get("events").ok_or_else(discovery::not_found)?,
            _ => kind.clone(),
        };
        let inward = |value: Value| view::inward(value, kind, &place.version).to_string();
        let (act, text) = match act {
            // What such a patch names, it names in the version that was asked for: made there, it is an update.
            Act::Patch(patch) if patch != Patch::Apply && kind.group != "events.k8s.io" => {
                let live = view::outward(self.stored(asked)?.value(), kind, &place.version);
                let version = view::api_version(&kind.group, &place.version);
                (Act::Update, inward(write::patched(&version, &kind.kind, patch, live, bytes)?))
            }
            act => (act, inward(body::json_or_yaml(bytes)?)),
        };
        let mut written = self.act(asked, &stored, &stored.versions[0], act, text.as_bytes(), options)?;
        written.object = view::outward(written.object, kind, &place.version);
        Ok(written)
    }

    fn act(
        &self,
        asked: &Asked,
        kind: &Arc<Resource>,
        version: &str,
        act: Act,
        bytes: &[u8],
        options: &Options,
    ) -> Result<Written, Status> {
        let place = &asked.place;
        let target = Target {
            kind: kind.as_ref(),
            version,
            namespace: if asked.kind.namespaced { &place.namespace } else { "" },
            name: &place.name,
            subresource: &place.subresource,
        };
        match act {
            Act::Create => write::create(&self.store, target, bytes, options),
            Act::Update => write::update(&self.store, target, bytes, options),
            Act::Patch(patch) => write::patch(&self.store, target, patch, bytes, options),
        }
    }
}
