//! Clusters of microcalcifications, the second class of lesion: bright specks within an ellipse, which is their mask.

use rand::Rng;

use super::anatomy::Patient;
use super::canvas::{Canvas, Frame};
use super::config::PhantomConfig;
use super::slice::View;
use super::texture::{Stream, keyed_rng};

/// Smallest and largest longer half axis of a cluster, as a share of the shorter side.
const HALF_AXIS: [f32; 2] = [0.05, 0.09];

/// What a speck adds to the tissue, as a share of the full grey range, at least and at most.
const CONTRAST: [f32; 2] = [0.35, 0.6];

/// A cluster in one view: what its specks add, and the pixels that belong to it.
pub(super) struct Cluster {
    pub(super) added: Vec<f32>,
    pub(super) mask: Vec<bool>,
}

/// The cluster of a patient in a view, unless there is none. Its draws are of a stream of their own, so that everything else in the slice
/// stays as it is without clusters.
pub(super) fn cluster(
    config: &PhantomConfig,
    number: usize,
    patient: &Patient,
    (view, frame): (View, Frame),
) -> Option<Cluster> {
    let mut rng = keyed_rng(config.seed, number, Stream::Cluster);
    if rng.random::<f32>() >= config.calcification_share {
        return None;
    }
    let half = rng.random_range(HALF_AXIS[0]..HALF_AXIS[1]);
    let position = patient.draw_position(half, &mut rng);
    let specks = rng.random_range(9..17);
    let mut rng = keyed_rng(config.seed, number, Stream::ClusterProjection(view));
    let (flatness, turn) = (rng.random_range(0.6..1.0), rng.random_range(0.0..std::f32::consts::TAU));
    let centre = patient.project(view, position);
    let (sin, cos) = turn.sin_cos();
    // The distance from the centre in units of the outline.
    let distance = |[x, y]: [f32; 2]| {
        let (x, y) = (x - centre[0], y - centre[1]);
        ((x * cos + y * sin) / half).hypot((y * cos - x * sin) / (half * flatness))
    };
    let mut canvas = Canvas::new(frame);
    for _ in 0..specks {
        // Evenly within the outline, and not on its edge.
        let (radius, angle) = (0.85 * half * rng.random::<f32>().sqrt(), rng.random_range(0.0..std::f32::consts::TAU));
        let (along, across) = (radius * angle.cos(), radius * angle.sin() * flatness);
        let place = [centre[0] + along * cos - across * sin, centre[1] + along * sin + across * cos];
        let strength = rng.random_range(CONTRAST[0]..CONTRAST[1]);
        canvas.stroke([place; 3], 0.0035, [strength; 3]);
    }
    let mask = frame.points().map(|point| distance(point) <= 1.0).collect();
    Some(Cluster { added: canvas.values, mask })
}
