//! Models of continuous batching.
