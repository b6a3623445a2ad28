//! The Lambda Runtime API, as one process of a function sees it.

use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::process::{Event, Status};
use super::{InvokeError, Reply, lock};

const API: &str = "/2018-06-01/runtime";

/// The server of the Runtime API for one process: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
pub(super) struct Runtime {
    pub(super) arn: String,
    pub(super) queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    pub(super) current: Mutex<Option<(String, oneshot::Sender<Reply>)>>,
    pub(super) status: watch::Sender<Status>,
}

impl Runtime {
    pub(super) async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
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
                // Nobody receives the response if the invocation has timed out.
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

/// An error in the form in which a function reports it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FunctionError {
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
