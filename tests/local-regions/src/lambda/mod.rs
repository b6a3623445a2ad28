//! Lambda of one region: each function is a real process that speaks the Lambda Runtime API.
//!
//! As at AWS, a process serves one event at a time and is used again for the next one, an event past its
//! deadline ends the process with SIGKILL, and calls beyond the function's concurrency are throttled.
//! Unlike AWS, an idle process is not frozen.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::region::{ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY};

/// The longest a process may take from its start to its first request for an event.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>: "The Init phase is limited to 10 seconds."
const INIT_LIMIT: Duration = Duration::from_secs(10);

const API: &str = "/2018-06-01/runtime";

/// The functions of one region. Clones are handles to the same functions; with the last one all processes end.
#[derive(Clone)]
pub struct Lambda(Arc<Inner>);

struct Inner {
    region: String,
    endpoint: String,
    logs: PathBuf,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    lost: watch::Sender<bool>,
}

/// A function as it is deployed.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name in the region.
    pub name: String,
    /// The executable: what would be `bootstrap` at AWS.
    pub binary: PathBuf,
    /// Its own variables; those that Lambda sets are added.
    pub env: BTreeMap<String, String>,
    /// How long one event may take.
    pub timeout: Duration,
    /// How many events may run at once (reserved concurrency).
    pub concurrency: usize,
}

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// There is no function of this name.
    #[error("Function not found")]
    NotFound,
    /// All of the function's concurrency is in use.
    #[error("Rate Exceeded.")]
    Throttled,
    /// The function answered with an error.
    #[error("{error_type}: {message}")]
    Function {
        /// `errorType` of the answer.
        error_type: String,
        /// `errorMessage` of the answer.
        message: String,
    },
    /// The function did not answer in time and was killed.
    #[error("Task timed out after {:.2} seconds", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The process ended, or never started.
    #[error("Runtime exited: {0}")]
    Crashed(String),
}

/// One function and its processes.
struct Slot {
    state: Mutex<State>,
    /// A change ends every process of the function.
    kill: watch::Sender<()>,
}

struct State {
    function: Arc<Function>,
    idle: Vec<Process>,
    busy: usize,
}

/// A process; dropping it kills it.
struct Process {
    function: Arc<Function>,
    events: mpsc::UnboundedSender<Event>,
    status: watch::Receiver<Status>,
    keep: oneshot::Sender<()>,
}

/// Where a process is in its life.
#[derive(Clone, Debug, PartialEq)]
enum Status {
    Starting,
    Ready,
    Failed(FunctionError),
    Ended(String),
}

/// An event on its way to a process.
struct Event {
    id: String,
    deadline: SystemTime,
    payload: Bytes,
    reply: oneshot::Sender<Reply>,
}

type Reply = Result<Bytes, InvokeError>;

impl Lambda {
    /// A region without functions. `endpoint` is their `AWS_ENDPOINT_URL`; `logs` is a folder, where each function's
    /// processes write to `<function>.log`.
    pub fn new(region: &str, endpoint: &str, logs: PathBuf) -> Self {
        Self(Arc::new(Inner {
            region: region.to_owned(),
            endpoint: endpoint.to_owned(),
            logs,
            slots: Mutex::default(),
            lost: watch::Sender::new(false),
        }))
    }

    /// Deploys a function, or replaces the one of this name: its idle processes end, its running ones finish first.
    pub fn create_function(&self, function: Function) {
        let function = Arc::new(function);
        let mut slots = lock(&self.0.slots);
        if let Some(slot) = slots.get(&function.name) {
            let mut state = lock(&slot.state);
            state.idle.clear();
            state.function = function;
            return;
        }
        let slot = Slot {
            state: Mutex::new(State {
                function: function.clone(),
                idle: Vec::new(),
                busy: 0,
            }),
            kill: watch::Sender::new(()),
        };
        slots.insert(function.name.clone(), Arc::new(slot));
    }

    /// The ARN of a function of this region, deployed or not.
    pub fn arn(&self, name: &str) -> String {
        format!(
            "arn:aws:lambda:{}:{ACCOUNT_ID}:function:{name}",
            self.0.region
        )
    }

    /// Invokes a function and waits for its answer. As at AWS, the event runs on when the caller goes away.
    pub async fn invoke(&self, name: &str, payload: Bytes) -> Reply {
        if self.is_lost() {
            return Err(InvokeError::Crashed("the region is lost".to_owned()));
        }
        let slot = lock(&self.0.slots)
            .get(name)
            .cloned()
            .ok_or(InvokeError::NotFound)?;
        let (function, warm) = {
            let mut state = lock(&slot.state);
            if state.busy >= state.function.concurrency {
                return Err(InvokeError::Throttled);
            }
            state.busy += 1;
            state.idle.retain(Process::is_ready);
            (state.function.clone(), state.idle.pop())
        };
        let busy = Busy(Arc::downgrade(&slot));
        let start = match warm {
            Some(process) => Ok(process),
            None => self.start(function, &slot),
        };
        // A task of its own holds no strong reference, so that the Lambda can end while an event runs.
        drop(slot);
        let task = tokio::spawn(async move { busy.run(start?, payload).await });
        task.await
            .unwrap_or_else(|e| Err(InvokeError::Crashed(e.to_string())))
    }

    /// A function as it is deployed now, for a test that changes one thing of it.
    pub fn function(&self, name: &str) -> Option<Function> {
        let slots = lock(&self.0.slots);
        let slot = slots.get(name)?;
        Some(Function::clone(&lock(&slot.state).function))
    }

    /// Sets a variable of a function, as for a new version of it.
    pub fn set_env(&self, name: &str, variable: &str, value: &str) {
        self.change(name, |function| {
            function.env.insert(variable.to_owned(), value.to_owned());
        });
    }

    /// Takes a variable away from a function.
    pub fn unset_env(&self, name: &str, variable: &str) {
        self.change(name, |function| {
            function.env.remove(variable);
        });
    }

    /// Sets how long one event of a function may take.
    pub fn set_timeout(&self, name: &str, timeout: Duration) {
        self.change(name, |function| function.timeout = timeout);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Function)) {
        let mut function = self.function(name).expect("the function is deployed");
        change(&mut function);
        self.create_function(function);
    }

    /// Kills whatever runs of this function, now.
    pub fn kill(&self, name: &str) {
        if let Some(slot) = lock(&self.0.slots).get(name) {
            lock(&slot.state).idle.clear();
            slot.kill.send_replace(());
        }
    }

    /// Ends every process and refuses invocations while `lost`.
    pub(crate) fn set_lost(&self, lost: bool) {
        self.0.lost.send_replace(lost);
        if lost {
            let names: Vec<_> = lock(&self.0.slots).keys().cloned().collect();
            names.iter().for_each(|name| self.kill(name));
        }
    }

    /// Whether the region is lost at the moment.
    pub(crate) fn is_lost(&self) -> bool {
        *self.0.lost.borrow()
    }

    /// Waits while the region is lost.
    pub(crate) async fn present(&self) {
        let mut lost = self.0.lost.subscribe();
        // The sender is this Lambda itself.
        let _ = lost.wait_for(|lost| !lost).await;
    }

    fn start(&self, function: Arc<Function>, slot: &Slot) -> Result<Process, InvokeError> {
        self.spawn(function, slot)
            .map_err(|e| InvokeError::Crashed(format!("cannot start: {e}")))
    }

    fn spawn(&self, function: Arc<Function>, slot: &Slot) -> io::Result<Process> {
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

/// One of the function's concurrency, taken.
struct Busy(Weak<Slot>);

impl Busy {
    async fn run(self, mut process: Process, payload: Bytes) -> Reply {
        // A cold start does not use up the function's time.
        match tokio::time::timeout(INIT_LIMIT, process.leaves(&Status::Starting)).await {
            Ok(Status::Failed(error)) => return Err(error.into()),
            Ok(Status::Ended(reason)) => return Err(InvokeError::Crashed(reason)),
            Ok(_) => {}
            Err(_) => {
                process.end().await;
                return Err(InvokeError::TimedOut(INIT_LIMIT));
            }
        }
        let limit = process.function.timeout;
        let (reply, answer) = oneshot::channel();
        let event = Event {
            id: Uuid::new_v4().to_string(),
            deadline: SystemTime::now() + limit,
            payload,
            reply,
        };
        // Where nobody is left to take the event, the answer fails at once.
        drop(process.events.send(event));
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(reply)) => {
                self.give_back(process);
                reply
            }
            Ok(Err(_)) => Err(InvokeError::Crashed(process.end().await)),
            Err(_) => {
                process.end().await;
                Err(InvokeError::TimedOut(limit))
            }
        }
    }

    fn give_back(&self, process: Process) {
        if let Some(slot) = self.0.upgrade() {
            let mut state = lock(&slot.state);
            if Arc::ptr_eq(&state.function, &process.function) {
                state.idle.push(process);
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(slot) = self.0.upgrade() {
            lock(&slot.state).busy -= 1;
        }
    }
}

impl Process {
    fn is_ready(&self) -> bool {
        *self.status.borrow() == Status::Ready
    }

    /// Waits until the process is no longer in this status.
    async fn leaves(&mut self, status: &Status) -> Status {
        match self.status.wait_for(|now| now != status).await {
            Ok(now) => now.clone(),
            Err(_) => Status::Ended("supervision ended".to_owned()),
        }
    }

    /// Kills the process and waits until it is gone.
    async fn end(self) -> String {
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

/// Lives with the process, whose child it owns: serves the Runtime API and ends when the process does, or ends it.
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
                // A connection that breaks off is the function's affair.
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
    // Does nothing to a process that has ended already.
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

/// What one process sees of Lambda: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
struct Runtime {
    arn: String,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    current: Mutex<Option<(String, oneshot::Sender<Reply>)>>,
    status: watch::Sender<Status>,
}

impl Runtime {
    async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Some(path) = head.uri.path().strip_prefix(API) else {
            return status(StatusCode::NOT_FOUND);
        };
        if head.method == Method::GET && path == "/invocation/next" {
            return self.next().await;
        }
        let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else {
            return status(StatusCode::BAD_REQUEST);
        };
        if head.method != Method::POST {
            return status(StatusCode::METHOD_NOT_ALLOWED);
        }
        match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["init", "error"] => {
                self.status.send_replace(Status::Failed(error_of(&body)));
                status(StatusCode::ACCEPTED)
            }
            ["invocation", id, "response"] => self.answer(id, Ok(body)),
            ["invocation", id, "error"] => self.answer(id, Err(error_of(&body).into())),
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        self.status.send_if_modified(|status| {
            let first = *status == Status::Starting;
            if first {
                *status = Status::Ready;
            }
            first
        });
        let Some(event) = self.queue.lock().await.recv().await else {
            return status(StatusCode::GONE);
        };
        let deadline = event
            .deadline
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &event.id)
            .header(
                "lambda-runtime-deadline-ms",
                deadline.as_millis().to_string(),
            )
            .header("lambda-runtime-invoked-function-arn", &self.arn)
            .body(Full::new(event.payload))
            .expect("valid headers");
        *lock(&self.current) = Some((event.id, event.reply));
        response
    }

    fn answer(&self, id: &str, reply: Reply) -> Response<Full<Bytes>> {
        match lock(&self.current).take_if(|(current, _)| current == id) {
            Some((_, sender)) => {
                // The invocation may have timed out meanwhile.
                let _ = sender.send(reply);
                status(StatusCode::ACCEPTED)
            }
            None => status(StatusCode::BAD_REQUEST),
        }
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    response
}

/// An error as a function reports it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FunctionError {
    error_type: String,
    error_message: String,
}

impl From<FunctionError> for InvokeError {
    fn from(error: FunctionError) -> Self {
        Self::Function {
            error_type: error.error_type,
            message: error.error_message,
        }
    }
}

fn error_of(body: &[u8]) -> FunctionError {
    serde_json::from_slice(body).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no thread panics while it holds this lock")
}
