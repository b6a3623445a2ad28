//! Work that must not run longer than a deadline, and whose panic must not end the process.

use std::future::Future;
use std::time::Instant;

/// Why work did not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// The deadline passed.
    #[error("out of time")]
    OutOfTime,
    /// It panicked; the log names the place.
    #[error("a panic")]
    Panicked,
}

/// Runs work until it ends, panics, or the deadline passes.
///
/// # Errors
///
/// The work did not end by itself.
pub async fn run_until<T, W>(deadline: Instant, work: W) -> Result<T, Interrupted>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let mut task = tokio::spawn(work);
    match tokio::time::timeout_at(deadline.into(), &mut task).await {
        Ok(ended) => ended.map_err(|_| Interrupted::Panicked),
        Err(_) => {
            task.abort();
            Err(Interrupted::OutOfTime)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_or_panics_is_interrupted() {
        let soon = Instant::now() + Duration::from_millis(50);

        let hung = run_until(soon, std::future::pending::<()>()).await;
        let panicked = run_until(soon + Duration::from_secs(5), async { panic!("no") }).await;

        assert_eq!(hung, Err(Interrupted::OutOfTime));
        assert_eq!(panicked, Err::<(), _>(Interrupted::Panicked));
    }
}
