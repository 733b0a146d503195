//! Doing it: the only room that writes to a cluster.
