//! The patient that both views share, and the outlines of breast and muscle in a view.
//!
//! Lengths are shares of the shorter side of the slice. `x` runs from the chest wall towards the nipple, `y` downwards
//! from the middle of the slice.

use rand::Rng;

use super::config::PhantomConfig;
use super::mass::{Mass3, MassKind};
use super::slice::View;
use super::texture::{Stream, keyed_rng};

/// The properties that both views of one patient share.
#[derive(Debug, Clone)]
pub(super) struct Patient {
    /// Distance from the chest wall to the nipple.
    pub(super) depth: f32,
    /// Half of the breast's height at the chest wall, in the CC view.
    pub(super) half_height: f32,
    /// Glandular density, from 0 (nearly all fat) to 1 (very dense).
    pub(super) density: f32,
    /// Whether the breast is the right one.
    pub(super) right: bool,
    /// The mass, unless the patient has none.
    pub(super) mass: Option<Mass3>,
    outline_power: f32,
    nipple_cc: f32,
    nipple_mlo: f32,
    muscle: Muscle,
}

impl Patient {
    /// Makes the patient with this number; it depends on the settings alone.
    pub(super) fn new(config: &PhantomConfig, patient: usize) -> Self {
        let mut rng = keyed_rng(config.seed, patient, Stream::Anatomy);
        let tallness = (config.size[1] as f32 / config.size[0] as f32).clamp(1.0, 1.5);
        let depth = rng.random_range(0.58..0.86);
        let half_height = tallness * (0.34 + 0.16 * (depth - 0.58) + rng.random_range(0.0..0.08));
        // The mean of two draws, so that most breasts have a medium density.
        let density = 0.5 * (rng.random::<f32>() + rng.random::<f32>());
        let outline_power = rng.random_range(2.0..2.5);
        let nipple_cc = rng.random_range(-0.03..0.03);
        let nipple_mlo = tallness * rng.random_range(0.06..0.14);
        let muscle = Muscle {
            width: rng.random_range(0.24..0.40) * depth / 0.7,
            bottom: tallness * rng.random_range(0.0..0.18),
            top: -0.5 * (config.size[1] as f32 / config.size[0].min(config.size[1]) as f32),
            brightness: rng.random_range(0.2..0.34),
            bow: rng.random_range(-0.02..0.035),
        };
        let right = rng.random_bool(0.5) && config.both_sides;
        let has_mass = rng.random::<f32>() >= config.lesion_free_share;
        let mut this =
            Self { depth, half_height, density, right, mass: None, outline_power, nipple_cc, nipple_mlo, muscle };
        // Drawn even if it is not used, so that `lesion_free_share` changes only which patients have a mass.
        let mass = this.draw_mass(config, &mut rng);
        this.mass = has_mass.then_some(mass);
        this
    }

    fn draw_mass(&self, config: &PhantomConfig, rng: &mut impl Rng) -> Mass3 {
        let between = |[low, high]: [f32; 2], share: f32| low + (high - low) * share;
        let kind =
            if rng.random::<f32>() < config.spiculated_share { MassKind::Spiculated } else { MassKind::Lobulated };
        let diameter = between(config.mass_diameter, rng.random());
        let contrast = between(config.mass_contrast, rng.random());
        let position = self.draw_position(0.5 * diameter, rng);
        Mass3::new(kind, diameter, contrast, position, rng)
    }

    /// A position away from skin, chest wall and muscle in both views.
    pub(super) fn draw_position(&self, radius: f32, rng: &mut impl Rng) -> [f32; 3] {
        const TRIALS: usize = 64;
        for _ in 0..TRIALS {
            let position = [rng.random_range(0.2..0.8), rng.random_range(-0.6..0.6), rng.random_range(-0.6..0.6f32)];
            let clear = View::BOTH.iter().all(|&view| {
                let [x, y] = self.project(view, position);
                self.outline(view).distance(x, y) > 1.4 * radius + 0.04
                    && x > 1.4 * radius
                    && self.muscle(view).is_none_or(|muscle| muscle.distance(x, y) < -1.2 * radius)
            });
            if clear {
                return position;
            }
        }
        [0.6, 0.0, 0.0]
    }

    /// Projects a point of the breast onto a view. `position` holds the distance from the chest wall as a share of that
    /// to the nipple, then the lateral and the vertical offset as shares of the half height.
    pub(super) fn project(&self, view: View, position: [f32; 3]) -> [f32; 2] {
        let [along, lateral, vertical] = position;
        let outline = self.outline(view);
        // The oblique view looks along the diagonal between the lateral and the vertical axis, so it mixes the two offsets.
        let across = match view {
            View::Cc => lateral,
            View::Mlo => std::f32::consts::FRAC_1_SQRT_2 * (lateral + vertical),
        };
        let reach = if across < 0.0 { outline.up } else { outline.down };
        [along * outline.depth, outline.nipple_y + across * reach]
    }

    /// The outline of the breast in a view.
    pub(super) fn outline(&self, view: View) -> Outline {
        match view {
            View::Cc => Outline {
                depth: self.depth,
                nipple_y: self.nipple_cc,
                up: self.half_height + self.nipple_cc,
                down: self.half_height - self.nipple_cc,
                power: self.outline_power,
            },
            // In the oblique view the breast hangs: it is long above, where it continues into the armpit, and short below.
            View::Mlo => Outline {
                depth: 0.97 * self.depth,
                nipple_y: self.nipple_mlo,
                up: 1.75 * self.half_height,
                down: 0.88 * self.half_height,
                power: self.outline_power - 0.1,
            },
        }
    }

    /// The pectoral muscle, which only the MLO view shows.
    pub(super) fn muscle(&self, view: View) -> Option<&Muscle> {
        (view == View::Mlo).then_some(&self.muscle)
    }
}

/// The edge of the breast: a superellipse whose upper and lower halves may differ in height.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline {
    pub(super) depth: f32,
    pub(super) nipple_y: f32,
    pub(super) up: f32,
    pub(super) down: f32,
    power: f32,
}

impl Outline {
    /// Distance to the skin to first order, positive inside: exact near the edge and approximate deep inside.
    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        let offset = y - self.nipple_y;
        let half = if offset < 0.0 { self.up } else { self.down };
        let bump = 0.022 * (-(offset / 0.016).powi(2)).exp();
        let depth = self.depth + bump;
        let (a, b) = ((x / depth).max(1e-4), (offset.abs() / half).max(1e-4));
        let (pa, pb) = (a.powf(self.power - 1.0), b.powf(self.power - 1.0));
        let sum = pa * a + pb * b;
        let level = sum.powf(1.0 / self.power);
        let slope = (level / sum) * (pa / depth).hypot(pb / half);
        (1.0 - level) / slope
    }

    /// The point of the skin at `across`: -1 is the top of the chest wall, 0 the nipple, 1 the bottom.
    pub(super) fn skin_point(&self, across: f32) -> [f32; 2] {
        let half = if across < 0.0 { self.up } else { self.down };
        let x = self.depth * (1.0 - across.abs().powf(self.power)).max(0.0).powf(1.0 / self.power);
        [x, self.nipple_y + across * half]
    }
}

/// The pectoral muscle: a triangle between the chest wall and the upper edge with a slightly bowed border.
#[derive(Debug, Clone, Copy)]
pub(super) struct Muscle {
    /// Width at the upper edge of the slice.
    width: f32,
    /// Where its border meets the chest wall.
    bottom: f32,
    /// The upper edge of the slice.
    top: f32,
    /// How far the border bulges in its middle.
    bow: f32,
    /// What the muscle adds to the grey level of fat.
    pub(super) brightness: f32,
}

impl Muscle {
    /// Distance to the border, positive in the muscle.
    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        let height = self.bottom - self.top;
        let along = ((self.bottom - y) / height).clamp(-0.5, 1.5);
        let border = self.width * along + 4.0 * self.bow * along * (1.0 - along);
        (border - x) * height / self.width.hypot(height)
    }
}
