//! What a process has used: CPU seconds and its peak of memory, as Linux counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// Linux counts in hundredths of a second for every program (USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds of CPU, its own and the kernel's for it.
    pub cpu_s: f64,
    /// The most memory that was resident, in bytes.
    pub peak_bytes: u64,
}

impl Usage {
    /// Of a running process; of one that has ended and is not reaped yet, the CPU seconds alone.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name before may hold anything.
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

    /// Of the process of a function, found by the name that Lambda gave it.
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

/// Runs a command to its end, which must be a success, and tells what it used.
pub async fn run(command: &mut Command) -> anyhow::Result<Usage> {
    let mut child = command.kill_on_drop(true).spawn()?;
    let pid = child.id().context("it has just been started")?;
    let mut usage = Usage::default();
    loop {
        // Until it is waited for, its numbers stay; only the peak is gone with its memory.
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
