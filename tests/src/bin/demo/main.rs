//! The demo: the page of `examples/web` in a browser, with both regions on this machine and a button for each step of a failover.
//!
//! - [`drill`]: the regions, the configuration that the page reads, and what each button does
//! - [`server`]: the HTTP server of the page, on 127.0.0.1 only

mod drill;
mod server;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Parser;
use tokio::net::TcpListener;

use crate::drill::Drill;

/// Serves a page in which a failover can be seen, with two regions on this machine: no AWS account, no Docker.
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// The port of the page; 0 means any free port
    #[arg(long, value_name = "PORT", default_value_t = 4500)]
    port: u16,
    /// The ports of Tokyo and Osaka; 0 means any free port
    #[arg(long, value_name = "PORT", num_args = 2, default_values_t = [4501, 4503])]
    regions: Vec<u16>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let page = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/web"));
    ensure!(
        page.join("dist/page.js").exists(),
        "the page is not built: run make demo"
    );
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await;
    let listener =
        listener.with_context(|| format!("cannot listen on 127.0.0.1:{}", arguments.port))?;
    let ports = [arguments.regions[0], arguments.regions[1]];
    let drill = Arc::new(Drill::start(ports).await?);
    println!(
        "Open http://{} in a browser. Ctrl-C ends it.",
        listener.local_addr()?
    );
    tokio::select! {
        () = server::serve(listener, page, drill) => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    Ok(())
}
