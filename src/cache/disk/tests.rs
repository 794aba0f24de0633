//! An owner that is slow, played by the test. What becomes of one that hangs, dies or ends is shown with real processes:
//! `tests/cache_owner.rs`, `tests/cache_flight.rs`.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::super::frame::{PROTOCOL, read_frame};
use super::super::place::Owned;
use super::*;

/// Only ever used up by a failure.
const LONG: Duration = Duration::from_secs(20);

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

/// Whoever follows, by the way to them and the id of what they asked.
type Followers = Vec<(mpsc::Sender<Vec<u8>>, u64)>;

/// Greets, lets everybody follow, and answers look-ups only when it is awake.
#[derive(Clone)]
struct Sleepy {
    awake: Arc<AtomicBool>,
    followers: Arc<Mutex<Followers>>,
    heard: mpsc::UnboundedSender<Ask>,
    _owned: Arc<Owned>,
}

impl Sleepy {
    fn start(place: &Place) -> (Self, mpsc::UnboundedReceiver<Ask>) {
        place.prepare().unwrap();
        let mut owned = place.own().unwrap().unwrap();
        let socket = place.folder.with_extension("sock");
        let listener = UnixListener::bind(&socket).unwrap();
        owned.sign(&socket).unwrap();
        let (heard, asks) = mpsc::unbounded_channel();
        let sleepy = Self {
            awake: Arc::default(),
            followers: Arc::default(),
            heard,
            _owned: Arc::new(owned),
        };
        let host = sleepy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(host.clone().serve_connection(stream));
            }
        });
        (sleepy, asks)
    }

    async fn serve_connection(self, stream: UnixStream) {
        let (mut from, mut to) = stream.into_split();
        let (frames, mut outgoing) = mpsc::channel::<Vec<u8>>(64);
        tokio::spawn(async move {
            while let Some(frame) = outgoing.recv().await {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut to, &frame).await;
            }
        });
        while let Ok(body) = read_frame(&mut from).await {
            let (id, ask) = Ask::read(&body).unwrap();
            let answer = match &ask {
                Ask::Hello { .. } => Answer::Welcome { protocol: PROTOCOL },
                Ask::Get(_) if !self.awake.load(SeqCst) => continue,
                Ask::Get(_) => Answer::Found(b"found"[..].into()),
                Ask::Join(_) => {
                    self.followers.lock().unwrap().push((frames.clone(), id));
                    Answer::Follow
                }
                _ => Answer::Done,
            };
            let _ = self.heard.send(ask);
            let _ = frames.send(answer.frame(id)).await;
        }
    }

    async fn end_the_flight(&self) {
        let followers = std::mem::take(&mut *self.followers.lock().unwrap());
        for (frames, id) in followers {
            let _ = frames.send(Answer::Over.frame(id)).await;
        }
    }
}

#[tokio::test]
async fn a_look_that_takes_too_long_ends_no_lease_and_loses_nothing_that_was_put() {
    let home = tempfile::tempdir().unwrap();
    let disk = Disk::new(&home.path().join("cache"), 1 << 26, LONG, None);
    let (owner, mut hears) = Sleepy::start(&disk.0.place);
    let Lease::Follow(mut over) = disk.lease(digest(1), &Waiting::default()).await else {
        panic!("it lets everybody follow")
    };
    let connection = disk.0.up().unwrap();
    assert_eq!(
        disk.ask(&connection, &Ask::Get(digest(2)), Duration::from_millis(1))
            .await,
        None
    );
    assert!(
        timeout(Duration::ZERO, &mut over).await.is_err(),
        "the one who follows follows on"
    );
    assert_eq!(
        disk.get(digest(2), &Waiting::default()).await,
        None,
        "and nobody waits for it"
    );
    let bytes: Bytes = b"put meanwhile"[..].into();
    disk.put(digest(3), &bytes);
    let put =
        async { while hears.recv().await.unwrap() != Ask::Put(digest(3), Bytes::clone(&bytes)) {} };
    timeout(LONG, put).await.unwrap();
    owner.end_the_flight().await;
    timeout(LONG, over).await.unwrap();
    owner.awake.store(true, SeqCst);
    let found = async {
        while disk.get(digest(2), &Waiting::default()).await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, found).await.unwrap();
    assert_eq!(disk.trouble(), None);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_given_up_unless_a_lease_hangs_on_it() {
    let home = tempfile::tempdir().unwrap();
    let disk = Disk::new(&home.path().join("cache"), 1 << 26, LONG, None);
    let (owner, mut hears) = Sleepy::start(&disk.0.place);
    owner.awake.store(true, SeqCst);
    let Lease::Follow(over) = disk.lease(digest(1), &Waiting::default()).await else {
        panic!("it lets everybody follow")
    };
    let later = |shared: &Shared| shared.lock().used + idle::IDLE;
    let now = Instant::now();
    assert_eq!(
        disk.0.let_go(now),
        Some(later(&disk.0)),
        "it was used a moment ago"
    );
    let late = later(&disk.0);
    assert_eq!(
        disk.0.let_go(late),
        Some(late + idle::IDLE),
        "somebody follows another's request"
    );
    owner.end_the_flight().await;
    timeout(LONG, over).await.unwrap();
    assert_eq!(disk.0.let_go(late), None);
    assert!(matches!(disk.0.lock().link, Link::Cold));
    // The next one who wants it has it again, and waits for it.
    disk.put(digest(3), &b"put"[..].into());
    let put = async { while !matches!(hears.recv().await.unwrap(), Ask::Put(..)) {} };
    timeout(LONG, put).await.unwrap();
    assert!(matches!(
        disk.lease(digest(2), &Waiting::default()).await,
        Lease::Follow(_)
    ));
    assert_eq!(disk.trouble(), None);
}
