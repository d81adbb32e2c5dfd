//! Masses: the properties that both views share, and the footprint in one view.

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

/// A mass in the breast, before it is projected onto a view.
#[derive(Debug, Clone)]
pub(super) struct Mass3 {
    pub(super) kind: MassKind,
    pub(super) diameter: f32,
    pub(super) contrast: f32,
    pub(super) position: [f32; 3],
    /// Amplitudes of the outline's harmonics, from the second harmonic on.
    harmonics: [f32; HARMONICS],
    /// Number of rounded lobes, and how deep the notches between them are as a share of the radius.
    lobes: usize,
    lobe_depth: f32,
    /// Exponent of the edge: higher is sharper.
    edge: f32,
    spicules: usize,
}

const HARMONICS: usize = 5;

impl Mass3 {
    pub(super) fn new(kind: MassKind, diameter: f32, contrast: f32, position: [f32; 3], rng: &mut impl Rng) -> Self {
        let shape: [f32; HARMONICS] = match kind {
            MassKind::Lobulated => [0.09, 0.03, 0.02, 0.0, 0.0],
            MassKind::Spiculated => [0.08, 0.05, 0.04, 0.04, 0.03],
        };
        let harmonics = shape.map(|most| most * rng.random_range(0.4..1.0));
        let (edge, lobes, lobe_depth, spicules) = match kind {
            MassKind::Lobulated => {
                (rng.random_range(4.5..7.0), rng.random_range(3..6), rng.random_range(0.14..0.32), 0)
            }
            MassKind::Spiculated => (rng.random_range(3.5..5.0), 1, 0.0, rng.random_range(11..19)),
        };
        Self { kind, diameter, contrast, position, harmonics, lobes, lobe_depth, edge, spicules }
    }

    /// Projects the mass onto one view: the same shape, rotated, because another side of the mass faces the detector.
    pub(super) fn project<R: Rng>(&self, centre: [f32; 2], rng: &mut R) -> Footprint {
        const ANGLES: usize = 180;
        let mut footprint = Footprint {
            centre,
            radius: 1.0,
            harmonics: self.harmonics.map(|amplitude| (amplitude, rng.random_range(0.0..TAU))),
            lobes: self.lobes,
            lobe_depth: self.lobe_depth,
            lobe_phase: rng.random_range(0.0..TAU),
            edge: self.edge,
        };
        // The area inside `r(angle)` is half the integral of its square; the diameter is that of the circle of equal area.
        let squares = (0..ANGLES).map(|k| footprint.outline(TAU * k as f32 / ANGLES as f32).powi(2));
        footprint.radius = 0.5 * self.diameter / (squares.sum::<f32>() / ANGLES as f32).sqrt();
        footprint
    }

    /// Draws the spicules of one view; their brightness is a share of the mass's contrast.
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
            let strength = rng.random_range(0.45..0.7);
            canvas.stroke(curve, 0.004, [strength, 0.6 * strength, 0.0]);
        }
    }
}

/// A mass in one view: a profile that falls from 1 in the centre to 0 outside, and is exactly 1/2 on its outline.
#[derive(Debug, Clone)]
pub(super) struct Footprint {
    pub(super) centre: [f32; 2],
    pub(super) radius: f32,
    /// Amplitude and phase of the outline's harmonics, from the second harmonic on.
    harmonics: [(f32, f32); HARMONICS],
    lobes: usize,
    lobe_depth: f32,
    lobe_phase: f32,
    edge: f32,
}

impl Footprint {
    /// Distance from the centre to the outline in a direction, in units of `radius`.
    fn outline(&self, angle: f32) -> f32 {
        let harmonics = self.harmonics.iter().enumerate();
        let waves: f32 =
            harmonics.map(|(k, (amplitude, phase))| amplitude * ((k + 2) as f32 * angle + phase).cos()).sum();
        // |cos| makes rounded lobes with notches between them; the small term rounds the notches.
        // Turning the angle unevenly makes the lobes differ in width.
        let uneven = angle + 0.35 * (angle - self.lobe_phase).sin();
        let lobe = (0.5 * (self.lobes as f32 * uneven + self.lobe_phase)).cos().powi(2) + 0.02;
        1.0 + waves + self.lobe_depth * (lobe.sqrt() - std::f32::consts::FRAC_2_PI)
    }

    /// The profile at a point: `1 / (1 + rho^n)`, where `rho` is the distance to the centre divided by that of the outline.
    pub(super) fn profile(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let distance = dx.hypot(dy);
        if distance > 4.0 * self.radius {
            return 0.0;
        }
        1.0 / (1.0 + (distance / (self.radius * self.outline(dy.atan2(dx)))).powf(self.edge))
    }

    /// The profile on a whole slice.
    pub(super) fn render(&self, frame: Frame) -> Vec<f32> {
        frame.points().map(|[x, y]| self.profile(x, y)).collect()
    }
}
