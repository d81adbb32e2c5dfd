//! Who is let in, which requests are refused, and which files are served.

mod common;

use common::{Served, TOKEN, make_run, options};
use pig_serve::Server;
use std::path::Path;

#[test]
fn the_token_sets_a_cookie_and_leads_to_the_page() {
    let served = Served::new();
    let address = served.address;
    let first = served.raw(&format!("GET /?token={TOKEN} HTTP/1.1\r\nHost: {address}\r\n"), b"");
    assert_eq!((first.status, first.header("location").as_str()), (303, "/"));
    let cookie = first.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && !cookie.contains(TOKEN), "{cookie}");
    let page = served.get("/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<h1>Runs</h1>"), "{}", page.text());
    for header in ["content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"] {
        assert_ne!(page.header(header), "", "{header}");
    }
}

#[test]
fn without_token_and_cookie_everything_is_closed() {
    let served = Served::new();
    let address = served.address;
    std::fs::write(served.path("a.txt"), "secret").unwrap();
    let port = address.port();
    for (target, more) in [
        ("/", String::new()),
        ("/?token=", String::new()),
        ("/?token=another-token-that-is-wrong", String::new()),
        ("/run?path=&token=token-of-the-tests", String::new()),
        ("/files/a.txt", String::new()),
        ("/api/pairs?path=", String::new()),
        ("/api/picture?address=a.png", String::new()),
        ("/nothing", String::new()),
        ("/", format!("Cookie: pig_{port}=0123456789abcdef0123456789abcdef\r\n")),
        ("/", format!("Cookie: {}\r\n", served.cookie.replacen(&port.to_string(), "1", 1))),
        ("/login", String::new()),
    ] {
        let answer = served.raw(&format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{more}"), b"");
        assert_eq!(answer.status, 401, "{target} {more}");
        assert!(!answer.text().contains("secret"));
    }
    for (method, target) in
        [("POST", "/train"), ("POST", "/api/choices"), ("PUT", "/api/mask?run=a"), ("POST", "/stop")]
    {
        let answer = served.raw(&format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n"), b"{}");
        assert_eq!(answer.status, 401, "{target}");
    }
}

#[test]
fn requests_for_other_hosts_and_from_other_origins_are_refused() {
    let served = Served::new();
    let (address, cookie, port) = (served.address, &served.cookie, served.address.port());
    let of = |host: &str, more: &str| {
        served.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n{more}"), b"").status
    };
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example", "192.168.0.7", "[::2]"] {
        assert_eq!(of(host, ""), 403, "{host}");
        // The token does not help a foreign host either.
        let answer = served.raw(&format!("GET /?token={TOKEN} HTTP/1.1\r\nHost: {host}\r\n"), b"");
        assert_eq!((answer.status, answer.header("set-cookie").as_str()), (403, ""), "{host}");
    }
    assert_eq!(of(&format!("127.0.0.1:{port}\r\nHost: evil.example"), ""), 403);
    assert_ne!(served.raw("GET / HTTP/1.1\r\n", b"").status, 200);
    assert_eq!(of(&format!("localhost:{port}"), ""), 200);
    let own = address.to_string();
    for origin in ["http://evil.example", "null", "https://evil.example", "http://127.0.0.1", "file://", ""] {
        assert_eq!(of(&own, &format!("Origin: {origin}\r\n")), 403, "{origin}");
        let head = format!(
            "POST /api/choices HTTP/1.1\r\nHost: {own}\r\nCookie: {cookie}\r\nContent-Type: application/json\r\nOrigin: {origin}\r\n"
        );
        assert_eq!(served.raw(&head, b"{\"path\":\"\",\"choices\":{}}").status, 403, "{origin}");
    }
    assert_eq!(of(&own, &format!("Origin: http://{own}\r\n")), 200);
    assert_eq!(of(&own, "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"), 403);
    assert_eq!(of(&own, "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"), 200);
}

#[test]
fn other_machines_are_let_in_with_a_secret_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut open = options(root.path(), Path::new("pig"));
    (open.host, open.token) = ([0, 0, 0, 0].into(), None);
    let message = Server::open(&open).err().unwrap().to_string();
    assert!(message.contains("--host 0.0.0.0") && message.contains("--token"), "{message}");
    let file = root.path().join("password");
    std::fs::write(&file, "correct horse\n").unwrap();
    open.password_file = Some(file);
    let served = Served::with(root, &open);
    let port = served.address.port();
    let enter = |password: &str| {
        let head = format!(
            "POST /login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        );
        served.raw(&head, format!("password={password}").as_bytes())
    };
    assert_eq!(served.raw(&format!("GET / HTTP/1.1\r\nHost: 10.1.2.3:{port}\r\n"), b"").status, 401);
    let wrong = enter("wrong");
    assert_eq!((wrong.status, wrong.header("set-cookie").as_str()), (401, ""));
    let right = enter("correct+horse");
    let cookie = right.header("set-cookie");
    assert_eq!(right.status, 303);
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(
        served.raw(&format!("GET / HTTP/1.1\r\nHost: 10.1.2.3:{port}\r\nCookie: {cookie}\r\n"), b"").status,
        200
    );
}

#[test]
fn files_of_the_folder_are_served_and_nothing_else() {
    let served = Served::new();
    std::fs::create_dir_all(served.path("runs/a")).unwrap();
    std::fs::create_dir_all(served.path(".hidden")).unwrap();
    std::fs::write(served.path("runs/a/log file.txt"), "in the folder").unwrap();
    std::fs::write(served.path("runs/a/page.html"), "<script>1</script>").unwrap();
    std::fs::write(served.path(".hidden/a.txt"), "hidden").unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.txt"), "outside").unwrap();
    let name = outside.path().file_name().unwrap().to_string_lossy().into_owned();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outside.path(), served.path("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.txt"), served.path("runs/file")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(served.path("pipe")).status().unwrap().success());
    }
    let file = served.get("/files/runs/a/log%20file.txt");
    assert_eq!((file.status, file.text().as_str()), (200, "in the folder"));
    let tag = file.header("etag");
    let head = format!(
        "GET /files/runs/a/log%20file.txt HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nIf-None-Match: {tag}\r\n",
        served.address, served.cookie
    );
    assert_eq!(served.raw(&head, b"").status, 304);
    let page = served.get("/files/runs/a/page.html");
    assert!(page.header("content-security-policy").starts_with("sandbox; default-src 'none'"), "{}", page.head);
    let secret = outside.path().join("secret.txt").display().to_string();
    for target in [
        format!("/files/../{name}/secret.txt"),
        format!("/files/runs/../../{name}/secret.txt"),
        format!("/files/%2e%2e/{name}/secret.txt"),
        format!("/files/..%2f{name}%2fsecret.txt"),
        format!("/files/..%5c{name}%5csecret.txt"),
        format!("/files/{secret}"),
        format!("/files/{}", secret.replace('/', "%2f")),
        format!("/files//{secret}"),
        "/files/link/secret.txt".to_owned(),
        "/files/runs/file".to_owned(),
        "/files/pipe".to_owned(),
        "/files/.hidden/a.txt".to_owned(),
        "/files/.serve/jobs".to_owned(),
        "/files/runs/./a/page.html".to_owned(),
        "/files/runs".to_owned(),
        "/files/".to_owned(),
        "/files/%ff".to_owned(),
        "/files/runs/a/page.html%00".to_owned(),
        "/files/absent".to_owned(),
    ] {
        let answer = served.get(&target);
        assert_eq!(answer.status, 404, "{target}");
        assert!(!answer.text().contains("outside") && !answer.text().contains("hidden"), "{target}");
    }
    // What pages name by a query stays in the folder, too.
    for target in [
        format!("/run?path=../{name}"),
        "/run?path=link".to_owned(),
        format!("/api/pairs?path={secret}"),
        format!("/study?path=../{name}"),
        format!("/api/picture?address=../{name}/secret.txt"),
        format!("/api/picture?address={secret}"),
        "/api/picture?address=link/secret.txt".to_owned(),
        "/api/picture?address=.hidden/a.txt".to_owned(),
        "/page?path=.hidden/a.txt".to_owned(),
    ] {
        assert_eq!(served.get(&target).status, 404, "{target}");
    }
    let pipe = served.get("/api/picture?address=pipe");
    assert!(pipe.status == 422 && pipe.text().contains("it is a pipe"), "{}", pipe.text());
}

/// Browsers show no TIFF, and grids need no large pictures.
#[test]
fn pictures_are_made_for_browsers() {
    let served = Served::new();
    let wide = image::RgbImage::from_fn(800, 400, |column, _| image::Rgb([if column < 400 { 0 } else { 240 }, 0, 0]));
    wide.save(served.path("wide.tif")).unwrap();
    std::fs::write(served.path("broken.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let decoded =
        |answer: &[u8]| image::load_from_memory_with_format(answer, image::ImageFormat::Png).unwrap().to_rgb8();
    let whole = served.get("/api/picture?address=wide.tif");
    assert_eq!((whole.status, whole.header("content-type").as_str()), (200, "image/png"));
    assert_eq!(decoded(&whole.body), wide);
    let small = served.get("/api/picture?address=wide.tif&side=256");
    let picture = decoded(&small.body);
    assert_eq!(picture.dimensions(), (256, 128));
    assert_eq!([picture.get_pixel(5, 64).0, picture.get_pixel(250, 64).0], [[0, 0, 0], [240, 0, 0]]);
    let again = |tag: &str, target: &str| {
        let (address, cookie) = (served.address, &served.cookie);
        let head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nIf-None-Match: {tag}\r\n");
        served.raw(&head, b"").status
    };
    let tag = small.header("etag");
    assert_eq!(again(&tag, "/api/picture?address=wide.tif&side=256"), 304);
    assert_eq!(again(&tag, "/api/picture?address=wide.tif&side=128"), 200);
    let broken = served.get("/api/picture?address=broken.png");
    assert!(broken.status == 422 && broken.text().contains("broken.png"), "{}", broken.text());
    assert_eq!(served.get("/api/picture?address=wide.tif&side=x").status, 400);
}

#[test]
fn masks_that_are_sent_are_bounded_and_decoded_by_the_readers_of_pig() {
    let served = Served::new();
    make_run(&served.path("runs/a"));
    let put = |query: &str, body: &[u8]| served.send("PUT", &format!("/api/mask?run=runs/a&{query}"), "", body);
    let picture = pig_data::png_file::encode_png(
        Path::new("m.png"),
        [16, 16],
        1,
        &pig_data::preparation::Pixels::Eight((0..256).map(|at| if at < 32 { 255 } else { 0 }).collect()),
        &[],
    );
    let kept = put("name=m.png", &picture.unwrap());
    assert_eq!(kept.status, 200, "{}", kept.text());
    let kept: serde_json::Value = serde_json::from_slice(&kept.body).unwrap();
    assert_eq!(kept["lesion_pixels"], 32);
    let shown = served.get(&format!("/api/mask?run=runs/a&id={}", kept["id"].as_str().unwrap()));
    assert!(shown.text().starts_with("<svg"), "{}", shown.text());

    let mut labels = vec![0; 256];
    labels[..5].fill(1);
    let drawn = put("height=16&width=16", &labels);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&drawn.body).unwrap()["lesion_pixels"], 5);

    // A header of a PNG of 65535 x 65535 pixels: refused before memory is taken for it.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\0\0\0\0".to_vec();
    bomb.extend(0xe2_a4_1b_85_u32.to_be_bytes());
    bomb.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    labels[0] = 2;
    for (query, body, words) in [
        ("name=m.png", &b"no picture"[..], "m.png"),
        ("name=m.png", &bomb, "m.png"),
        ("name=m.exe", b"no picture", "does not end like a picture"),
        ("name=../../m", b"no picture", "does not end like a picture"),
        ("height=16&width=16", &labels, "the label 2"),
        ("height=16&width=16", &labels[1..], "255 pixels"),
        ("height=8&width=32", &[0; 256], "8 x 32"),
    ] {
        let answer = put(query, body);
        assert!(answer.status == 422 && answer.text().contains(words), "{query}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains(".serve"), "{}", answer.text());
    }
    assert_eq!(put("name=m.png", &vec![0; 33 << 20]).status, 413);
    assert_eq!(served.get("/api/mask?run=runs/a&id=../../runs/a").status, 404);
    let masks = std::fs::read_dir(served.path(".serve/masks")).unwrap().count();
    assert_eq!(masks, 2, "what is refused is not kept");
}

#[test]
fn a_folder_has_one_server() {
    let served = Served::new();
    let message = Server::open(&options(served.root.path(), Path::new("pig"))).err().unwrap().to_string();
    assert!(message.contains("serves this folder already"), "{message}");
}
