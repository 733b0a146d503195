//! Trained models on disk: a manifest that says what a model is, its payload, and the versions before it.
//!
//! One file holds one version: a line `kansole-model FORMAT SHA256`, the manifest as one line of JSON with that sum,
//! then the payload, whose length and sum the manifest holds. So every byte is covered by a sum, and `head -2` shows
//! the card. Files and the name of the current version are written beside their place, synced and renamed: a crash
//! leaves the old or the new, never half of one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The format written, and the newest that can be read.
pub const FORMAT: u32 = 1;
/// First word of every file.
const MAGIC: &str = "kansole-model";
/// A longer file is not read: the largest model here is below a hundredth of this.
const MOST_BYTES: u64 = 256 << 20;
/// A manifest is a card, not a store.
const MOST_MANIFEST: usize = 1 << 20;

/// What a model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// Where the data came from, in words an operator knows.
    pub source: String,
    /// Samples.
    pub samples: u64,
    /// Time of the first sample.
    pub from: DateTime<Utc>,
    /// Time of the last sample.
    pub until: DateTime<Utc>,
}

/// What is known of a model before it is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// What can read the payload, such as `lstm-classifier`.
    pub kind: String,
    /// [`feature_hash`] of its inputs.
    pub features: String,
    /// When training ended.
    pub trained_at: DateTime<Utc>,
    /// What it learned from.
    pub trained_on: TrainedOn,
    /// Figures of the back-test by name; all finite.
    pub back_test: BTreeMap<String, f64>,
    /// Training and validation loss after each epoch, for what learns in epochs.
    #[serde(default)]
    pub losses: Vec<[f64; 2]>,
}

/// The manifest of a saved version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What was known when it was saved.
    #[serde(flatten)]
    pub card: Card,
    /// Counts up from 1; never used twice while a later version exists.
    pub version: u32,
    /// Bytes of the payload.
    pub payload_bytes: u64,
    /// SHA-256 of the payload, in lower-case hex.
    pub payload_sha256: String,
}

/// Why a model was not saved or not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file is no model of ours.
    #[error("{0}: not a kansole model")]
    Foreign(PathBuf),
    /// The file was written by a later version of this program.
    #[error("{path}: written in format {found}, this kansole reads up to {FORMAT}; update kansole or roll back")]
    Future {
        /// File.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The file is cut or changed.
    #[error("{path}: damaged: {reason}; roll back to an earlier version or train again")]
    Damaged {
        /// File.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The model is of another kind than asked for.
    #[error("{path}: holds a {found}, not a {expected}")]
    Kind {
        /// File.
        path: PathBuf,
        /// Kind in the file.
        found: String,
        /// Kind asked for.
        expected: String,
    },
    /// The model was trained on other inputs.
    #[error("{0}: trained on other features than this kansole computes; train again")]
    Features(PathBuf),
    /// There is no such model or version.
    #[error("{0}: no saved version")]
    Missing(PathBuf),
    /// A name that can't be a folder's, or a figure that is no number.
    #[error("{0}")]
    Refused(String),
}

/// A model that can be read and was trained on what is computed here.
fn fitting(
    path: &Path,
    (manifest, payload): (Manifest, Vec<u8>),
    kind: &str,
    features: &str,
) -> Result<(Manifest, Vec<u8>), Error> {
    if manifest.card.kind != kind {
        return Err(Error::Kind { path: path.to_owned(), found: manifest.card.kind, expected: kind.to_owned() });
    }
    if manifest.card.features != features {
        return Err(Error::Features(path.to_owned()));
    }
    Ok((manifest, payload))
}

/// Hash of the names of a model's inputs in their order: models are only used on what they were trained on.
pub fn feature_hash<S: AsRef<str>>(names: &[S]) -> String {
    let mut hash = Sha256::new();
    for name in names {
        hash.update((name.as_ref().len() as u64).to_le_bytes());
        hash.update(name.as_ref());
    }
    hex(&hash.finalize())
}

/// The saved models of one folder, each under its name with its versions.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    keep: usize,
}

impl Store {
    /// Models under `folder`, made when the first is saved; of each, the newest `keep` versions stay (at least two,
    /// so that there is one to roll back to).
    pub fn new(folder: impl Into<PathBuf>, keep: usize) -> Self {
        Self { folder: folder.into(), keep: keep.max(2) }
    }

    /// Saves a new version and makes it the current one. Returns its manifest.
    pub fn save(&self, name: &str, card: Card, payload: &[u8]) -> Result<Manifest, Error> {
        if let Some((figure, _)) = card.back_test.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::Refused(format!("back-test figure {figure} of {name} is no finite number")));
        }
        let folder = self.folder_of(name)?;
        std::fs::create_dir_all(&folder).map_err(|source| Error::Io { path: folder.clone(), source })?;
        let version = self.versions(name)?.last().map_or(1, |last| last + 1);
        let manifest = Manifest {
            card,
            version,
            payload_bytes: payload.len() as u64,
            payload_sha256: hex(&Sha256::digest(payload)),
        };
        write_atomically(&folder, &file_name(version), &encode(&manifest, payload)?)?;
        write_atomically(&folder, CURRENT, version.to_string().as_bytes())?;
        self.prune(name, version)?;
        Ok(manifest)
    }

    /// The current version of a model of `kind` with these `features` ([`feature_hash`]).
    pub fn load(&self, name: &str, kind: &str, features: &str) -> Result<(Manifest, Vec<u8>), Error> {
        let version = self.current(name)?;
        let path = self.folder_of(name)?.join(file_name(version));
        let (manifest, payload) = read(&path)?;
        if manifest.version != version {
            let reason = format!("the file of version {version} says it is version {}", manifest.version);
            return Err(Error::Damaged { path, reason });
        }
        fitting(&path, (manifest, payload), kind, features)
    }

    /// Number of the current version.
    pub fn current(&self, name: &str) -> Result<u32, Error> {
        let path = self.folder_of(name)?.join(CURRENT);
        match std::fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|_| Error::Damaged { path, reason: "it should hold a version's number".to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Missing(path)),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// Numbers of the saved versions, rising; empty when there is none.
    pub fn versions(&self, name: &str) -> Result<Vec<u32>, Error> {
        let folder = self.folder_of(name)?;
        let fail = |source| Error::Io { path: folder.clone(), source };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let file = entry.map_err(fail)?.file_name();
            if let Some(version) = file.to_str().and_then(version_of) {
                versions.push(version);
            }
        }
        versions.sort_unstable();
        Ok(versions)
    }

    /// Makes the newest readable version before the current one current, and returns its manifest. A damaged one on
    /// the way is passed over; the version rolled back from stays on disk until it is pruned.
    pub fn roll_back(&self, name: &str) -> Result<Manifest, Error> {
        let folder = self.folder_of(name)?;
        let versions = self.versions(name)?;
        let current = match self.current(name) {
            Err(Error::Damaged { .. }) => versions.last().copied().unwrap_or(0), // as if the newest were current
            other => other?,
        };
        let mut refused = None;
        for version in versions.into_iter().rev().filter(|version| *version < current) {
            match read(&folder.join(file_name(version))) {
                Ok((manifest, _)) => {
                    write_atomically(&folder, CURRENT, version.to_string().as_bytes())?;
                    return Ok(manifest);
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(Error::Missing(folder)))
    }

    /// Forgets a model and all its versions.
    pub fn forget(&self, name: &str) -> Result<(), Error> {
        let folder = self.folder_of(name)?;
        match std::fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Io { path: folder, source }),
            _ => Ok(()),
        }
    }

    /// Removes all but the newest versions; the current one always stays.
    fn prune(&self, name: &str, current: u32) -> Result<(), Error> {
        let folder = self.folder_of(name)?;
        for version in self.versions(name)?.into_iter().rev().skip(self.keep).filter(|version| *version != current) {
            let path = folder.join(file_name(version));
            std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;
        }
        Ok(())
    }

    fn folder_of(&self, name: &str) -> Result<PathBuf, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.chars().all(plain) {
            return Err(Error::Refused(format!(
                "{name:?} can't name a model: letters, digits, '-', '_' and '.' only, not starting with '.'"
            )));
        }
        Ok(self.folder.join(name))
    }
}

/// File that holds the number of the current version.
const CURRENT: &str = "current";

fn file_name(version: u32) -> String {
    format!("{version:010}.model")
}

fn version_of(file: &str) -> Option<u32> {
    let version = file.strip_suffix(".model")?.parse().ok()?;
    (file_name(version) == file).then_some(version)
}

fn encode(manifest: &Manifest, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_string(manifest).map_err(|error| Error::Refused(error.to_string()))?;
    let mut bytes = format!("{MAGIC} {FORMAT} {}\n{json}\n", hex(&Sha256::digest(&json))).into_bytes();
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// Reads and checks one file.
fn read(path: &Path) -> Result<(Manifest, Vec<u8>), Error> {
    let fail = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing(path.to_owned()),
        _ => Error::Io { path: path.to_owned(), source },
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(fail)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::Damaged { path: path.to_owned(), reason: format!("longer than {MOST_BYTES} bytes") });
    }
    decode(path, &bytes)
}

/// Takes a file's bytes apart; `path` is for errors.
fn decode(path: &Path, bytes: &[u8]) -> Result<(Manifest, Vec<u8>), Error> {
    let damaged = |reason: &str| Error::Damaged { path: path.to_owned(), reason: reason.to_owned() };
    let foreign = || Error::Foreign(path.to_owned());
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).and_then(|rest| rest.strip_prefix(b" ")).ok_or_else(foreign)?;
    let (first, rest) = line(rest, 100).ok_or_else(|| damaged("its first line is cut"))?;
    let first = std::str::from_utf8(first).map_err(|_| damaged("its first line is no text"))?;
    let (format, sum) = first.split_once(' ').ok_or_else(|| damaged("its first line lacks a sum"))?;
    match format.parse::<u32>() {
        Ok(FORMAT) => {}
        Ok(found) if found > FORMAT => return Err(Error::Future { path: path.to_owned(), found }),
        _ => return Err(damaged("its format is no number this kansole knows")),
    }
    let (json, payload) = line(rest, MOST_MANIFEST).ok_or_else(|| damaged("its manifest is cut"))?;
    if hex(&Sha256::digest(json)) != sum {
        return Err(damaged("its manifest does not fit its sum"));
    }
    let manifest: Manifest = serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))?;
    if manifest.payload_bytes != payload.len() as u64 {
        return Err(damaged(&format!("{} bytes of {}", payload.len(), manifest.payload_bytes)));
    }
    if hex(&Sha256::digest(payload)) != manifest.payload_sha256 {
        return Err(damaged("its payload does not fit its sum"));
    }
    Ok((manifest, payload.to_vec()))
}

/// The bytes before the first line end within `most`, and those after it.
fn line(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().take(most).position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn write_atomically(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    let fail = |source| Error::Io { path: path.clone(), source };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    file.persist(&path).map_err(|error| fail(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail) // the rename itself
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
