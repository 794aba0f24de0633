//! The way to the server: refused, broken before an answer, led elsewhere.

use crate::faults::row::{Books, MODEL, Row, refused, unavailable, whole};
use crate::support::server::{Answer, Script, Server, Step};

pub fn rows() -> Vec<Row> {
    let mut rows = breaks();
    rows.extend(
        [301, 302, 303, 307, 308]
            .into_iter()
            .zip(["301", "302", "303", "307", "308"])
            .map(redirect),
    );
    rows.push(
        Row::of(
            "307 to another path of the same host",
            Script::always(Answer::redirect(307, "/v2/chat/completions")),
        )
        .gets(refused("base_urls"))
        .books_nothing(),
    );
    rows
}

fn breaks() -> Vec<Row> {
    let raw = |steps: Vec<Step>| Answer::raw(steps).usage(20, 0);
    let broken_head = || {
        raw(vec![
            Step::send("HTTP/1.1 200 OK\r\ncontent-ty"),
            Step::Close,
        ])
    };
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n".repeat(3);
    let unary = "{\"choices\":[{\"message\":{\"content\":\"abcdefgh\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":4}}";
    let late = format!(
        "{hints}HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{unary}",
        unary.len()
    );
    // Each of them may have been billed, and each has a hold of its own.
    let always = |fault, answer: Answer| {
        Row::of(fault, Script::always(answer))
            .requests(4)
            .gets(unavailable("closed the connection"))
            .books(Books::Full(4, MODEL))
    };
    vec![
        Row::at("connection refused", None)
            .requests(0)
            .unseen(4)
            .gets(unavailable("cannot be reached"))
            .books_nothing(),
        always("reset before the headers", raw(vec![Step::Reset])),
        always("closed before the headers", raw(vec![Step::Close])),
        always("closed inside the headers", broken_head()),
        Row::new(
            "reset before the headers, then an answer",
            [Answer::raw([Step::Reset]), whole()],
        )
        .requests(2)
        .books(Books::FullAndBill(1, MODEL)),
        Row::new(
            "103 three times, then an answer",
            [Answer::raw([Step::send(late), Step::End]).usage(20, 4)],
        ),
        Row::of(
            "something that is not HTTP",
            Script::always(raw(vec![Step::send("SSH-2.0-OpenSSH_9.9\r\n"), Step::Hang])),
        )
        .gets(unavailable("cannot be read as HTTP"))
        .books_all(),
    ]
}

/// Not a byte reaches the other host.
fn redirect((status, word): (u16, &'static str)) -> Row {
    let fault = match status {
        301 => "301 to another host",
        302 => "302 to another host",
        303 => "303 to another host",
        307 => "307 to another host",
        _ => "308 to another host",
    };
    let trap = Server::trap();
    let target = format!("{}/chat/completions", trap.base_url());
    Row::of(fault, Script::always(Answer::redirect(status, &target)))
        .gets(refused(word))
        .books_nothing()
        .traps(trap)
}
