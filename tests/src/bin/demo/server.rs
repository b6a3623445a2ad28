//! The HTTP server of the page: its files, its configuration, and the drill beside it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::drill::Drill;

/// The files of the page, with their types.
const FILES: [(&str, &str, &str); 3] = [
    ("/", "index.html", "text/html; charset=utf-8"),
    ("/style.css", "style.css", "text/css"),
    ("/dist/page.js", "dist/page.js", "text/javascript"),
];

/// Serves the page until this future is dropped.
pub async fn serve(listener: TcpListener, page: PathBuf, drill: Arc<Drill>) {
    let page: Arc<Path> = page.into();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (page, drill) = (page.clone(), drill.clone());
        let service = service_fn(move |request| {
            let answer = answer(&request, &page, &drill);
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

fn answer(request: &Request<Incoming>, page: &Path, drill: &Arc<Drill>) -> Response<Full<Bytes>> {
    // A page of another host, whose name leads to this machine, must not press the buttons.
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !host.starts_with("127.0.0.1:") {
        return response(StatusCode::FORBIDDEN, "text/plain", "127.0.0.1 only".into());
    }
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::GET, "/configuration.json") => json(&drill.configuration()),
        (&Method::GET, "/drill/state") => json(&drill.show()),
        (&Method::POST, _) => {
            let step = path.strip_prefix("/drill/steps/").unwrap_or_default();
            let status = match drill.begin(step) {
                true => StatusCode::ACCEPTED,
                false => StatusCode::CONFLICT,
            };
            response(status, "text/plain", Bytes::new())
        }
        _ => file(page, path),
    }
}

fn file(page: &Path, path: &str) -> Response<Full<Bytes>> {
    let known = FILES.iter().find(|(known, ..)| *known == path);
    let read = known.and_then(|(_, name, kind)| Some((std::fs::read(page.join(name)).ok()?, kind)));
    match read {
        Some((bytes, kind)) if path == "/" => {
            // The page shows the drill only where it is served with one.
            let html = String::from_utf8_lossy(&bytes).replacen("<html ", "<html data-drill ", 1);
            response(StatusCode::OK, kind, html.into())
        }
        Some((bytes, kind)) => response(StatusCode::OK, kind, bytes.into()),
        None => response(StatusCode::NOT_FOUND, "text/plain", "not found".into()),
    }
}

fn json(value: &serde_json::Value) -> Response<Full<Bytes>> {
    response(StatusCode::OK, "application/json", value.to_string().into())
}

fn response(status: StatusCode, kind: &str, body: Bytes) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header(CACHE_CONTROL, "no-store")
        .body(Full::new(body))
        .expect("valid headers")
}
