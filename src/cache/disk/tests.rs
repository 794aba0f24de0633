//! An owner that is slow, played by the test. What becomes of one that hangs, dies or ends is shown with real processes:
//! `tests/cache_owner.rs`, `tests/cache_flight.rs`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::*;
use crate::cache::folder::{CacheFolder, OwnerLock};
use crate::cache::frame::{PROTOCOL, read_frame};

/// Only ever used up by a failure.
const LONG: Duration = Duration::from_secs(20);

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

/// The followers: the channel to each, and the id of its request.
type Followers = Vec<(mpsc::Sender<Vec<u8>>, u64)>;

/// An owner that greets, makes every client a follower, and answers look-ups only when it is awake.
#[derive(Clone)]
struct Sleepy {
    awake: Arc<AtomicBool>,
    followers: Arc<Mutex<Followers>>,
    heard: mpsc::UnboundedSender<OwnerRequest>,
    _owned: Arc<OwnerLock>,
}

impl Sleepy {
    fn start(folder: &CacheFolder) -> (Self, mpsc::UnboundedReceiver<OwnerRequest>) {
        folder.prepare().unwrap();
        let mut owned = folder.own().unwrap().unwrap();
        let socket = folder.path.with_extension("sock");
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
            let (id, ask) = OwnerRequest::read(&body).unwrap();
            let answer = match &ask {
                OwnerRequest::Hello { .. } => OwnerReply::Welcome { protocol: PROTOCOL },
                OwnerRequest::Get(_) if !self.awake.load(SeqCst) => continue,
                OwnerRequest::Get(_) => OwnerReply::Found(b"found"[..].into()),
                OwnerRequest::Join(_) => {
                    self.followers.lock().unwrap().push((frames.clone(), id));
                    OwnerReply::Follow
                }
                _ => OwnerReply::Done,
            };
            let _ = self.heard.send(ask);
            let _ = frames.send(answer.frame(id)).await;
        }
    }

    async fn end_the_flight(&self) {
        let followers = std::mem::take(&mut *self.followers.lock().unwrap());
        for (frames, id) in followers {
            let _ = frames.send(OwnerReply::Over.frame(id)).await;
        }
    }
}

#[tokio::test]
async fn a_look_that_takes_too_long_ends_no_lease_and_loses_nothing_that_was_put() {
    let home = tempfile::tempdir().unwrap();
    let disk = DiskTier::new(&home.path().join("cache"), 1 << 26, LONG, None);
    let (owner, mut hears) = Sleepy::start(&disk.0.folder);
    let Lease::Follow(mut over) = disk.lease(digest(1), &Waiting::default()).await else {
        panic!("it makes every client a follower")
    };
    let connection = disk.0.up().unwrap();
    assert_eq!(
        disk.ask(
            &connection,
            &OwnerRequest::Get(digest(2)),
            Duration::from_millis(1)
        )
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
        "and no look-up waits for it"
    );
    let bytes: Bytes = b"put meanwhile"[..].into();
    disk.put(digest(3), &bytes);
    let put = async {
        while hears.recv().await.unwrap() != OwnerRequest::Put(digest(3), Bytes::clone(&bytes)) {}
    };
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
async fn an_unused_connection_is_given_up_unless_a_lease_depends_on_it() {
    let home = tempfile::tempdir().unwrap();
    let disk = DiskTier::new(&home.path().join("cache"), 1 << 26, LONG, None);
    let (owner, mut hears) = Sleepy::start(&disk.0.folder);
    owner.awake.store(true, SeqCst);
    let Lease::Follow(over) = disk.lease(digest(1), &Waiting::default()).await else {
        panic!("it makes every client a follower")
    };
    let later = |shared: &OwnerLink| shared.lock().used + link::IDLE;
    let now = Instant::now();
    assert_eq!(
        disk.0.let_go(now),
        Some(later(&disk.0)),
        "it was used a moment ago"
    );
    let late = later(&disk.0);
    assert_eq!(
        disk.0.let_go(late),
        Some(late + link::IDLE),
        "a follower waits for another request"
    );
    owner.end_the_flight().await;
    timeout(LONG, over).await.unwrap();
    assert_eq!(disk.0.let_go(late), None);
    assert!(matches!(disk.0.lock().link, LinkPhase::Cold));
    // The next one who wants it has it again, and waits for it.
    disk.put(digest(3), &b"put"[..].into());
    let put = async { while !matches!(hears.recv().await.unwrap(), OwnerRequest::Put(..)) {} };
    timeout(LONG, put).await.unwrap();
    assert!(matches!(
        disk.lease(digest(2), &Waiting::default()).await,
        Lease::Follow(_)
    ));
    assert_eq!(disk.trouble(), None);
}
