//! A proxy between a store and the server that breaks connections, by what goes over them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::random::Random;

/// What is done to a connection whose client sends a certain text.
#[derive(Clone, Debug)]
pub enum Act {
    /// So many bytes of the request get to the server, then the connection is cut.
    CutRequest(usize),
    /// When somebody says so, the connection is cut, and nothing of the request gets to the server.
    CutWhen(Arc<Notify>),
    /// The server has done it; so many bytes of the answer get to the client, then the connection is cut.
    CutAnswer(usize),
    /// The client sees its connection cut; the request gets to the server a while later.
    Late(Duration),
    /// As above, when somebody, over whatever connection, sends another text: before that is passed on.
    LateBefore(&'static str),
    /// As above, once that other text was answered.
    LateAfter(&'static str),
    /// Nothing goes over the connection any more, and nobody is told.
    Silence,
}

/// Where random cuts are: behind how many bytes connections break, in either direction.
#[derive(Debug)]
struct Cuts {
    random: Random,
    between: std::ops::Range<u64>,
}

/// The end of connections that are idle: one in so many that are used again turns out to be gone.
#[derive(Debug)]
struct Ends {
    random: Random,
    one_in: u64,
}

#[derive(Debug, Default)]
struct Shared {
    armed: Mutex<Option<(String, Act)>>,
    cuts: Mutex<Option<Cuts>>,
    ends: Mutex<Option<Ends>>,
    /// What somebody waits for.
    awaited: Mutex<Option<Awaited>>,
    is_closed: AtomicBool,
    broken: AtomicU64,
    accepted: AtomicU64,
    /// Nothing goes over connections any more that were taken before this one.
    silent_before: AtomicU64,
}

/// A text, and whom to tell before it is passed on and once it was answered.
type Awaited = (&'static str, Arc<Notify>, Arc<Notify>);

/// The proxy, which listens until it is dropped.
pub struct Proxy {
    port: u16,
    server: PgConnectOptions,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Listens in front of a server.
    pub async fn start(server: PgConnectOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, shared) = (listener.local_addr().unwrap().port(), Arc::<Shared>::default());
        let (behind, all) = ((server.get_host().to_owned(), server.get_port()), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if all.is_closed.load(Ordering::SeqCst) {
                    continue;
                }
                let number = all.accepted.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(&behind).await else { continue };
                let wire = Wire::new(number, client, server, Arc::clone(&all));
                tokio::spawn(wire.run());
            }
        });
        Self { port, server, shared, task }
    }

    /// How to connect through it.
    pub fn options(&self) -> PgConnectOptions {
        self.server.clone().host("127.0.0.1").port(self.port)
    }

    /// Breaks the next connection whose client sends this text.
    pub fn arm(&self, text: impl Into<String>, act: Act) {
        *self.shared.armed.lock().unwrap() = Some((text.into(), act));
    }

    /// Tells whether what was armed has happened.
    pub fn has_acted(&self) -> bool {
        self.shared.armed.lock().unwrap().is_none()
    }

    /// Breaks each connection that is made from now on behind some number of bytes, in one direction or the other.
    pub fn cut_at_random(&self, seed: u64, between: std::ops::Range<u64>) {
        *self.shared.cuts.lock().unwrap() = Some(Cuts { random: Random::new(seed), between });
    }

    /// Breaks nothing any more that is made from now on.
    pub fn cut_no_more(&self) {
        *self.shared.cuts.lock().unwrap() = None;
    }

    /// From now on, one in so many connections turns out to be gone when it is used after it was idle. Nothing of that request gets to the server.
    pub fn end_idle(&self, seed: u64, one_in: u64) {
        *self.shared.ends.lock().unwrap() = Some(Ends { random: Random::new(seed), one_in });
    }

    /// From now on nothing goes over the connections that are there, and nobody is told.
    pub fn silence(&self) {
        self.shared.silent_before.store(self.accepted(), Ordering::SeqCst);
    }

    /// Takes no connections, or takes them again.
    pub fn close(&self, close: bool) {
        self.shared.is_closed.store(close, Ordering::SeqCst);
    }

    /// How many connections it broke.
    pub fn broken(&self) -> u64 {
        self.shared.broken.load(Ordering::SeqCst)
    }

    /// How many connections it took.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

/// How a connection breaks at random.
#[derive(Clone, Copy, Debug)]
struct Cut {
    towards_server: bool,
    left: u64,
    how: u64,
}

/// One connection: the client's end and the server's.
struct Wire {
    number: u64,
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    cut: Option<Cut>,
    /// Whether the server has answered everything, outside of a transaction.
    is_idle: bool,
    /// Whom to tell when the server answers next.
    answered: Option<Arc<Notify>>,
}

/// The end of an answer, when no transaction is open.
const READY: &[u8] = b"Z\0\0\0\x05I";

/// An error that ends a session.
const ENDED: &[u8] = b"E\0\0\0\x2bSFATAL\0VFATAL\0C57P01\0Mterminating now\0\0";

enum Next {
    GoOn,
    End,
}

impl Wire {
    fn new(number: u64, client: TcpStream, server: TcpStream, shared: Arc<Shared>) -> Self {
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
        }
        let cut = shared.cuts.lock().unwrap().as_mut().map(|cuts| {
            let span = cuts.between.end - cuts.between.start;
            // As many short lives as long ones: the square of a fraction.
            let fraction = cuts.random.below(1_000).pow(2) * span / 1_000_000;
            let (towards_server, how) = (cuts.random.below(2) == 0, cuts.random.below(3));
            Cut { towards_server, left: cuts.between.start + fraction, how }
        });
        Self { number, client, server, shared, cut, is_idle: false, answered: None }
    }

    async fn run(mut self) {
        let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            let next = tokio::select! {
                biased;
                read = self.server.read(&mut down) => match read {
                    Ok(count) if count > 0 => self.answer(&down[..count]).await,
                    _ => Next::End,
                },
                read = self.client.read(&mut up) => match read {
                    Ok(count) if count > 0 => self.request(&up[..count]).await,
                    _ => Next::End,
                },
            };
            if matches!(next, Next::End) {
                return;
            }
        }
    }

    async fn answer(&mut self, bytes: &[u8]) -> Next {
        self.pass_if_not_silent().await;
        if let Some(cut) = self.cut.filter(|cut| !cut.towards_server) {
            let Some(left) = cut.left.checked_sub(bytes.len() as u64) else {
                let _ = self.client.write_all(&bytes[..usize::try_from(cut.left).unwrap()]).await;
                return self.broken();
            };
            self.cut = Some(Cut { left, ..cut });
        }
        if let Some(answered) = self.answered.take() {
            answered.notify_one();
        }
        self.is_idle = bytes.ends_with(READY);
        sent(self.client.write_all(bytes).await)
    }

    async fn pass_if_not_silent(&self) {
        if self.number < self.shared.silent_before.load(Ordering::SeqCst) {
            std::future::pending().await
        }
    }

    async fn request(&mut self, bytes: &[u8]) -> Next {
        self.pass_if_not_silent().await;
        if let Some(how) = self.is_over() {
            return self.over(how).await;
        }
        self.look_for_awaited(bytes).await;
        if let Some(act) = self.act_on(bytes) {
            return self.act(act, bytes).await;
        }
        if let Some(cut) = self.cut.filter(|cut| cut.towards_server) {
            let Some(left) = cut.left.checked_sub(bytes.len() as u64) else {
                return self.cut_request(cut, bytes).await;
            };
            self.cut = Some(Cut { left, ..cut });
        }
        sent(self.server.write_all(bytes).await)
    }

    /// Tells whether a connection that was idle is gone now, and how it ended.
    fn is_over(&mut self) -> Option<u64> {
        let was_idle = std::mem::take(&mut self.is_idle);
        let mut ends = self.shared.ends.lock().unwrap();
        let Ends { random, one_in } = ends.as_mut().filter(|_| was_idle)?;
        (random.below(*one_in) == 0).then(|| random.below(3))
    }

    async fn over(&mut self, how: u64) -> Next {
        if how == 0 {
            // As the server says it whose administrator ends a session.
            let _ = self.client.write_all(ENDED).await;
        } else if how == 1 {
            let _ = self.client.set_zero_linger();
        }
        self.broken()
    }

    async fn cut_request(&mut self, cut: Cut, bytes: &[u8]) -> Next {
        let (now, later) = bytes.split_at(usize::try_from(cut.left).unwrap());
        let _ = self.server.write_all(now).await;
        if cut.how == 0 {
            // The rest comes to the server when the client has given up.
            self.broken();
            let delay = Duration::from_millis(cut.left % 30);
            return self.late(later, || tokio::time::sleep(delay)).await;
        }
        self.broken()
    }

    fn act_on(&self, bytes: &[u8]) -> Option<Act> {
        self.shared.armed.lock().unwrap().take_if(|(text, _)| contains(bytes, text)).map(|(_, act)| act)
    }

    async fn act(&mut self, act: Act, bytes: &[u8]) -> Next {
        match act {
            Act::CutRequest(count) => {
                let _ = self.server.write_all(&bytes[..count.min(bytes.len())]).await;
                self.broken()
            }
            Act::CutWhen(when) => {
                when.notified().await;
                self.broken()
            }
            Act::CutAnswer(count) => {
                self.server.write_all(bytes).await.unwrap();
                let mut answer = vec![0; 1 << 16];
                let read = self.server.read(&mut answer).await.unwrap();
                let _ = self.client.write_all(&answer[..count.min(read)]).await;
                self.broken()
            }
            Act::Late(delay) => {
                self.broken();
                self.late(bytes, || tokio::time::sleep(delay)).await
            }
            Act::LateBefore(text) => {
                let (before, after) = self.wait_for(text);
                self.broken();
                let next = self.late(bytes, || async move { before.notified().await }).await;
                drop(after);
                next
            }
            Act::LateAfter(text) => {
                let (before, after) = self.wait_for(text);
                before.notify_one();
                self.broken();
                self.late(bytes, || async move { after.notified().await }).await
            }
            Act::Silence => {
                self.shared.broken.fetch_add(1, Ordering::SeqCst);
                std::future::pending().await
            }
        }
    }

    fn wait_for(&self, text: &'static str) -> (Arc<Notify>, Arc<Notify>) {
        let (before, after) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        *self.shared.awaited.lock().unwrap() = Some((text, Arc::clone(&before), Arc::clone(&after)));
        (before, after)
    }

    async fn look_for_awaited(&mut self, bytes: &[u8]) {
        let found = self.shared.awaited.lock().unwrap().take_if(|(text, ..)| contains(bytes, text));
        if let Some((_, before, after)) = found {
            before.notify_one();
            self.answered = Some(after);
            // The late request is on its way; this one is a moment behind it.
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    /// The client's end is cut at once; the server hears more when `when` is over, and may answer.
    async fn late<W: Future<Output = ()>>(&mut self, bytes: &[u8], when: impl FnOnce() -> W) -> Next {
        let _ = self.client.shutdown().await;
        when().await;
        if self.server.write_all(bytes).await.is_ok() {
            // Its end, or an answer that nobody hears.
            let mut answer = [0; 1_024];
            let _ = tokio::time::timeout(Duration::from_secs(2), self.server.read(&mut answer)).await;
        }
        Next::End
    }

    fn broken(&self) -> Next {
        self.shared.broken.fetch_add(1, Ordering::SeqCst);
        if self.cut.is_some_and(|cut| cut.how == 1) {
            // The client is told at once, and loses what it has not read yet.
            let _ = self.client.set_zero_linger();
        }
        Next::End
    }
}

fn sent(result: std::io::Result<()>) -> Next {
    if result.is_ok() { Next::GoOn } else { Next::End }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
