//! Masses: what both views share, and the footprint in one view.

use std::f32::consts::TAU;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::canvas::{Canvas, Frame};

/// The two kinds of mass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MassKind {
    /// A few smooth lobes and a fairly sharp edge.
    Lobulated,
    /// An irregular core with a soft edge and thin spicules that radiate from it.
    Spiculated,
}

impl MassKind {
    /// The word in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lobulated => "lobulated",
            Self::Spiculated => "spiculated",
        }
    }
}

/// A mass as the breast holds it, before a view is taken.
#[derive(Debug, Clone)]
pub(super) struct Mass3 {
    pub(super) kind: MassKind,
    pub(super) diameter: f32,
    pub(super) contrast: f32,
    pub(super) position: [f32; 3],
    /// Amplitudes of the outline's harmonics from the second on.
    harmonics: [f32; HARMONICS],
    /// Exponent of the edge: higher is sharper.
    edge: f32,
    spicules: usize,
}

const HARMONICS: usize = 5;

impl Mass3 {
    pub(super) fn new(kind: MassKind, diameter: f32, contrast: f32, position: [f32; 3], rng: &mut impl Rng) -> Self {
        let shape: [f32; HARMONICS] = match kind {
            MassKind::Lobulated => [0.13, 0.11, 0.07, 0.03, 0.0],
            MassKind::Spiculated => [0.08, 0.05, 0.04, 0.04, 0.03],
        };
        let harmonics = shape.map(|most| most * rng.random_range(0.4..1.0));
        let (edge, spicules) = match kind {
            MassKind::Lobulated => (rng.random_range(7.0..11.0), 0),
            MassKind::Spiculated => (rng.random_range(4.5..6.5), rng.random_range(11..19)),
        };
        Self { kind, diameter, contrast, position, harmonics, edge, spicules }
    }

    /// Seen in one view: the same harmonics at other angles, because another side of the mass faces the detector.
    pub(super) fn project<R: Rng>(&self, centre: [f32; 2], rng: &mut R) -> Footprint {
        let phases = self.harmonics.map(|_| rng.random_range(0.0..TAU));
        // The area of `r = R (1 + sum of a_k cos)` is `pi R^2 (1 + sum of a_k^2 / 2)`: divide it out, so that
        // the diameter is that of the circle of equal area.
        let surplus = 1.0 + 0.5 * self.harmonics.iter().map(|a| a * a).sum::<f32>();
        Footprint {
            centre,
            radius: 0.5 * self.diameter / surplus.sqrt(),
            harmonics: self.harmonics,
            phases,
            edge: self.edge,
        }
    }

    /// Draws the spicules of one view as shares of the mass's contrast.
    pub(super) fn draw_spicules<R: Rng>(&self, footprint: &Footprint, canvas: &mut Canvas, rng: &mut R) {
        let turn = rng.random_range(0.0..TAU);
        for k in 0..self.spicules {
            let angle = turn + TAU * (k as f32 + rng.random_range(-0.35..0.35)) / self.spicules as f32;
            let reach = footprint.radius * rng.random_range(1.5..2.7);
            let bend = rng.random_range(-0.25..0.25);
            let point = |r: f32, turn: f32| {
                let (sin, cos) = (angle + turn).sin_cos();
                [footprint.centre[0] + r * cos, footprint.centre[1] + r * sin]
            };
            let curve = [point(0.6 * footprint.radius, 0.0), point(0.5 * reach, 0.0), point(reach, bend)];
            canvas.stroke(curve, 0.0045, [rng.random_range(0.45..0.7), 0.05]);
        }
    }
}

/// A mass in one view: a profile that falls from 1 in the centre through exactly 1/2 on its outline to 0.
#[derive(Debug, Clone)]
pub(super) struct Footprint {
    pub(super) centre: [f32; 2],
    pub(super) radius: f32,
    harmonics: [f32; HARMONICS],
    phases: [f32; HARMONICS],
    edge: f32,
}

impl Footprint {
    /// The profile at a point: `1 / (1 + rho^n)`, `rho` the distance to the centre in units of the outline's.
    pub(super) fn profile(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let distance = dx.hypot(dy);
        if distance > 3.0 * self.radius {
            return 0.0;
        }
        let angle = dy.atan2(dx);
        let mut outline = 1.0;
        for (k, (amplitude, phase)) in self.harmonics.iter().zip(&self.phases).enumerate() {
            outline += amplitude * ((k + 2) as f32 * angle + phase).cos();
        }
        1.0 / (1.0 + (distance / (self.radius * outline)).powf(self.edge))
    }

    /// The profile on a whole slice.
    pub(super) fn render(&self, frame: Frame) -> Vec<f32> {
        frame.points().map(|[x, y]| self.profile(x, y)).collect()
    }
}
