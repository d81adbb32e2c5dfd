//! Jobs: their start, one at a time, and that they outlive a server. A shell script stands for pig.
#![cfg(unix)]

mod common;

use common::{Answer, Served, make_pairs, make_run, options, stand_in, until};

/// Says what it was asked, and works until it is asked to stop, then ends as pig does. It outlives the test's server, but not its folder.
const WORK: &str = r#"echo "asked: $@" >&2; echo "model_x 1/4  loss 0.5  3 s left" >&2; trap 'exit 130' TERM; while [ -e "$0" ]; do sleep 0.1; done"#;

fn served(script: &str) -> Served {
    let root = tempfile::tempdir().unwrap();
    let binary = stand_in(root.path(), script);
    for name in ["images", "masks"] {
        std::fs::create_dir_all(root.path().join("data").join(name)).unwrap();
    }
    let options = options(root.path(), &binary);
    Served::with(root, &options)
}

fn job(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").rsplit('=').next().unwrap().to_owned()
}

fn shows(served: &Served, job: &str, words: &str) -> bool {
    served.get(&format!("/job?id={job}")).text().contains(words)
}

#[test]
fn one_training_runs_at_a_time_and_stops_when_it_is_asked() {
    let served = served(WORK);
    let form = "data=data&config=&name=first&sets=train.steps+%3D+3%0Amodel_x.layers_per_block%3D1";
    let first = job(&served.post("/train", form));
    until("the training", || shows(&served, &first, "model_x"));
    let page = served.get(&format!("/job?id={first}")).text();
    for words in ["--set=train.steps=3 --set=model_x.layers_per_block=1", "state running", "1 / 4", "/data --out"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let second = served.post("/train", "data=data&config=&name=second");
    assert!(second.status == 409 && second.text().contains("Train runs/first on data"), "{}", second.text());
    // One other job runs beside it.
    let plan = job(&served.post("/plan", "data=data&hours=1.5"));
    assert_eq!(served.post("/plan", "data=data&hours=2").status, 409);
    for id in [&first, &plan] {
        assert_eq!(served.post("/stop", &format!("job={id}")).status, 303);
        until("the end", || shows(&served, id, "state stopped"));
    }
    assert_eq!(served.post("/train", "data=data&config=&name=first").status, 303);
}

#[test]
fn a_job_outlives_its_server() {
    let served = served(WORK);
    let id = job(&served.post("/train", "data=data&config=&name=a"));
    until("the training", || shows(&served, &id, "state running"));
    let root = served.stop();
    let options = options(root.path(), &root.path().join("stand-in"));
    let next = Served::with(root, &options);
    assert!(shows(&next, &id, "state running"));
    assert_eq!(next.post("/train", "data=data&config=&name=b").status, 409);
    next.post("/stop", &format!("job={id}"));
    until("the end", || shows(&next, &id, "state ended"));
}

#[test]
fn what_cannot_be_started_is_said() {
    let served = served("echo 'error: no lesion' >&2; exit 1");
    let id = job(&served.post("/train", "data=data&config=&name=a"));
    until("the end", || shows(&served, &id, "state failed"));
    assert!(shows(&served, &id, "error: no lesion"));
    for (target, form, words) in [
        ("/train", "data=..&config=&name=a", "no folder"),
        ("/train", "data=data&config=..%2Fx.toml&name=a", "no configuration"),
        ("/train", "data=data&config=&name=..%2Fa", "expected 1 to 64 letters"),
        ("/plan", "data=data&hours=-1", "above 0"),
        ("/plan", "data=%2Fetc&hours=1", "no folder"),
        ("/export", "path=data&format=exe&name=a", "expected one of"),
        ("/resume", "run=absent", "no folder"),
    ] {
        let answer = served.post(target, form);
        assert!(answer.status == 422 && answer.text().contains(words), "{target} {form}: {}", answer.text());
    }
}

#[test]
fn a_sampling_is_the_command_that_one_would_type() {
    let served = served(WORK);
    make_run(&served.path("runs/a"));
    let form = "run=runs%2Fa&seeds=0-3%2C+7&steps=8&guidance=2.5&name=s&source=noise&mask=";
    let id = job(&served.post("/sample", form));
    let command = "--seeds 0-3,7 --steps 8 --out ";
    until("the sampling", || shows(&served, &id, command));
    let page = served.get(&format!("/job?id={id}")).text();
    assert!(page.contains("--set=sample.guidance_scale=2.5") && page.contains("--save-steps"), "{page}");
    served.post("/stop", &format!("job={id}"));
    until("the end", || shows(&served, &id, "state stopped"));
    for (form, words) in [
        ("run=runs%2Fa&seeds=0-99999&steps=8&guidance=1&name=s", "at most 10000"),
        ("run=runs%2Fa&seeds=a&steps=8&guidance=1&name=s", "expected ranges"),
        ("run=runs%2Fa&seeds=0&steps=8&guidance=1&name=s&source=mask&mask=", "draw one"),
        ("run=runs%2Fa&seeds=0&steps=8&guidance=NaN&name=s", "expected a number"),
    ] {
        let answer = served.post("/sample", form);
        assert!(answer.status == 422 && answer.text().contains(words), "{form}: {} {}", answer.status, answer.text());
    }
    assert_eq!(served.post("/sample", "run=absent&seeds=0&steps=8&guidance=1&name=s").status, 404);
}

#[test]
fn decisions_are_in_the_manifest_when_the_answer_comes() {
    let served = served(WORK);
    make_pairs(&served.path("pairs"), 5);
    let list = |served: &Served| -> serde_json::Value {
        serde_json::from_slice(&served.get("/api/pairs?path=pairs").body).unwrap()
    };
    let before = list(&served);
    assert_eq!(before["pairs"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&before["pairs"][3]["choice"], &before["size"]),
        (&serde_json::Value::Null, &serde_json::json!([16, 16]))
    );
    // Inside 200, around it 100, of 255, in a unit of half the range.
    let contrast = before["pairs"][3]["contrast"].as_f64().unwrap();
    assert!((contrast - 200.0 / 255.0).abs() < 1e-5, "{contrast}");
    // Five rows of four pixels.
    assert!((before["pairs"][3]["area"].as_f64().unwrap() - 100.0 * 20.0 / 256.0).abs() < 1e-9);
    let body = br#"{"path":"pairs","choices":{"000003":"reject","000001":"keep"}}"#;
    let written = served.send("POST", "/api/choices", "application/json", body);
    assert_eq!((written.status, written.text().as_str()), (200, r#"{"written":2,"warning":null}"#));
    let manifest = std::fs::read_to_string(served.path("pairs/manifest.csv")).unwrap();
    assert!(
        manifest.contains("masks/000003.png,x,reject\n")
            && manifest.starts_with("id,seed,image,mask,settings_hash,curated\n"),
        "{manifest}"
    );
    assert_eq!(list(&served)["pairs"][3]["choice"], "reject");
    for (body, status) in [
        (r#"{"path":"pairs","choices":{"absent":"keep"}}"#, 422),
        (r#"{"path":"pairs","choices":{"000001":"maybe"}}"#, 422),
        (r#"{"path":"../x","choices":{}}"#, 404),
        ("no json", 400),
    ] {
        assert_eq!(served.send("POST", "/api/choices", "application/json", body.as_bytes()).status, status, "{body}");
    }
    let drawn = served.get("/api/outline?path=pairs&id=000003").text();
    assert!(drawn.contains("M5 5h4M5 10h4M5 5v5M9 5v5"), "{drawn}");
}

#[test]
fn the_pages_of_a_run_are_there_and_its_changes_are_sent() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let served = served(WORK);
    make_run(&served.path("runs/a"));
    let line = r#"{"network":"model_x","step":3,"loss":0.25,"images_per_second":8.0}"#;
    std::fs::write(served.path("runs/a/metrics.jsonl"), format!("{line}\n")).unwrap();
    let page = served.get("/run?path=runs/a").text();
    for words in ["state not begun", "model_x", "loss 0.2500", "data.size", "<svg", "settings differ from the defaults"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    for target in [
        "/",
        "/new",
        "/gallery",
        "/compare",
        "/reports",
        "/sample",
        "/assets/pig.css",
        "/assets/pig.js",
        "/assets/gallery.js",
    ] {
        assert_eq!(served.get(target).status, 200, "{target}");
    }
    let mut stream = std::net::TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let (address, cookie) = (served.address, &served.cookie);
    write!(stream, "GET /api/events?page=run&of=runs/a HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("data: ") && line.contains("\"id\":\"state\"")));
    std::fs::write(served.path("runs/a/log.txt"), "now <it> begins\n").unwrap();
    assert!(lines.any(|line| line.contains("\"id\":\"log\"") && line.contains("now &lt;it&gt; begins")));
    assert_eq!(served.get("/api/events?page=run&of=absent").status, 404);
}
