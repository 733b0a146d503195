//! A trained model as the payload of a model file, packed, and back. None comes with the program: what was taught in the
//! simulated cluster did not beat the rules on sessions that were never taught.

use super::super::habitat::{self, Habitat};
use super::super::learner::{LEARNERS, Learner};
use super::{Examined, Trained};
use crate::ml::model_file::{Manifest, Store, feature_hash};
use crate::model::failure::NotTrained;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

/// What is beside the model itself.
#[derive(Serialize, Deserialize)]
struct Head {
    kind: String,
    threshold: f64,
    trusted: [bool; 4],
    step: u32,
    /// NaN, which JSON cannot hold, is `None`.
    background: Vec<Option<f64>>,
    habitat: Habitat,
}

/// No model here is a hundredth of this.
const MOST: u64 = 64 << 20;

impl Trained {
    /// For [`crate::ml::model_file`]: a line of JSON, then the model, packed.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let head = Head {
            kind: self.kind().to_owned(),
            threshold: self.threshold,
            trusted: self.trusted,
            step: self.step,
            background: self.background.iter().map(|v| v.is_finite().then_some(*v)).collect(),
            habitat: self.habitat.clone(),
        };
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        let head = serde_json::to_string(&head).map_err(|e| e.to_string())?;
        let body = self.model.bytes()?;
        let written = packed.write_all(format!("{head}\n").as_bytes()).and_then(|()| packed.write_all(&body));
        written.and_then(|()| packed.finish()).map_err(|e| e.to_string())
    }

    /// Reads what [`Self::bytes`] wrote.
    pub fn load(bytes: &[u8]) -> Result<Self, String> {
        let mut all = Vec::new();
        GzDecoder::new(bytes).take(MOST).read_to_end(&mut all).map_err(|e| e.to_string())?;
        let end = all.iter().position(|b| *b == b'\n').ok_or("its first line is cut")?;
        let head: Head = serde_json::from_slice(&all[..end]).map_err(|e| e.to_string())?;
        let learner =
            *LEARNERS.iter().find(|l| l.kind() == head.kind).ok_or_else(|| format!("nobody reads {:?}", head.kind))?;
        let columns = learner.columns().len();
        if head.background.is_empty()
            || !head.background.len().is_multiple_of(columns)
            || !head.habitat.is_whole()
            || !(0.0..=1.0).contains(&head.threshold)
        {
            return Err("its first line does not fit the model".to_owned());
        }
        Ok(Self {
            learner,
            model: learner.load(&all[end + 1..])?,
            threshold: head.threshold,
            trusted: head.trusted,
            step: head.step,
            background: head.background.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
            habitat: head.habitat,
        })
    }
}

/// Name of these models in a [`Store`].
pub const NAME: &str = "failure";

/// The model that was trained here, with its card: what the first learner that can read it makes of the file; the error is
/// that of the last.
pub fn saved(store: &Store) -> Result<(Manifest, Trained), NotTrained> {
    let mut why = "there is no learner".to_owned();
    for learner in LEARNERS {
        let read = store.load(NAME, learner.kind(), &features(learner));
        match read.map_err(|e| e.to_string()).and_then(|(card, bytes)| Ok((card, Trained::load(&bytes)?))) {
            Ok(found) => return Ok(found),
            Err(e) => why = e,
        }
    }
    Err(NotTrained::Nothing { need: why.into() })
}

/// What a model's card says of its inputs, and of what its cluster is known by.
pub fn features(learner: &dyn Learner) -> String {
    let mut names = learner.columns();
    names.extend(habitat::NAMES.map(str::to_owned));
    feature_hash(&names)
}

/// Figures of a back-test for a model's card, each speaker's beside the other's.
pub fn figures(examined: &Examined) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for (who, score) in [("model", &examined.model), ("rules", &examined.rules)] {
        let mut put = |what: &str, value: Option<f64>| {
            // What cannot be told has no figure.
            all.extend(value.map(|v| (format!("{who}: {what}"), v)));
        };
        put("episodes", Some(score.episodes as f64));
        put("recall", score.recall());
        put("precision", score.precision());
        put("median lead, seconds", score.lead());
    }
    all
}
