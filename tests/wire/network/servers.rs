//! Servers that speak TLS, one of them HTTP/2, and a proxy in front of them.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

/// A whole answer as a stream.
pub const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello there.\"},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";
const MODELS: &str = r#"{"data":[{"id":"m"}]}"#;

/// One connection: the heads of its requests, and whether the client took leave in order; `None`: it is still there.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pub heads: Vec<String>,
    pub took_leave: Option<bool>,
}

/// What was heard, connection by connection.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<Line>>>, Arc<Notify>);

impl Heard {
    pub fn connections(&self) -> Vec<Vec<String>> {
        self.lines().into_iter().map(|line| line.heads).collect()
    }

    pub fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until this holds of all connections.
    pub async fn until(&self, what: &str, holds: impl Fn(&[Line]) -> bool) -> Vec<Line> {
        let deadline = tokio::time::Instant::now() + super::support::PATIENCE;
        loop {
            let mut news = std::pin::pin!(self.1.notified());
            // From here on, not from the first look at it.
            news.as_mut().enable();
            let lines = self.lines();
            if holds(&lines) {
                return lines;
            }
            let late = tokio::time::timeout_at(deadline, news).await.is_err();
            assert!(!late, "waited in vain for {what}: {lines:#?}");
        }
    }

    pub fn requests(&self) -> Vec<String> {
        self.connections().concat()
    }

    fn open(&self) -> usize {
        let mut all = self.0.lock().unwrap();
        all.push(Line::default());
        all.len() - 1
    }

    fn change(&self, connection: usize, change: impl FnOnce(&mut Line)) {
        change(&mut self.0.lock().unwrap()[connection]);
        self.1.notify_waiters();
    }

    fn note(&self, connection: usize, head: String) {
        self.change(connection, |line| line.heads.push(head));
    }

    fn end(&self, connection: usize, in_order: bool) {
        self.change(connection, |line| line.took_leave = Some(in_order));
    }
}

fn acceptor(name: &str, alpn: &str) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(data(&format!("{name}.pem")))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(data(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = config
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// A list of models and an answer behind the certificate `name`; it speaks HTTP/1.1, whatever `alpn` says.
pub async fn tls_server(name: &str, alpn: &str) -> (SocketAddr, Heard) {
    tls_server_of(name, alpn, 1).await
}

/// As [`tls_server`]; answers are given when so many requests for one wait at the same time.
pub async fn tls_server_of(name: &str, alpn: &str, together: usize) -> (SocketAddr, Heard) {
    let (acceptor, gate) = (acceptor(name, alpn), Arc::new(Barrier::new(together)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
    let noted = heard.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, heard, gate) = (acceptor.clone(), noted.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(socket).await else {
                    return;
                };
                let connection = heard.open();
                loop {
                    match head(&mut stream).await {
                        Ok(Some(asked)) => {
                            answer(&mut stream, &heard, connection, asked, &gate).await;
                        }
                        Ok(None) => return heard.end(connection, true),
                        Err(_) => return heard.end(connection, false),
                    }
                }
            });
        }
    });
    (address, heard)
}

/// Notes one request and answers it.
async fn answer<S>(stream: &mut S, heard: &Heard, connection: usize, asked: String, gate: &Barrier)
where
    S: AsyncRead + AsyncWriteExt + Unpin,
{
    let length = asked
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    let (body, asks) = match asked.split(' ').next() {
        Some("head") => ("", false),
        Some("post") => (STREAM, true),
        _ => (MODELS, false),
    };
    heard.note(connection, asked);
    if asks {
        gate.wait().await;
    }
    let kind = if asks {
        "text/event-stream"
    } else {
        "application/json"
    };
    // A clock that is years behind.
    let date = "Mon, 01 Jan 2024 00:00:00 GMT";
    let length = body.len();
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n"
    );
    let _ = stream.write_all((response + body).as_bytes()).await;
}

/// The same in HTTP/2.
pub async fn h2_server(together: usize) -> (SocketAddr, Heard) {
    let (acceptor, gate) = (acceptor("good", "h2"), Arc::new(Barrier::new(together)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
    let noted = heard.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, heard, gate) = (acceptor.clone(), noted.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else {
                    return;
                };
                let (connection, noted) = (heard.open(), heard.clone());
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let (heard, gate) = (noted.clone(), Arc::clone(&gate));
                    async move {
                        let key = if request.headers().contains_key("authorization") {
                            " with a key"
                        } else {
                            ""
                        };
                        let asked = format!("{} {}{key}", request.method(), request.uri().path());
                        let asks = request.method() == "POST";
                        let _ = request.into_body().collect().await;
                        heard.note(connection, asked.to_ascii_lowercase());
                        if asks {
                            gate.wait().await;
                        }
                        let kind = if asks {
                            "text/event-stream"
                        } else {
                            "application/json"
                        };
                        let body = Full::new(Bytes::from_static(
                            if asks { STREAM } else { MODELS }.as_bytes(),
                        ));
                        hyper::Response::builder()
                            .header("content-type", kind)
                            .body(body)
                    }
                });
                let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let served = served.serve_connection(TokioIo::new(stream), service).await;
                heard.end(connection, served.is_ok());
            });
        }
    });
    (address, heard)
}

/// A proxy that leads every tunnel to one place, or refuses it.
pub async fn proxy(to: Option<SocketAddr>) -> (SocketAddr, Heard) {
    proxy_of(to, usize::MAX).await
}

/// As [`proxy`], for so many tunnels; it never answers those who ask for more.
pub async fn proxy_of(to: Option<SocketAddr>, tunnels: usize) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
    let noted = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let heard = noted.clone();
            tokio::spawn(async move {
                let connection = heard.open();
                let Ok(Some(asked)) = head(&mut socket).await else {
                    return;
                };
                heard.note(connection, asked);
                if connection >= tunnels {
                    // Open until the client gives it up.
                    let _ = head(&mut socket).await;
                    return;
                }
                let Some(to) = to else {
                    let refusal =
                        "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
                    let _ = socket.write_all(refusal.as_bytes()).await;
                    return;
                };
                let mut onward = TcpStream::connect(to).await.unwrap();
                socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut socket, &mut onward).await;
            });
        }
    });
    (address, heard)
}

/// The head of one request, without the empty line; `None` when the other side took its leave.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<String>> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        bytes.push(byte[0]);
    }
    Ok(Some(
        String::from_utf8_lossy(&bytes)
            .trim_end()
            .to_ascii_lowercase(),
    ))
}
