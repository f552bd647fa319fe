//! The gRPC listener.

use std::time::Duration;

use tokio::net::TcpListener;
use tonic::service::RoutesBuilder;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::{Parts, Stage};
use runtime::ShutdownTrigger;

/// Streams that one connection may have open: pushes, queries and watches of one process.
const MAX_STREAMS_PER_CONNECTION: u32 = 2_048;

/// A peer that does not answer a ping within this time is gone.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Flow-control windows: a push of 2,000 series is about 1 MB, and should not wait for a window update.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The largest HTTP/2 frame that is taken: in the default 16 KiB, a push costs half as much CPU again.
const MAX_FRAME: u32 = 1 << 20;

/// Serves until the stage is ended; streams that are open then have a moment to end.
pub(super) fn serve(parts: &Parts, listener: TcpListener, services: RoutesBuilder) -> Stage {
    let (trigger, mut shutdown) = ShutdownTrigger::new();
    let failures = parts.failures.clone();
    let task = parts.tasks.spawn("grpc", async move {
        let served = Server::builder()
            .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .add_routes(services.routes())
            .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async move { shutdown.requested().await })
            .await;
        if let Err(error) = served {
            // A full channel means that another failure already ends the process.
            let _ = failures.try_send(anyhow::Error::new(error).context("gRPC listener"));
        }
    });
    Stage { trigger, task }
}
