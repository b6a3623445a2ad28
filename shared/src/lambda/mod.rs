//! What a Lambda function needs around its work: the entry point, the time that is left, logs and metrics.

pub mod deadline;
pub mod function;
pub mod invocation;
pub mod log;
pub mod metrics;
