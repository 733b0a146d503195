//! What a write needs to know about its kind, and how a refusal of the store becomes the server's answer.

use super::Target;
use crate::sim::object::text;
use crate::sim::schema::{self, Type};
use crate::sim::status::{Status, qualified};
use crate::sim::store::{Store, StoreError};
use serde_json::json;
use std::borrow::Cow;

/// Why a write is refused: by us, or by the store.
#[derive(Debug)]
pub enum Refused {
    /// In words.
    Status(Status),
    /// By a precondition or a missing object.
    Store(StoreError),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Refused {
    /// The answer.
    pub fn status(self, target: Target<'_>, name: &str) -> Status {
        let kind = target.kind;
        match self {
            Self::Status(status) => status,
            Self::Store(StoreError::Exists(_)) => Status::exists(&kind.group, &kind.plural, name),
            Self::Store(StoreError::NotFound(_)) => Status::not_found(&kind.group, &kind.plural, name),
            Self::Store(StoreError::Conflict(why)) => Status::conflict(&kind.group, &kind.plural, name, &why),
            Self::Store(e @ StoreError::UnknownKind) => Status::new(404, "NotFound", e.to_string()),
            Self::Store(e @ StoreError::Expired { .. }) => Status::new(410, "Expired", e.to_string()),
        }
    }
}

impl Target<'_> {
    /// `v1`, `apps/v1`, in the version of the path.
    pub fn api_version(&self) -> String {
        if self.kind.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.kind.group, self.version)
        }
    }

    /// The type of its objects.
    pub fn ty(&self, store: &Store) -> Cow<'static, Type> {
        if let Some(ty) = schema::of_kind(&self.api_version(), &self.kind.kind) {
            return Cow::Borrowed(ty);
        }
        let definition = store.get("customresourcedefinitions.apiextensions.k8s.io", "", &self.kind.key());
        Cow::Owned(schema::custom_type(&definition.map(|d| d.value()).unwrap_or_default(), self.version))
    }

    /// 404 for its name.
    pub fn not_found(&self) -> Status {
        Status::not_found(&self.kind.group, &self.kind.plural, self.name)
    }
}

/// Refuses to make something in a namespace that is not there or on its way out (the admission plugin
/// NamespaceLifecycle).
pub fn check_namespace(store: &Store, target: Target<'_>, name: &str) -> Result<(), Status> {
    if !target.kind.namespaced {
        return Ok(());
    }
    let Some(namespace) = store.get("namespaces", "", target.namespace) else {
        return Err(Status::not_found("", "namespaces", target.namespace));
    };
    let namespace = namespace.value();
    if text(&namespace, "metadata.deletionTimestamp").is_empty() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {} because it is being terminated", target.namespace);
    let kind = target.kind;
    let message = format!("{} \"{name}\" is forbidden: {why}", qualified(&kind.group, &kind.plural));
    let mut details = crate::sim::status::details(&kind.group, &kind.plural, name);
    details["causes"] = json!([{
        "reason": "NamespaceTerminating",
        "message": format!("namespace {} is being terminated", target.namespace),
        "field": "metadata.namespace",
    }]);
    Err(Status::new(403, "Forbidden", message).with(details))
}
