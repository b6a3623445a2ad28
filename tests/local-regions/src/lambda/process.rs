//! A process of a function: its start, its supervision and its end.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::runtime_api::{FunctionError, Runtime};
use super::{Function, Lambda, Reply, Slot};
use crate::region::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// A handle to a process; dropping it kills the process.
pub(super) struct Process {
    pub(super) function: Arc<Function>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    status: watch::Receiver<Status>,
    keep: oneshot::Sender<()>,
}

/// The state of a process.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Status {
    Starting,
    Ready,
    Failed(FunctionError),
    Ended(String),
}

/// An event that is sent to a process.
pub(super) struct Event {
    pub(super) id: String,
    pub(super) deadline: SystemTime,
    pub(super) payload: Bytes,
    pub(super) reply: oneshot::Sender<Reply>,
}

impl Lambda {
    pub(super) fn spawn(&self, function: Arc<Function>, slot: &Slot) -> io::Result<Process> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let runtime_api = listener.local_addr()?.to_string();
        let listener = TcpListener::from_std(listener)?;

        std::fs::create_dir_all(&self.0.logs)?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.0.logs.join(format!("{}.log", function.name)))?;
        let mut command = Command::new(&function.binary);
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.variables(&function.name, &runtime_api))
            .envs(&function.env)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command.spawn()?;

        let (events, queue) = mpsc::unbounded_channel();
        let (keep, kept) = oneshot::channel();
        let (sender, status) = watch::channel(Status::Starting);
        let runtime = Arc::new(Runtime {
            arn: self.arn(&function.name),
            queue: tokio::sync::Mutex::new(queue),
            current: Mutex::new(None),
            status: sender,
        });
        tokio::spawn(supervise(
            child,
            listener,
            runtime,
            kept,
            slot.kill.subscribe(),
        ));
        Ok(Process {
            function,
            events,
            status,
            keep,
        })
    }

    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
    fn variables(&self, function: &str, runtime_api: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_owned()),
            ("AWS_LAMBDA_FUNCTION_NAME", function.to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            (
                "AWS_LAMBDA_LOG_GROUP_NAME",
                format!("/aws/lambda/{function}"),
            ),
            (
                "AWS_LAMBDA_LOG_STREAM_NAME",
                format!("[$LATEST]{}", Uuid::new_v4().simple()),
            ),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_REGION", self.0.region.clone()),
            ("AWS_DEFAULT_REGION", self.0.region.clone()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
            ("AWS_ENDPOINT_URL", self.0.endpoint.clone()),
        ]
    }
}

impl Process {
    pub(super) fn is_ready(&self) -> bool {
        *self.status.borrow() == Status::Ready
    }

    /// Waits until the process has another status than this one, and returns the new one.
    pub(super) async fn leaves(&mut self, status: &Status) -> Status {
        match self.status.wait_for(|now| now != status).await {
            Ok(now) => now.clone(),
            Err(_) => Status::Ended("supervision ended".to_owned()),
        }
    }

    /// Kills the process, waits until it has ended and returns why.
    pub(super) async fn end(self) -> String {
        let mut status = self.status;
        drop(self.keep);
        match status
            .wait_for(|now| matches!(now, Status::Ended(_)))
            .await
            .as_deref()
        {
            Ok(Status::Ended(reason)) => reason.clone(),
            _ => "failed to initialize".to_owned(),
        }
    }
}

/// Owns a child process: serves the Runtime API to it until it ends, or kills it when it is told to.
async fn supervise(
    mut child: Child,
    listener: TcpListener,
    runtime: Arc<Runtime>,
    kept: oneshot::Receiver<()>,
    mut kill: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let serve = async {
        while let Ok((stream, _)) = listener.accept().await {
            let runtime = runtime.clone();
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let runtime = runtime.clone();
                    async move { Ok::<_, Infallible>(runtime.serve(request).await) }
                });
                // It does not matter here if the function drops the connection.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    };
    tokio::select! {
        _ = child.wait() => {}
        _ = kept => {}
        _ = kill.changed() => {}
        () = serve => {}
    }
    // This has no effect on a process that has already ended.
    let _ = child.start_kill();
    let reason = match child.wait().await {
        Ok(status) => status.to_string(),
        Err(e) => e.to_string(),
    };
    connections.shutdown().await;
    runtime.status.send_if_modified(|status| {
        let failed = matches!(status, Status::Failed(_));
        if !failed {
            *status = Status::Ended(reason);
        }
        !failed
    });
}
