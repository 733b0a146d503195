//! The service proxy: requests through the API to a server in this process.

use super::path::Place;
use crate::sim::object::{int, list, text};
use crate::sim::status::Status;
use crate::sim::store::Store;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::Uri;
use http::request::Parts;
use std::collections::BTreeMap;
use tower::ServiceExt;

/// Servers by namespace, service and port.
pub type Services = BTreeMap<(String, String, u16), Router>;

/// Passes a request on.
///
/// # Errors
/// 404 for a service that is not there, 503 where nothing answers behind it.
pub async fn answer(
    store: &Store,
    services: &Services,
    place: &Place,
    parts: Parts,
    body: Body,
) -> Result<Response, Status> {
    let unavailable = |why: String| Status::new(503, "ServiceUnavailable", why);
    if place.plural != "services" {
        store
            .get(&place.plural, &place.namespace, &place.name)
            .ok_or_else(|| Status::not_found("", &place.plural, &place.name))?;
        return Err(unavailable(format!("{} {:?} takes no connections", place.plural, place.name)));
    }
    // [scheme:]name[:port]
    let words: Vec<&str> = place.name.split(':').collect();
    let (name, port) = match words.as_slice() {
        [name] => (*name, ""),
        ["http" | "https", name, port] | [name, port] => (*name, *port),
        _ => return Err(Status::bad_request(format!("invalid service request {:?}", place.name))),
    };
    let service = store.get("services", &place.namespace, name);
    let service = service.ok_or_else(|| Status::not_found("", "services", name))?.value();
    let number = list(&service, "spec.ports")
        .iter()
        .filter(|p| port.is_empty() || text(p, "name") == port || int(p, "port").is_some_and(|n| n.to_string() == port))
        .find_map(|p| int(p, "port").and_then(|n| u16::try_from(n).ok()));
    let Some(number) = number else {
        return Err(unavailable(format!("no service port {port:?} found for service {name:?}")));
    };
    let Some(router) = services.get(&(place.namespace.clone(), name.to_owned(), number)) else {
        return Err(unavailable(format!("no endpoints available for service {name:?}")));
    };
    let path = if place.rest.is_empty() { "/" } else { place.rest.as_str() };
    // The rest of the path as it was sent: a decoded one might not be a URI any more.
    let sent = parts.uri.path().split_once("/proxy").map_or(path, |(_, rest)| if rest.is_empty() { "/" } else { rest });
    let target = parts.uri.query().map_or_else(|| sent.to_owned(), |q| format!("{sent}?{q}"));
    let mut request = Request::from_parts(parts, body);
    *request.uri_mut() = target.parse::<Uri>().map_err(|e| Status::bad_request(e.to_string()))?;
    match router.clone().oneshot(request).await {
        Ok(answer) => Ok(answer),
        Err(never) => match never {},
    }
}
