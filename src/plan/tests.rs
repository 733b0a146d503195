//! Table of scenarios.
