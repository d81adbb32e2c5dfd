//! OsiriX's XML contours, as in INbreast: a property list with `Images`. Each image has `ROIs`, and each ROI has a `Name` and
//! its points `(x, y)` in pixels.

use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

use crate::error::{PrepareError, Result};
use crate::sources::read_text;

const EXPECTED: &str = "an OsiriX property list with Images, ROIs and Point_px";

/// The most nodes that a file may have; the release's largest has a few hundred thousand.
const MAX_NODES: u32 = 4_000_000;

/// How many bytes of memory a byte of the file may take.
const BYTES_A_BYTE: u64 = 20;

/// One contour.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Roi {
    /// The name of its kind, such as Mass, Calcification or Asymmetry.
    pub(crate) name: String,
    /// (x, y) in pixels; whole numbers are pixel centres.
    pub(crate) points: Vec<[f64; 2]>,
}

pub(crate) fn read(path: &Path, max_bytes: u64) -> Result<Vec<Roi>> {
    let wrong = |problem: String| PrepareError::Annotation { path: path.to_path_buf(), problem, expected: EXPECTED };
    let text = read_text(path, "the contours", BYTES_A_BYTE, max_bytes)?;
    // An entity could expand without bound; property lists do not use any.
    if text.contains("<!ENTITY") {
        return Err(wrong("found an entity declaration".to_owned()));
    }
    // Property lists reference Apple's DTD, which is not downloaded.
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => wrong(format!("more than {MAX_NODES} nodes")),
        error => wrong(format!("invalid XML at line {}", error.pos().row)),
    })?;
    let root = document.root_element().children().find(|node| node.has_tag_name("dict"));
    let images =
        root.and_then(|root| value_of(root, "Images")).ok_or_else(|| wrong("no key named Images".to_owned()))?;
    let mut rois = Vec::new();
    for image in elements(images) {
        for roi in value_of(image, "ROIs").into_iter().flat_map(elements) {
            let name = value_of(roi, "Name").and_then(|node| node.text()).unwrap_or_default().trim().to_owned();
            let points = value_of(roi, "Point_px").ok_or_else(|| wrong("a contour without Point_px".to_owned()))?;
            let points = elements(points).map(|node| point(node.text().unwrap_or_default()));
            let points =
                points.collect::<Option<Vec<_>>>().ok_or_else(|| wrong("a point that is not (x, y)".to_owned()))?;
            rois.push(Roi { name, points });
        }
    }
    Ok(rois)
}

fn elements<'a, 'input: 'a>(node: Node<'a, 'input>) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(Node::is_element)
}

/// The value that follows `<key>name</key>` in a dictionary.
fn value_of<'a, 'input: 'a>(dict: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    let mut nodes = elements(dict);
    nodes.find(|node| node.has_tag_name("key") && node.text().is_some_and(|text| text.trim() == name))?;
    nodes.next()
}

/// `(1234.5, 567.8)`.
fn point(text: &str) -> Option<[f64; 2]> {
    let (x, y) = text.trim().strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    Some([number(x)?, number(y)?])
}
