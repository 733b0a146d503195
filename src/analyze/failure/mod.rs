//! Failure prediction (A4): which workload is about to fail, why, and when.
//!
//! A [`window`] of 60 steps holds the seven signals and what else is known of a workload. A [`sight`] is what it shows:
//! levels against limits and against its own past, and robust [`trend`]s; a [`scene`] adds who calls whom. Four known
//! patterns are told by [`rules`], which always speak. A [`learner`] learns the worst [`state`] of the next five minutes
//! from labelled pasts ([`course`], with the faults that were [`found`]); it speaks only if it was better than the rules on
//! time it had not seen ([`training`], by the counts of [`score`]), and only in a cluster like the one that it knows ([`habitat`]). [`watch`] does all of it live.

pub mod course;
pub mod features;
pub mod found;
pub mod habitat;
pub mod learner;
mod lstm;
pub mod rules;
pub mod scene;
pub mod score;
pub mod sight;
pub mod state;
pub mod training;
pub mod trend;
pub mod watch;
pub mod window;
