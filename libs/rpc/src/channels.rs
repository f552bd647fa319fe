//! One HTTP/2 connection per address, shared by every client of this process.
//!
//! Connections are made when first used and made again by themselves. A call on an address that cannot be reached fails within
//! [`CONNECT_TIMEOUT`]; and while a connect failed a short time ago, calls fail at once instead of queueing behind attempt after attempt,
//! so that one dead host does not hold every request for a second. A peer that hangs (stopped, or cut off without a reset) is noticed by
//! HTTP/2 pings after [`KEEPALIVE_INTERVAL`] + [`KEEPALIVE_TIMEOUT`].

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use runtime::clock::SharedClock;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use crate::error::RpcError;

/// How long a TCP connect (name resolution included) may take. Within one data centre a connect takes under a millisecond; a second means that nobody answers.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often an open connection is checked, also while idle, so that a dead one is replaced before it is needed.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a ping may go unanswered before the connection is given up.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// For how long calls fail at once after the first failed connect; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest such pause: a peer that comes back is used again after at most this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Flow-control windows. The default of 64 KiB stalls batches of megabytes; 4 MiB per connection bounds what one peer can make us hold.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The largest HTTP/2 frame that is taken. Messages of megabytes in frames of the default 16 KiB cost half as much CPU again (measured on pushes of
/// 2,000 series over loopback: 380 ns per series, and 245 with frames of this size).
const MAX_FRAME: u32 = 1 << 20;

/// Addresses that nobody asked for during this time are dropped from the pool when it grows: instances come and go with new addresses.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Channels by address. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Channels {
    clock: SharedClock,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

struct Entry {
    channel: Channel,
    used: Duration,
    takes_hashes: Arc<AtomicBool>,
}

impl Channels {
    /// An empty pool.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, entries: Arc::default() }
    }

    /// The channel to `host:port`. Does not connect; fails only if the address is not one. Needs a tokio runtime.
    pub fn get(&self, address: &str) -> Result<Channel, RpcError> {
        self.with(address, |entry| entry.channel.clone())
    }

    /// Whether the ingester at this address takes pushes whose series are named by hash, and it is worth it; false until it has said so.
    pub(crate) fn takes_hashes(&self, address: &str) -> Result<Arc<AtomicBool>, RpcError> {
        self.with(address, |entry| Arc::clone(&entry.takes_hashes))
    }

    fn with<T>(&self, address: &str, take: impl FnOnce(&Entry) -> T) -> Result<T, RpcError> {
        let now = self.clock.monotonic();
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get_mut(address) {
            entry.used = now;
            return Ok(take(entry));
        }
        let entry = Entry { channel: self.open(address)?, used: now, takes_hashes: Arc::default() };
        let taken = take(&entry);
        entries.retain(|_, entry| now.saturating_sub(entry.used) < FORGET_AFTER);
        entries.insert(address.to_owned(), entry);
        Ok(taken)
    }

    fn open(&self, address: &str) -> Result<Channel, RpcError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| RpcError::unavailable(format!("{address:?} is not an address (host:port): {e}")))?
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME);
        let connector =
            Connector { address: address.into(), clock: Arc::clone(&self.clock), gate: Arc::new(Mutex::new(ConnectGate::default())) };
        Ok(endpoint.connect_with_connector_lazy(connector))
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channels").field("addresses", &self.entries.lock().len()).finish_non_exhaustive()
    }
}

/// Whether it is time to try to connect. Pure.
#[derive(Debug, Default)]
struct ConnectGate {
    /// Failures since the last success.
    failures: u32,
    /// Until when attempts fail at once.
    closed_until: Duration,
}

impl ConnectGate {
    fn is_closed(&self, now: Duration) -> bool {
        now < self.closed_until
    }

    fn failed(&mut self, now: Duration) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.closed_until = now.saturating_add(pause);
    }

    fn succeeded(&mut self) {
        *self = Self::default();
    }
}

/// Connects by TCP, at most once at a time (tonic asks for one connection per channel), and not while the gate is closed.
#[derive(Clone)]
struct Connector {
    address: Arc<str>,
    clock: SharedClock,
    gate: Arc<Mutex<ConnectGate>>,
}

impl Connector {
    async fn connect(self) -> io::Result<TokioIo<TcpStream>> {
        let address = &*self.address;
        if self.gate.lock().is_closed(self.clock.monotonic()) {
            return Err(io::Error::new(io::ErrorKind::NotConnected, format!("{address} could not be reached a moment ago")));
        }
        // The gate must learn of the timeout, hence it is here and not around the connector.
        let result = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {CONNECT_TIMEOUT:?}"))),
        };
        let mut gate = self.gate.lock();
        match result.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => {
                gate.succeeded();
                Ok(TokioIo::new(stream))
            }
            Err(e) => {
                gate.failed(self.clock.monotonic());
                Err(io::Error::new(e.kind(), format!("{address} cannot be reached: {e}")))
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

#[cfg(test)]
mod tests;
