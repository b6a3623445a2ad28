//! Builds the workspace's own executables when a test needs them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Returns the path of a binary of this workspace. The first call for a binary in a process builds it, so that it is never
/// older than its source.
///
/// # Errors
///
/// Fails if cargo cannot be run or cannot build the binary.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    built("--bin", name)
}

/// Returns the path of an example of this workspace, built like a [`binary`].
///
/// # Errors
///
/// Fails if cargo cannot be run or cannot build the example.
pub fn example(name: &str) -> anyhow::Result<PathBuf> {
    built("--example", name)
}

fn built(kind: &'static str, name: &str) -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<(&str, String), PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(|e| e.into_inner());
    let what = (kind, name.to_owned());
    if let Some(path) = built.get(&what) {
        return Ok(path.clone());
    }
    let path = build(kind, name)?;
    built.insert(what, path.clone());
    Ok(path)
}

fn build(kind: &str, name: &str) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Build scripts watch these variables: if a test passed its own values on, they would run again, and everything that
    // depends on them would be built again.
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy();
        if ours.starts_with("CARGO_PKG_") || ours.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    // With the features of the whole workspace, so that nothing that the tests have compiled is compiled a second time.
    let output = command
        .args(["build", "--quiet", "--workspace", kind, name])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cannot build {name}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no {name}"))
}
