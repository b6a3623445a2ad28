//! The size and the start time of the functions, and the latency of a trigger.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::endpoint::Behaviour;
use crate::report::{Report, Target, percentile};
use crate::stage::{Stage, binary, confirmation};

const SIGN_UP: &str = "PostConfirmation_ConfirmSignUp";
const TIMEOUT: Duration = Duration::from_secs(5);
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Measures the sizes of the binaries, and of the zip files that are deployed.
pub async fn sizes(report: &mut Report, folder: &Path) -> anyhow::Result<()> {
    for name in ["backup-fn", "replicate-fn", "restore-fn", "twinpool"] {
        let binary = binary(name)?;
        let bootstrap = folder.join("bootstrap");
        std::fs::copy(&binary, &bootstrap)?;
        let zip = folder.join(format!("{name}.zip"));
        let mut python = Command::new("python3");
        python
            .args(["-m", "zipfile", "-c"])
            .arg(&zip)
            .arg(&bootstrap);
        let status = python.status().await.context("cannot run python3")?;
        ensure!(status.success(), "python3 made no zip of {name}");
        let size = |path: &Path| Ok::<_, std::io::Error>(path.metadata()?.len() as f64 / MEBIBYTE);
        report.line(format!("{name}: binary"), size(&binary)?, "MiB", None);
        let target = (name != "twinpool").then_some(Target::AtMost(4.0));
        report.line(format!("{name}: zip"), size(&zip)?, "MiB", target);
    }
    Ok(())
}

/// Measures the time from the start of a process to its first response.
pub async fn starts(report: &mut Report, folder: &Path, times: usize) -> anyhow::Result<()> {
    let stage = Stage::set(Behaviour::default(), folder).await?;
    // restore-fn is not a trigger; it returns an error for this payload.
    for (name, payload, what) in [
        ("backup-fn", confirmation(7, SIGN_UP), "a sign-up"),
        ("replicate-fn", confirmation(7, SIGN_UP), "a sign-up"),
        ("restore-fn", json!({"action": "none"}), "no calls"),
    ] {
        let binary = binary(name)?;
        let mut took = Vec::new();
        for _ in 0..times {
            stage.deploy(name, &binary, &[], TIMEOUT);
            let (answer, time) = stage.invoke(name, &payload).await;
            if name != "restore-fn" {
                ensure!(answer.as_ref() == Ok(&payload), "{name}: {answer:?}");
            }
            took.push(milliseconds(time));
        }
        let what = format!("{name}: spawn to first answer, {what}");
        let target = Some(Target::AtMost(35.0));
        report.line(
            format!("{what}, p50"),
            percentile(&took, 50.0),
            "ms",
            target,
        );
        report.line(format!("{what}, p90"), percentile(&took, 90.0), "ms", None);
        report.raw(what, took);
    }
    Ok(())
}

/// Measures the latency of a warm trigger without the time of the endpoint.
pub async fn warm(report: &mut Report, folder: &Path, times: u64) -> anyhow::Result<()> {
    let stage = Stage::set(Behaviour::default(), folder).await?;
    for (name, operation) in [
        ("backup-fn", "PutObject"),
        ("replicate-fn", "AdminSetUserPassword"),
    ] {
        stage.deploy(name, &binary(name)?, &[], TIMEOUT);
        let mut above = Vec::new();
        let mut own = Vec::new();
        // The first invocations open connections and are not measured.
        for number in 0..times + 20 {
            let payload = confirmation(number, SIGN_UP);
            stage.endpoint.take_seen();
            let (answer, time): (Result<Value, _>, _) = stage.invoke(name, &payload).await;
            ensure!(answer == Ok(payload), "{name}: {answer:?}");
            let seen = stage.endpoint.take_seen();
            ensure!(seen.count(operation) == 1, "{name}: {:?}", seen.calls);
            if number >= 20 {
                above.push(milliseconds(time.saturating_sub(seen.own)));
                own.push(milliseconds(seen.own));
            }
        }
        for (percent, most) in [(50.0, 2.0), (99.0, 5.0)] {
            report.line(
                format!("{name}: trigger above the endpoint's own time, p{percent}"),
                percentile(&above, percent),
                "ms",
                Some(Target::AtMost(most)),
            );
        }
        report.line(
            format!("{name}: the endpoint's own time, p50"),
            percentile(&own, 50.0),
            "ms",
            None,
        );
        report.raw(
            format!("{name}: trigger above the endpoint's own time"),
            above,
        );
        report.raw(format!("{name}: the endpoint's own time"), own);
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
