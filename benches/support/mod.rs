//! A server for benches: OpenAI-compatible as far as an exchange needs it, on loopback, at once.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Tokens of the answer.
pub const TOKENS: usize = 16;

/// When all of the last request had been read; the first token is written at once after that.
pub type Seen = Arc<Mutex<Option<Instant>>>;

/// Answers every request with the same stream, one write to a token, until the runtime ends. `seen` is renewed with each.
pub async fn serve(seen: Seen) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream, Arc::clone(&seen)));
        }
    });
    Ok(address)
}

async fn answer_all(mut stream: TcpStream, seen: Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let writes = writes();
    let mut buffer = Vec::new();
    while take_request(&mut stream, &mut buffer).await? {
        // No holder panics.
        if let Ok(mut seen) = seen.lock() {
            *seen = Some(Instant::now());
        }
        for write in &writes {
            stream.write_all(write).await?;
        }
    }
    Ok(())
}

/// Reads one request, head and body, and forgets it; `false` when the client has gone.
async fn take_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        if let Some(length) = whole(buffer) {
            buffer.drain(..length);
            return Ok(true);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
}

/// The length of the request at the start of `buffer`, if all of it is there.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head])
        .ok()?
        .to_ascii_lowercase();
    let body: usize = text
        .split("content-length:")
        .nth(1)?
        .split("\r\n")
        .next()?
        .trim()
        .parse()
        .ok()?;
    (buffer.len() >= head + body).then_some(head + body)
}

/// Head and first token, the other tokens, the end.
fn writes() -> Vec<Vec<u8>> {
    let chunk = |choices: &str, usage: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\
             \"model\":\"gpt-5-mini\",\"choices\":[{choices}],\"usage\":{usage}}}\n\n"
        )
    };
    let choice = |delta: &str, finish: &str| {
        format!(r#"{{"index":0,"delta":{{{delta}}},"finish_reason":{finish}}}"#)
    };
    let mut parts: Vec<String> = (0..TOKENS)
        .map(|_| chunk(&choice(r#""content":" token""#, "null"), "null"))
        .collect();
    let usage = format!(
        r#"{{"prompt_tokens":9,"completion_tokens":{TOKENS},"total_tokens":{}}}"#,
        TOKENS + 9
    );
    parts.push(chunk(&choice("", r#""stop""#), "null") + &chunk("", &usage) + "data: [DONE]\n\n");
    let length: usize = parts.iter().map(String::len).sum();
    let mut head = String::from("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n");
    // Writing to a `String` cannot fail.
    let _ = write!(head, "Content-Length: {length}\r\n\r\n");
    parts[0].insert_str(0, &head);
    parts.into_iter().map(String::into_bytes).collect()
}
