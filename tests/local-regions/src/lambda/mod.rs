//! Lambda of one region: each function is a real process that speaks the Lambda Runtime API.
//!
//! As in AWS, a process serves one event at a time and is reused for the next one, a process whose event exceeds the timeout
//! is ended with SIGKILL, and calls above the function's concurrency are throttled. Unlike in AWS, an idle process is not
//! frozen.

mod process;
mod runtime_api;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use self::process::{Event, Process, Status};
use crate::region::ACCOUNT_ID;

/// The longest time that a process may take from its start to its first request for an event.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>: "The Init phase is limited to 10 seconds."
const INIT_TIME_LIMIT: Duration = Duration::from_secs(10);

/// The functions of one region. Clones are handles to the same functions; all processes end when the last one is dropped.
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
    /// The function's name in the region.
    pub name: String,
    /// The executable, which is called `bootstrap` in AWS.
    pub binary: PathBuf,
    /// The function's own environment variables; those that Lambda sets are added.
    pub env: BTreeMap<String, String>,
    /// The time limit of one event.
    pub timeout: Duration,
    /// How many events may run concurrently (reserved concurrency).
    pub concurrency: usize,
}

/// Why an invocation returned no response.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// There is no function with this name.
    #[error("Function not found")]
    NotFound,
    /// All of the function's concurrency is in use.
    #[error("Rate Exceeded.")]
    Throttled,
    /// The function returned an error.
    #[error("{error_type}: {message}")]
    Function {
        /// `errorType` of the error.
        error_type: String,
        /// `errorMessage` of the error.
        message: String,
    },
    /// The function did not respond in time, and its process was killed.
    #[error("Task timed out after {:.2} seconds", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The process ended, or could not be started.
    #[error("Runtime exited: {0}")]
    Crashed(String),
}

/// One function and its processes.
struct Slot {
    state: Mutex<State>,
    /// A new value ends every process of the function.
    kill: watch::Sender<()>,
}

struct State {
    function: Arc<Function>,
    idle: Vec<Process>,
    busy: usize,
}

type Reply = Result<Bytes, InvokeError>;

impl Lambda {
    /// A region without functions. `endpoint` becomes the `AWS_ENDPOINT_URL` of its functions; `logs` is the folder where they
    /// write to `<function>.log`.
    pub fn new(region: &str, endpoint: &str, logs: PathBuf) -> Self {
        Self(Arc::new(Inner {
            region: region.to_owned(),
            endpoint: endpoint.to_owned(),
            logs,
            slots: Mutex::default(),
            lost: watch::Sender::new(false),
        }))
    }

    /// Deploys a function, or replaces the one with the same name: idle processes end, and busy ones finish their event first.
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

    /// The ARN of a function of this region, whether it is deployed or not.
    pub fn arn(&self, name: &str) -> String {
        format!(
            "arn:aws:lambda:{}:{ACCOUNT_ID}:function:{name}",
            self.0.region
        )
    }

    /// Invokes a function and waits for its response. As in AWS, the event is processed even if the caller disconnects.
    ///
    /// # Errors
    ///
    /// Says why there is no response: see [`InvokeError`].
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
        // The task holds no strong reference, so that the Lambda can be dropped while an event is processed.
        drop(slot);
        let task = tokio::spawn(async move { busy.run(start?, payload).await });
        task.await
            .unwrap_or_else(|e| Err(InvokeError::Crashed(e.to_string())))
    }

    /// The deployed function with this name.
    pub fn function(&self, name: &str) -> Option<Function> {
        let slots = lock(&self.0.slots);
        let slot = slots.get(name)?;
        Some(Function::clone(&lock(&slot.state).function))
    }

    /// Sets an environment variable of a function and deploys it again.
    pub fn set_env(&self, name: &str, variable: &str, value: &str) {
        self.change(name, |function| {
            function.env.insert(variable.to_owned(), value.to_owned());
        });
    }

    /// Removes an environment variable from a function and deploys it again.
    pub fn unset_env(&self, name: &str, variable: &str) {
        self.change(name, |function| {
            function.env.remove(variable);
        });
    }

    /// Sets the time limit of one event of a function.
    pub fn set_timeout(&self, name: &str, timeout: Duration) {
        self.change(name, |function| function.timeout = timeout);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Function)) {
        let mut function = self.function(name).expect("the function is deployed");
        change(&mut function);
        self.create_function(function);
    }

    /// Kills all processes of this function.
    pub fn kill(&self, name: &str) {
        if let Some(slot) = lock(&self.0.slots).get(name) {
            lock(&slot.state).idle.clear();
            slot.kill.send_replace(());
        }
    }

    /// Begins or ends an outage: every process ends, and invocations fail while `lost` is true.
    pub(crate) fn set_lost(&self, lost: bool) {
        self.0.lost.send_replace(lost);
        if lost {
            let names: Vec<_> = lock(&self.0.slots).keys().cloned().collect();
            names.iter().for_each(|name| self.kill(name));
        }
    }

    /// Whether the region has an outage now.
    pub(crate) fn is_lost(&self) -> bool {
        *self.0.lost.borrow()
    }

    /// Waits until the region has no outage.
    pub(crate) async fn present(&self) {
        let mut lost = self.0.lost.subscribe();
        // The sender cannot be gone, because this Lambda owns it.
        let _ = lost.wait_for(|lost| !lost).await;
    }

    fn start(&self, function: Arc<Function>, slot: &Slot) -> Result<Process, InvokeError> {
        self.spawn(function, slot)
            .map_err(|e| InvokeError::Crashed(format!("cannot start: {e}")))
    }
}

/// One unit of a function's concurrency, in use until this is dropped.
struct Busy(Weak<Slot>);

impl Busy {
    async fn run(self, mut process: Process, payload: Bytes) -> Reply {
        // A cold start does not count towards the function's time limit.
        match tokio::time::timeout(INIT_TIME_LIMIT, process.leaves(&Status::Starting)).await {
            Ok(Status::Failed(error)) => return Err(error.into()),
            Ok(Status::Ended(reason)) => return Err(InvokeError::Crashed(reason)),
            Ok(_) => {}
            Err(_) => {
                process.end().await;
                return Err(InvokeError::TimedOut(INIT_TIME_LIMIT));
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
        // If the process is gone, waiting for the response fails at once.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no thread panics while it holds this lock")
}
