//! A server on a free port, and requests as they are: nothing tidies addresses or headers before they are sent.

#![allow(dead_code, reason = "each test file uses its own part")]

use pig_serve::{Options, Server, Stopper};
use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The token of every server here.
pub(crate) const TOKEN: &str = "token-of-the-tests";

/// A server with its folder, and the cookie of somebody who was let in.
pub(crate) struct Served {
    pub(crate) root: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) cookie: String,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> String {
        let found =
            self.head.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    }
}

/// The settings of a server of `folder` on a free port, whose jobs run `binary`.
pub(crate) fn options(folder: &Path, binary: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        host: [127, 0, 0, 1].into(),
        port: 0,
        token: Some(TOKEN.to_owned()),
        password_file: None,
        names: Vec::new(),
        binary: binary.to_owned(),
        flags: Vec::new(),
    }
}

impl Served {
    /// A server of a new folder; jobs fail.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let options = options(root.path(), Path::new("/nowhere/pig"));
        Self::with(root, &options)
    }

    /// A server of a folder with these settings.
    pub(crate) fn with(root: TempDir, options: &Options) -> Self {
        let server = Server::open(options).unwrap();
        let (address, stopper) = (server.address(), server.stopper());
        let thread = Some(std::thread::spawn(move || server.run().unwrap()));
        let mut served = Self { root, address, cookie: String::new(), stopper, thread };
        let answer = served.raw(&format!("GET /?token={TOKEN} HTTP/1.1\r\nHost: {address}\r\n"), b"");
        answer.header("set-cookie").split(';').next().unwrap_or_default().clone_into(&mut served.cookie);
        served
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Sends a request with these lines of its head, and reads the answer.
    pub(crate) fn raw(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let length = body.len();
        write!(stream, "{head}Connection: close\r\nContent-Length: {length}\r\n\r\n").unwrap();
        // A server that refuses a body closes the connection while it is sent.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let body = bytes.get(split + 4..).unwrap_or_default().to_vec();
        Answer { status, head, body }
    }

    /// A request of somebody who was let in.
    pub(crate) fn send(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> Answer {
        let (address, cookie) = (self.address, &self.cookie);
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let origin = if method == "GET" { String::new() } else { format!("Origin: http://{address}\r\n") };
        self.raw(&format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n{kind}{origin}"), body)
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "", b"")
    }

    /// Sends a form whose fields are already encoded.
    pub(crate) fn post(&self, target: &str, form: &str) -> Answer {
        self.send("POST", target, "application/x-www-form-urlencoded", form.as_bytes())
    }

    /// Ends the server; its folder stays.
    pub(crate) fn stop(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.root, tempfile::tempdir().unwrap())
    }

    fn end(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until something holds, for half a minute at most.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(30), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program that stands for pig: `script` is its shell script.
#[cfg(unix)]
pub(crate) fn stand_in(folder: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("stand-in");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Makes a run without weights in `folder`, of masks of 16 x 16 with one class.
pub(crate) fn make_run(folder: &Path) {
    use pig_data::{Dataset, Preparation, png_file::write_png, preparation::Pixels, split_by_group};
    let data = tempfile::tempdir().unwrap();
    for name in ["images", "masks"] {
        std::fs::create_dir(data.path().join(name)).unwrap();
        for index in 0..4_u8 {
            let pixels =
                (0..256).map(|at| if at % 16 < 8 { 0 } else { 255 - index * u8::from(name == "images") }).collect();
            write_png(&data.path().join(name).join(format!("{index}.png")), [16, 16], 1, &Pixels::Eight(pixels), &[])
                .unwrap();
        }
    }
    let config =
        pig_train::config::Layers { file: None, sets: vec!["data.size=16".to_owned(), "data.channels=1".to_owned()] };
    let config = config.load().unwrap();
    let dataset = Dataset::discover(data.path(), &config.data).unwrap();
    let splits = split_by_group(&dataset, 0.25, 0).unwrap();
    let preparation = Preparation::fit(&dataset, &splits.training, &config.data).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.toml"), config.to_toml()).unwrap();
    std::fs::write(folder.join("preparation.json"), serde_json::to_vec(&preparation).unwrap()).unwrap();
    splits.save(&folder.join("splits.json")).unwrap();
}

/// Makes `count` pairs in `folder` as pig sample lists them, of 16 x 16 with a lesion that grows with the seed.
pub(crate) fn make_pairs(folder: &Path, count: usize) {
    use pig_data::{png_file::write_png, preparation::Pixels};
    for name in ["images", "masks"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let mut manifest = "id,seed,image,mask,settings_hash\n".to_owned();
    for seed in 0..count {
        let lesion = |at: usize| at / 16 > 4 && at / 16 < 10 && at % 16 > 4 && at % 16 < 6 + seed % 8;
        let image = (0..256).map(|at| if lesion(at) { 200 } else { 100 }).collect();
        let mask = (0..256).map(|at| if lesion(at) { 255 } else { 0 }).collect();
        let text = [("synthetic", "yes")];
        write_png(&folder.join(format!("images/{seed:06}.png")), [16, 16], 1, &Pixels::Eight(image), &text).unwrap();
        write_png(&folder.join(format!("masks/{seed:06}.png")), [16, 16], 1, &Pixels::Eight(mask), &text).unwrap();
        writeln!(manifest, "{seed:06},{seed},images/{seed:06}.png,masks/{seed:06}.png,x").unwrap();
    }
    std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
}
