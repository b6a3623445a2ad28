//! The listeners of the regions, and which region serves a request.

use std::future::poll_fn;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::address::Address;
use super::answers::refused;
use super::pages::Page;
use super::{Region, Reset};
use crate::faults::Service;
use crate::signature::{Refusal, Scope};

/// Serves one listener until this future is dropped; `regions[home]` is the region of the listener.
pub(crate) async fn listen(listener: TcpListener, regions: Arc<[Region]>, home: usize) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(connection(stream, regions.clone(), home));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, regions: Arc<[Region]>, home: usize) {
    // Small responses must not wait in the send buffer.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| Box::pin(route(request, &regions, home)));
    let mut connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let end = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    if end.is_err() {
        let stream = connection.into_parts().io.into_inner();
        // This turns the close that follows into a reset.
        let _ = stream.set_zero_linger();
    }
}

async fn route(
    request: Request<Incoming>,
    regions: &[Region],
    home: usize,
) -> Result<Response<Body>, Reset> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    let Some(scope) = Scope::of(&parts) else {
        // In AWS, the host name says the region. Here, the id of the pool whose document it is says it.
        let of_pool = Page::of(&parts, &body).and_then(|page| page.region().map(str::to_owned));
        let named = of_pool.and_then(|name| regions.iter().find(|region| region.name() == name));
        return named.unwrap_or(&regions[home]).serve(parts, body).await;
    };
    let names = Service::ALL.map(Service::signing_name);
    if !names.contains(&scope.service) {
        return Ok(refused(
            Service::Cognito,
            400,
            "UnknownOperationException",
            &format!("{} is not served here", scope.service),
        ));
    }
    match regions.iter().find(|region| region.name() == scope.region) {
        Some(region) => region.serve(parts, body).await,
        None => {
            let refusal = Refusal::Scope;
            let service = Address::of(&parts, &body).service();
            Ok(refused(service, 400, refusal.code(), &refusal.to_string()))
        }
    }
}
