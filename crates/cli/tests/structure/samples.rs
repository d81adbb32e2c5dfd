//! Tests the reader on small crates whose circles are known.

use crate::{
    Allowed, circles,
    imports::{self, Edges},
    layers,
    modules::Crate,
    tokens, unlike_allowed,
};
use std::collections::BTreeMap;

fn edges(files: &[(&str, &str)]) -> Edges {
    let read = Crate::read(&files.iter().map(|&(file, text)| (file.to_owned(), text.to_owned())).collect());
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    imports::edges(&read)
}

/// The edges as `a.rs -> b.rs`.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    edges(files).keys().map(|(from, to)| format!("{from} -> {to}")).collect()
}

#[track_caller]
fn assert_circle(files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(circles::circles(&edges(files)), [expected], "{:?}", edges(files));
}

#[track_caller]
fn assert_no_circle(files: &[(&str, &str)]) {
    assert!(circles::circles(&edges(files)).is_empty(), "{:?}", edges(files));
}

/// Two files under lib.rs, the second of which needs the first.
fn pair<'a>(a: &'a str, b: &'a str) -> [(&'a str, &'a str); 3] {
    [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)]
}

const NEEDS_A: &str = "use crate::a::A; pub struct B(A);";

#[test]
fn a_use_makes_an_edge() {
    for line in [
        "use crate::b::B;",
        "use crate::{b::{self, B}, a};",
        "use crate::b::B as Other;",
        "use crate::b::*;",
        "use crate::b as other; fn f() { other::g() }",
        "pub use crate::b::B;",
        "pub(crate) use crate::b::{\n    B,\n};",
        "fn f() { use crate::b::B; }",
        "use super::b::B;",
        "use super::{b::B};",
        "mod inside { use super::super::b::B; }",
        "mod inside { pub mod deeper { use crate::b::B; } }",
        "#[cfg(feature = \"x\")] use crate::b::B;",
        "#[cfg(not(test))] use crate::b::B;",
        "const C: char = '\"'; const D: char = '\\''; fn f<'a>(_: &'a str) {} use crate::b::B;",
        "const R: &str = r#\"a \" quote\"#; /* one /* inside */ another */ use crate::b::B;",
        "#[cfg(test)] mod tests { fn f() { \"}\"; } } use crate::b::B;",
        "#[cfg(test)] const T: [u8; 2] = [{ 1 }; 2]; use crate::b::B;",
        "struct S { #[cfg(test)] x: u8, y: crate::b::B }",
    ] {
        assert_circle(&pair(&format!("{line} pub struct A;"), NEEDS_A), &["a.rs", "b.rs"]);
    }
}

#[test]
fn a_path_in_code_makes_an_edge() {
    for line in [
        "fn f() { crate::b::f() }",
        "fn f(b: super::b::B) {}",
        "fn f() -> Vec<crate::b::B> { Vec::new() }",
        "fn f() { let x = 1..crate::b::LAST; }",
        "use crate::b; fn f() { b::f() }",
        "use super::b; impl b::Trait for A {}",
        "impl A { fn f(&self) { self.g(<u8 as crate::b::Trait>::name()) } }",
        "macro_rules! m { () => { $crate::b::f() } }",
        "#[derive(Deserialize)] struct S { #[serde(default = \"crate::b::f\")] x: u8 }",
        "#[derive(crate::b::Derive)] struct S;",
    ] {
        assert_circle(&pair(&format!("pub struct A; {line}"), NEEDS_A), &["a.rs", "b.rs"]);
    }
}

#[test]
fn a_reexport_leads_to_the_definition() {
    let b = ("b.rs", "use crate::A; pub struct B(A);");
    let a = ("a.rs", "pub struct A; fn f(b: crate::B) {}");
    for lib in [
        "mod a; mod b; pub use a::A; pub use b::B;",
        "mod a; mod b; pub(crate) use self::{a::A, b::B};",
        "mod a; mod b; pub use a::*; pub use b::*;",
    ] {
        assert_circle(&[("lib.rs", lib), a, b], &["a.rs", "b.rs"]);
    }
    // Through two modules and another name; and a module that is re-exported itself.
    let lib = ("lib.rs", "mod a; mod c; mod b; pub use c::{Again as B, inner}; pub use a::A;");
    let c = ("c/mod.rs", "pub mod inner; pub use super::b::B as Again; pub use inner::Deep;");
    assert_eq!(
        arrows(&[lib, a, ("b.rs", "pub struct B;"), c, ("c/inner.rs", "pub struct Deep; fn f(a: crate::A) {}")]),
        ["a.rs -> b.rs", "c/inner.rs -> a.rs", "c/mod.rs -> b.rs"]
    );
    let deep = ("a.rs", "use crate::{c, inner}; fn f(x: c::Deep, y: inner::Deep) {}");
    assert_eq!(
        arrows(&[lib, deep, ("b.rs", "pub struct B;"), c, ("c/inner.rs", "pub struct Deep;")]),
        ["a.rs -> c/inner.rs", "c/mod.rs -> b.rs"]
    );
    // A function beside a module of its name.
    let lib = ("lib.rs", "mod a; mod sample; pub use sample::sample;");
    let a = ("a.rs", "pub fn g() { crate::sample() }");
    assert_circle(&[lib, a, ("sample.rs", "pub fn sample() { crate::a::g() }")], &["a.rs", "sample.rs"]);
    let lib = ("lib.rs", "mod a; mod sample; pub use sample::inner::sample; impl Root { fn sample(&self) {} }");
    let sample = ("sample/mod.rs", "pub mod inner;");
    assert_eq!(arrows(&[lib, a, sample, ("sample/inner.rs", "pub fn sample() {}")]), ["a.rs -> sample/inner.rs"]);
    // A path that cannot be followed leads to the module.
    assert_eq!(arrows(&pair("fn f() { crate::b::made_by_macro() }", "make!(made_by_macro);")), ["a.rs -> b.rs"]);
}

#[test]
fn a_parent_needs_a_child_only_by_its_code() {
    let child = ("a.rs", "use super::Root; pub struct A(Root); pub fn run() {} pub trait Walk {}");
    let lib = |text| ("lib.rs", text);
    for text in [
        "mod a; pub use a::A; pub struct Root;",
        "pub mod a; pub(crate) use a::{A, run}; pub struct Root; impl Root { fn run(&self) { self.run() } }",
        "pub mod a; pub use a::*; pub struct Root { a: u8 }",
        "mod a; #[cfg(test)] mod tests { use super::a::A; } pub struct Root;",
        "mod a; pub use a::{run, Walk}; pub struct Root; fn f() { let run = 1; }",
        "mod a; pub use a::A; pub struct Root; fn f<T: Has>() { <T as Has>::A::new() }",
        "mod a; use ::a::A; pub struct Root; fn f(x: A) {}",
    ] {
        assert_no_circle(&[lib(text), child]);
    }
    for text in [
        "mod a; pub use a::A; pub struct Root; fn f(x: A) {}",
        "mod a; use a::A; pub struct Root; fn f(x: &A) {}",
        "mod a; pub use a::run; pub struct Root; fn f() { run() }",
        "mod a; pub use a::*; pub struct Root; fn f() { run() }",
        "mod a; pub struct Root; fn f() { a::run() }",
        "mod a; pub struct Root; fn f() { self::a::run() }",
        "mod a; use a::run; pub struct Root; fn f() { [1].map(run) }",
        // Code that calls the method of a trait does not name the trait.
        "mod a; use a::Walk; pub struct Root; fn f(x: u8) { x.walk() }",
        "mod a; use a::Walk as _; pub struct Root; fn f(x: u8) { x.walk() }",
    ] {
        assert_circle(&[lib(text), child], &["a.rs", "lib.rs"]);
    }
    // A child may import from its parent what another file defines.
    assert_eq!(
        arrows(&[lib("mod a; mod b; use b::Root; fn f(x: a::A, y: Root) {}"), child, ("b.rs", "pub struct Root;")]),
        ["a.rs -> b.rs", "lib.rs -> a.rs", "lib.rs -> b.rs"]
    );
}

#[test]
fn what_only_looks_like_a_path_makes_no_edge() {
    for text in [
        "// use crate::b::B;",
        "/* crate::b::f() /* nested */ crate::b::g() */",
        "/// [`crate::b::B`]\npub struct Doc;",
        "const S: &str = \"use crate::b::B; \\\" crate::b::f()\";",
        "const S: &[u8] = br##\"crate::b::f() \"# crate::b::g()\"##;",
        "pub(in crate::b) fn f() {}",
        "use std::b::B; use ::b::B;",
        "fn f(b: u8) -> u8 { b.b() + Self::b::<u8>() }",
        "#[cfg(test)] mod tests { use crate::b::B; fn f() { crate::b::f() } }",
        "#[cfg(all(test, unix))] use crate::b::B;",
        "#[cfg(test)] const T: u8 = S { x: 1 }.f(crate::b::f());",
        "#[cfg(test)]\n#[allow(x)]\nfn f() -> [u8; 3] { crate::b::f() }",
        "struct S { #[cfg(test)] x: crate::b::B, y: u8 }",
        "#[test] fn f() { crate::b::f() }",
    ] {
        assert_eq!(arrows(&pair(&format!("pub struct A; {text}"), NEEDS_A)), ["b.rs -> a.rs"], "{text}");
    }
}

#[test]
fn files_of_tests_import_what_they_like() {
    let lib = ("lib.rs", "mod a; mod b; #[cfg(test)] mod tests;");
    let a = ("a/mod.rs", "#[cfg(test)] mod tests; pub struct A;");
    let tests = "mod more; use crate::{a::A, b::B};";
    let files = [
        lib,
        a,
        ("b.rs", NEEDS_A),
        ("tests.rs", tests),
        ("tests/more.rs", "use crate::b::B;"),
        ("a/tests/mod.rs", tests),
        ("a/tests/more.rs", "use crate::b::B;"),
    ];
    assert_eq!(arrows(&files), ["b.rs -> a/mod.rs"]);
}

#[test]
fn modules_and_files_must_match() {
    let read = |files: &[(&str, &str)]| {
        Crate::read(&files.iter().map(|&(file, text)| (file.to_owned(), text.to_owned())).collect()).problems
    };
    assert!(read(&[("lib.rs", "mod a;")])[0].contains("lib.rs line 1: no file for `mod a`"));
    assert!(read(&[("lib.rs", ""), ("a.rs", "")])[0].contains("no `mod` leads to the file a.rs"));
    assert!(read(&[("lib.rs", "#[path = \"b.rs\"] mod a;"), ("a.rs", "")])[0].contains("does not read `#[path]`"));
    let nested = [("main.rs", "mod a { mod b; }"), ("a/b.rs", "mod c;"), ("a/b/c.rs", ""), ("bin/tool.rs", "")];
    assert_eq!(read(&nested), Vec::<String>::new());
}

#[test]
fn circles_of_several_files_and_several_circles() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e; mod f; mod g;"),
        ("a.rs", "pub struct A; use crate::b::B;"),
        ("b.rs", "pub struct B; use crate::c::C;"),
        ("c.rs", "pub struct C; use crate::{a::A, d::D};"),
        ("d.rs", "pub struct D; use crate::e::E;"),
        ("e.rs", "pub struct E; use crate::d::D;"),
        ("f.rs", "pub struct F; use crate::{a::A, g::G};"),
        ("g.rs", "pub struct G; use crate::f::F;"),
    ];
    let expected = [vec!["a.rs", "b.rs", "c.rs"], vec!["d.rs", "e.rs"], vec!["f.rs", "g.rs"]];
    assert_eq!(circles::circles(&edges(&files)), expected);
}

#[test]
fn a_circle_is_told_with_an_example_of_each_edge() {
    let edges = edges(&pair("pub struct A;\n\nuse super::b::{\n    B,\n};\nfn f(x: B) {}", NEEDS_A));
    let circle = circles::circles(&edges).remove(0);
    assert_eq!(
        circles::describe("x", &circle, &edges),
        "x: 2 files need each other: a.rs, b.rs\n  \
         a.rs -> b.rs (line 4: use super::b::B and 1 more)\n  \
         b.rs -> a.rs (line 1: use crate::a::A and 1 more)\n"
    );
}

#[test]
fn allowed_circles_are_exact() {
    let crates = BTreeMap::from([("x".to_owned(), edges(&pair("use super::b::B; pub struct A;", NEEDS_A)))]);
    let allow = |name, files| [Allowed { name, files, reason: "Two halves." }];
    assert!(unlike_allowed(&crates, &[])[0].contains("x: 2 files need each other: a.rs, b.rs"));
    assert!(unlike_allowed(&crates, &allow("x", &["a.rs", "b.rs"])).is_empty());
    assert_eq!(unlike_allowed(&crates, &allow("x", &["a.rs", "b.rs", "c.rs"])).len(), 2);
    assert_eq!(unlike_allowed(&crates, &allow("y", &["a.rs", "b.rs"])).len(), 2);
    let gone = unlike_allowed(&BTreeMap::new(), &allow("x", &["a.rs", "b.rs"]));
    assert!(gone[0].contains("the allowed circle of exactly a.rs, b.rs does not exist any more"), "{gone:?}");
}

#[test]
fn dependencies_lead_to_lower_layers() {
    let manifest = "[package]\nname = \"pig-b\"\n[features]\ncuda = [\"pig-z/cuda\"]\n[dependencies]\n# pig-y\npig-a.workspace = true\n\
        other = { package = \"pig-c\", path = \"../c\" }\n[target.'cfg(unix)'.dependencies.pig-d]\nworkspace = true\n\
        [dev-dependencies]\npig-x = \"1\"\n";
    assert_eq!(layers::dependencies(manifest).into_iter().collect::<Vec<_>>(), ["a", "c", "d"]);
    let needs = |other: &str| format!("[dependencies]\npig-{other}.workspace = true\n");
    let problems = |crates: &[(&str, &str)]| {
        let manifests = crates.iter().map(|&(name, other)| (name.to_owned(), needs(other))).collect();
        layers::problems(&manifests, &[&["a", "b"], &["c"], &["missing"], &["top"]])
    };
    assert!(problems(&[("a", "a-is-alone"), ("c", "a"), ("top", "c")])[0].contains("which is not in crates/"));
    assert!(problems(&[("c", "a"), ("top", "c")]).is_empty());
    assert!(problems(&[("a", "c")])[0].contains("a (layer 0) depends on c (layer 1)"));
    assert!(problems(&[("a", "b")])[0].contains("expected a layer below 0"));
    assert!(problems(&[("new", "a")])[0].contains("add \"new\" to LAYERS"));
}

#[test]
fn tokens_know_literals_and_lines() {
    let words = |source| {
        tokens::tokens(source).iter().map(|token| format!("{}:{}", token.text, token.line)).collect::<Vec<_>>()
    };
    assert_eq!(
        words("a\n\"b\nc\" 'd' b'\\'' '\\u{e9}' 'é' r#e"),
        ["a:1", "b\nc:2", "d:3", "\\':3", "\\u{e9}:3", "é:3", "e:3"]
    );
    assert_eq!(
        words("1.5e3..x.0.max::<'_>(y)"),
        ["1.5e3", "..", "x", ".", "0", ".", "max", "::", "<", ">", "(", "y", ")"].map(|t| format!("{t}:1"))
    );
    assert_eq!(words("a // b\n/* c\n /* */ d */ f<'a> loop"), ["a:1", "f:3", "<:3", ">:3", "loop:3"]);
}
