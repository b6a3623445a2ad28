//! The resource usage of a process: CPU seconds and peak memory, as Linux counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// Linux reports CPU time in hundredths of a second (USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;

/// The resource usage of a process so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU seconds in user and kernel mode.
    pub cpu_s: f64,
    /// The peak resident memory in bytes.
    pub peak_bytes: u64,
}

impl Usage {
    /// The usage of a running process. For a process that has ended and is not reaped yet, only the CPU seconds are known.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The process name comes first, and can contain any character.
        let (_, fields) = stat.rsplit_once(')').context("no process name")?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok());
        let (user, system) = (ticks(11), ticks(12));
        let ticks = user.zip(system).map(|(user, system)| user + system);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
        Ok(Self {
            cpu_s: ticks.context("no CPU time")? / TICKS_A_SECOND,
            peak_bytes: kib.unwrap_or_default() * 1024,
        })
    }

    /// The usage of the process of a function, which is found by the name in its environment.
    pub fn of_function(name: &str) -> anyhow::Result<Self> {
        let variable = format!("AWS_LAMBDA_FUNCTION_NAME={name}");
        let is_its = |pid: &u32| {
            let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            variables
                .split(|&byte| byte == 0)
                .any(|v| v == variable.as_bytes())
        };
        let pids = fs::read_dir("/proc")?.flatten();
        let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self::of(
            pids.find(is_its)
                .with_context(|| format!("{name} does not run"))?,
        )
    }
}

/// Runs a command, which must succeed, and returns its resource usage.
pub async fn run(command: &mut Command) -> anyhow::Result<Usage> {
    let mut child = command.kill_on_drop(true).spawn()?;
    let pid = child.id().context("it has just been started")?;
    let mut usage = Usage::default();
    loop {
        // The counters remain until the process is reaped, except for the peak memory.
        let now = Usage::of(pid)?;
        usage.cpu_s = now.cpu_s;
        if now.peak_bytes == 0 {
            break;
        }
        usage.peak_bytes = usage.peak_bytes.max(now.peak_bytes);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = child.wait().await?;
    ensure!(
        status.success(),
        "{:?}: {status}",
        command.as_std().get_program()
    );
    Ok(usage)
}
