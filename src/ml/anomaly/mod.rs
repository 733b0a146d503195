//! Anomalies of one series, strictly online: every sample is scored by what came before it, then learned.
//!
//! A [`Detector`] derives streams from a series (its value, its jump since the last sample, its level and spread over a
//! short and a long window, and its distance from what the hour, day or week makes usual) and asks of each how novel it
//! is: how far from everything seen so far, in units of the range seen so far. How rarely the stream has been as novel
//! makes that a tail probability, the same on every series. The most surprising stream speaks; a burst speaks once.
//!
//! Beside it stands a [`Deviation`]: how far every single sample is from the level of the last hour or its season, ranked
//! among all distances of the series. It says what was expected, goes on as long as a burst does, and adapts in hours.

mod baseline;
mod detector;
mod known;
mod member;
mod panel;
mod refractory;
mod season;
mod tail;
mod vector;

pub use baseline::Deviation;
pub use detector::{Detector, Evidence, Kind, Score, Stream};
pub use member::ALARM;
pub use panel::{Panel, Proof};
pub use vector::{VectorDetector, VectorScore};

#[cfg(test)]
mod tests;
