//! An S3 server on loopback, for tests: a real wire (HTTP, signatures, XML) over a folder, with faults on request.
//!
//! It runs on a thread of its own and ends when it is dropped. What it stores lies in a temporary folder.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test's own server: it may panic, and it has no clock to be handed")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What goes wrong, and for how many requests; the next requests take the first that has some left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status without doing anything.
    Status(u16),
    /// Closes the connection without doing anything.
    Hangup,
    /// Does what was asked and then closes the connection without an answer.
    LoseAnswer,
    /// Does what was asked, after this long.
    Delay(Duration),
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    requests: usize,
    /// Only requests whose path contains this.
    path: String,
}

#[derive(Debug, Default)]
struct State {
    planned: Vec<Planned>,
    requests: usize,
}

/// A server that runs.
#[derive(Debug)]
pub struct S3Server {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    root: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl S3Server {
    /// A server with these buckets that takes requests without a signature.
    #[must_use]
    pub fn start(buckets: &[&str]) -> Self {
        Self::run(buckets, None)
    }

    /// A server that wants its requests signed with these keys.
    #[must_use]
    pub fn with_keys(buckets: &[&str], access_key: &str, secret_key: &str) -> Self {
        Self::run(buckets, Some(SimpleAuth::from_single(access_key, secret_key)))
    }

    fn run(buckets: &[&str], auth: Option<SimpleAuth>) -> Self {
        let root = TempDir::new().unwrap();
        for bucket in buckets {
            std::fs::create_dir_all(root.path().join(bucket)).unwrap();
        }
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        if let Some(auth) = auth {
            service.set_auth(auth);
        }
        let service = service.build();
        let state = Arc::<Mutex<State>>::default();
        let (stop, stopped) = oneshot::channel();
        let (ready, bound) = std::sync::mpsc::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener, service, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { addr: bound.recv().unwrap(), state, root, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The folder in which the buckets lie.
    #[must_use]
    pub fn root(&self) -> &std::path::Path {
        self.root.path()
    }

    /// Lets the next `requests` requests whose path contains `path` (`""`: any) go wrong.
    pub fn fail(&self, fault: Fault, requests: usize, path: &str) {
        self.state.lock().planned.push(Planned { fault, requests, path: path.to_owned() });
    }

    /// Forgets all faults that are left.
    pub fn heal(&self) {
        self.state.lock().planned.clear();
    }

    /// Requests so far, those that went wrong too.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state.lock().requests
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service, state: Arc<Mutex<State>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (service, state) = (service.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let hangup = Arc::new(tokio::sync::Notify::new());
            let shared = Arc::clone(&hangup);
            let handler = service_fn(move |request| answer(service.clone(), Arc::clone(&state), Arc::clone(&shared), request));
            let builder = Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(socket), handler);
            tokio::select! {
                _ = connection => {}
                () = hangup.notified() => {}
            }
        });
    }
}

async fn answer(
    service: S3Service,
    state: Arc<Mutex<State>>,
    hangup: Arc<tokio::sync::Notify>,
    request: http::Request<Incoming>,
) -> Result<http::Response<s3s::Body>, Infallible> {
    let fault = state.lock().next(request.uri().path());
    let request = request.map(s3s::Body::from);
    let done = match fault {
        Some(Fault::Status(status)) => {
            let body = s3s::Body::from(Bytes::from_static(b"<Error><Code>Planned</Code></Error>"));
            return Ok(http::Response::builder().status(status).body(body).unwrap());
        }
        Some(Fault::Hangup) => return Ok(hang_up(&hangup).await),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            service.call(request).await
        }
        Some(Fault::LoseAnswer) => {
            let _ = service.call(request).await;
            return Ok(hang_up(&hangup).await);
        }
        None => service.call(request).await,
    };
    Ok(done.unwrap_or_else(|e| http::Response::builder().status(500).body(s3s::Body::from(Bytes::from(format!("{e:?}")))).unwrap()))
}

/// Ends the connection; never returns.
async fn hang_up(hangup: &tokio::sync::Notify) -> http::Response<s3s::Body> {
    hangup.notify_one();
    std::future::pending().await
}

impl State {
    fn next(&mut self, path: &str) -> Option<Fault> {
        self.requests += 1;
        let planned = self.planned.iter_mut().find(|p| p.requests > 0 && path.contains(&p.path))?;
        planned.requests -= 1;
        Some(planned.fault.clone())
    }
}
