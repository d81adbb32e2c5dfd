//! The server: its address, its routes, and its end.

use crate::{
    ServeError,
    access::Access,
    app::App,
    assets,
    below::Root,
    choices, events, files, guard,
    jobs::Jobs,
    masks::{MOST_BYTES, Masks},
    pages, picture,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post, put},
};
use pig_files::{Lock, Locked};
use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};
use tokio::sync::Notify;

/// The most bytes of a form.
const MOST_FORM_BYTES: usize = 256 << 10;
/// The most bytes of decisions about pairs that are sent at once.
const MOST_CHOICE_BYTES: usize = 4 << 20;
/// Where a server keeps what it needs to know again: hidden, so that it is not served.
const HIDDEN: &str = ".serve";

/// What to serve, where, and to whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder.
    pub folder: PathBuf,
    /// The address of this machine on which the server listens.
    pub host: IpAddr,
    /// The port, 0 for a free one.
    pub port: u16,
    /// The token of the link; if not given and there is no password, a new one is made.
    pub token: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Further names of this machine by which browsers may ask for the page.
    pub names: Vec<String>,
    /// The program that jobs run: pig itself.
    pub binary: PathBuf,
    /// Flags that every job gets.
    pub flags: Vec<String>,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    query: String,
    router: Router,
    stop: Arc<Notify>,
    _lock: Lock,
}

/// Ends a server from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Notify>);

impl Stopper {
    /// Ends the server. Jobs go on.
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the folder cannot be read or written, another server serves it, the address is taken, or others could reach a page without a token
    /// or password.
    pub fn open(options: &Options) -> Result<Self, ServeError> {
        let access =
            Access::new(options.host, &options.names, options.token.as_deref(), options.password_file.as_deref())?;
        let of_folder = |source| ServeError::Folder { path: options.folder.clone(), source };
        let root = Root::new(&options.folder).map_err(of_folder)?;
        let hidden = root.path().join(HIDDEN);
        std::fs::create_dir_all(&hidden).map_err(of_folder)?;
        let lock = match pig_files::lock(&hidden, &|_| true).map_err(of_folder)? {
            Locked::Mine(lock) => lock,
            Locked::Theirs(owner) => {
                return Err(ServeError::Served { path: options.folder.clone(), owner: owner.to_string() });
            }
        };
        let jobs = Jobs::open(hidden.join("jobs"), options.binary.clone(), options.flags.clone()).map_err(of_folder)?;
        let masks = Masks::open(hidden.join("masks")).map_err(of_folder)?;
        let address = SocketAddr::new(options.host, options.port);
        let on_address = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(on_address)?;
        listener.set_nonblocking(true).map_err(on_address)?;
        let address = listener.local_addr().map_err(on_address)?;
        let access = access.on_port(address.port());
        let query = access.query();
        let router = router(App::new(root, access, jobs, masks));
        Ok(Self { listener, address, query, router, stop: Arc::default(), _lock: lock })
    }

    /// The address that opens the page in a browser of this machine, with the token if there is one.
    pub fn url(&self) -> String {
        let ip = self.address.ip();
        let host = if ip.is_unspecified() {
            "127.0.0.1".to_owned()
        } else if ip.is_ipv6() {
            format!("[{ip}]")
        } else {
            ip.to_string()
        };
        format!("http://{host}:{}/{}", self.address.port(), self.query)
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Answers requests until it is stopped.
    ///
    /// # Errors
    /// When the system does not let it listen any more.
    pub fn run(self) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::Ended)?;
        let Self { listener, router, stop, .. } = self;
        let served = async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let served = axum::serve(listener, router).into_future();
            let stopped = stop.notified();
            futures_util::pin_mut!(served, stopped);
            match futures_util::future::select(served, stopped).await {
                futures_util::future::Either::Left((ended, _)) => ended,
                futures_util::future::Either::Right(_) => Ok(()),
            }
        };
        let ended = runtime.block_on(served);
        // What a request still computes is not waited for: it writes nothing.
        runtime.shutdown_background();
        ended.map_err(ServeError::Ended)
    }
}

fn router(app: App) -> Router {
    let forms = Router::new()
        .route("/login", get(guard::show_login).post(guard::enter))
        .route("/plan", post(pages::train::plan))
        .route("/train", post(pages::train::train))
        .route("/resume", post(pages::train::resume))
        .route("/stop", post(pages::job::stop))
        .route("/sample", get(pages::sample::show).post(pages::sample::start))
        .route("/report", post(pages::reports::make))
        .route("/export", post(pages::gallery::export))
        .layer(DefaultBodyLimit::max(MOST_FORM_BYTES));
    let files = assets::ALL
        .into_iter()
        .fold(Router::new(), |router, (name, asset)| router.route(&format!("/assets/{name}"), get(asset)));
    Router::new()
        .route("/", get(pages::home::show))
        .route("/run", get(pages::run::show))
        .route("/new", get(pages::train::show))
        .route("/job", get(pages::job::show))
        .route("/gallery", get(pages::gallery::show))
        .route("/compare", get(pages::gallery::compare))
        .route("/reports", get(pages::reports::show))
        .route("/study", get(pages::reports::study))
        .route("/page", get(pages::reports::page_of))
        .route("/api/pairs", get(pages::gallery::pairs))
        .route("/api/outline", get(pages::gallery::outline))
        .route("/api/nearest", get(pages::gallery::nearest))
        .route("/api/picture", get(picture::picture))
        .route("/api/mask", get(pages::sample::mask))
        .route("/api/mask", put(pages::sample::send_mask).layer(DefaultBodyLimit::max(MOST_BYTES)))
        .route("/api/choices", post(choices::set).layer(DefaultBodyLimit::max(MOST_CHOICE_BYTES)))
        .route("/api/events", get(events::stream))
        .route("/files/{*path}", get(files::file))
        .merge(forms)
        .merge(files)
        .fallback(pages::nothing())
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}
