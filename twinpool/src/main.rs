//! twinpool: the command line of the operator.
fn main() {}
