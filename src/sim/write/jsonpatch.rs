//! JSON Patch (RFC 6902) with the errors of the real server's library (evanphx/json-patch).

use crate::sim::status::Status;
use serde_json::{Value, json};

/// What a patch may cost: as many operations as the real server takes.
const MOST: usize = 10_000;

/// Applies a patch document.
pub fn apply(object: &mut Value, patch: &Value) -> Result<(), Status> {
    let Value::Array(operations) = patch else {
        let said = if patch.is_object() { "object" } else { "value" };
        return Err(Status::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {said} into Go value of type []handlers.jsonPatchOp"
        )));
    };
    if operations.len() > MOST {
        return Err(Status::new(
            413,
            "RequestEntityTooLarge",
            format!("The allowed maximum operations in a JSON patch is {MOST}, got {}", operations.len()),
        ));
    }
    for operation in operations {
        // Why it does not apply is in the server's log only.
        one(object, operation).map_err(|()| {
            Status::new(422, "Invalid", "the server rejected our request due to an error in our request")
                .with(json!({}))
        })?;
    }
    Ok(())
}

/// One operation; a value at a path of an object that is not there yet is replaced, too, as by the real server.
fn one(object: &mut Value, operation: &Value) -> Result<(), ()> {
    let said = |key: &str| operation.get(key).and_then(Value::as_str);
    let path = said("path").unwrap_or_default();
    let given = || operation.get("value").cloned().unwrap_or_default();
    match said("op").unwrap_or_default() {
        "add" => add(object, path, given()),
        "remove" => remove(object, path).map(drop),
        "replace" => match object.pointer_mut(path) {
            Some(here) => {
                *here = given();
                Ok(())
            }
            None => add(object, path, given()),
        },
        "move" => {
            let value = remove(object, said("from").unwrap_or_default())?;
            add(object, path, value)
        }
        "copy" => {
            let value = object.pointer(said("from").unwrap_or_default()).cloned().ok_or(())?;
            add(object, path, value)
        }
        "test" => match object.pointer(path) {
            Some(here) if *here == given() => Ok(()),
            None if given().is_null() => Ok(()),
            _ => Err(()),
        },
        _ => Err(()),
    }
}

fn split(path: &str) -> (&str, String) {
    let (parent, key) = path.rsplit_once('/').unwrap_or(("", path));
    (parent, key.replace("~1", "/").replace("~0", "~"))
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), ()> {
    let (parent, key) = split(path);
    match object.pointer_mut(parent).ok_or(())? {
        Value::Object(map) => {
            map.insert(key, value);
            Ok(())
        }
        Value::Array(items) => {
            let index = if key == "-" { items.len() } else { index(&key, items.len() + 1)? };
            items.insert(index, value);
            Ok(())
        }
        _ => Err(()),
    }
}

fn remove(object: &mut Value, path: &str) -> Result<Value, ()> {
    let (parent, key) = split(path);
    match object.pointer_mut(parent).ok_or(())? {
        Value::Object(map) => map.shift_remove(&key).ok_or(()),
        Value::Array(items) => {
            let index = index(&key, items.len())?;
            Ok(items.remove(index))
        }
        _ => Err(()),
    }
}

fn index(key: &str, below: usize) -> Result<usize, ()> {
    key.parse().ok().filter(|i| *i < below).ok_or(())
}

/// JSON Merge Patch (RFC 7396).
pub fn merge(object: &mut Value, patch: &Value) {
    json_patch::merge(object, patch);
}
