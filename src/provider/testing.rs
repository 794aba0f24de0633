//! A server on loopback for the tests of this room: it reads one request per connection and plays its steps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does after it has read a request.
#[derive(Debug, Clone)]
pub(crate) enum ServerStep {
    Send(Vec<u8>),
    /// Sends so many bytes, or until the client has closed the connection.
    Flood(u64),
    /// Sends nothing until the client has closed the connection.
    Hang,
    /// Reads the next request of the same connection.
    Again,
}

pub(crate) struct TestServer {
    pub(crate) address: String,
    /// The requests as received, head and body.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    /// Bytes that were written.
    pub(crate) written: Arc<AtomicU64>,
    pub(crate) connections: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn send(text: impl Into<Vec<u8>>) -> ServerStep {
    ServerStep::Send(text.into())
}

/// A response with this status, headers (each with its line end) and body, which ends with the connection.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> ServerStep {
    send(format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n{body}"
    ))
}

impl TestServer {
    pub(crate) async fn start(steps: Vec<ServerStep>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (requests, written) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicU64::new(0)),
        );
        let connections = Arc::new(AtomicU64::new(0));
        let connected = Arc::clone(&connections);
        let (seen, count) = (Arc::clone(&requests), Arc::clone(&written));
        let task = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                connected.fetch_add(1, Ordering::Relaxed);
                let (steps, seen, count) = (steps.clone(), Arc::clone(&seen), Arc::clone(&count));
                tokio::spawn(async move {
                    while let Some(request) = read_request(&mut socket).await {
                        seen.lock().unwrap().push(request);
                        for step in &steps {
                            if play(&mut socket, step.clone(), &count).await.is_err() {
                                return;
                            }
                        }
                        if !matches!(steps.last(), Some(ServerStep::Again)) {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            address,
            requests,
            written,
            connections,
            task,
        }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn play(socket: &mut TcpStream, step: ServerStep, count: &AtomicU64) -> std::io::Result<()> {
    match step {
        ServerStep::Send(bytes) => {
            socket.write_all(&bytes).await?;
            count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        ServerStep::Flood(total) => {
            let piece = vec![b'x'; 16 * 1024];
            let mut left = total;
            while left > 0 {
                let length = socket.write(&piece).await? as u64;
                count.fetch_add(length, Ordering::Relaxed);
                left = left.saturating_sub(length);
            }
        }
        ServerStep::Again => {}
        ServerStep::Hang => while socket.read(&mut [0]).await? > 0 {},
    }
    Ok(())
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = socket
            .read(&mut piece)
            .await
            .ok()
            .filter(|length| *length > 0)?;
        bytes.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let wanted = head
            .to_ascii_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| {
                rest.split("\r\n")
                    .next()
                    .and_then(|number| number.parse().ok())
                    .unwrap_or(0)
            });
        if body.len() >= wanted {
            return Some(text);
        }
    }
}
