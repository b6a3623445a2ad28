//! restore-fn: brings people back from a snapshot.
fn main() {}
