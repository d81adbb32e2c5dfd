//! Renders one view of one patient, tissue by tissue.

use rand::Rng;

use super::anatomy::{Outline, Patient};
use super::canvas::{Canvas, Frame};
use super::cluster;
use super::config::PhantomConfig;
use super::slice::{BACKGROUND, Laterality, MassDescription, PhantomSlice, View};
use super::texture::{Field, GLANDULAR_EXPONENT, Stream, keyed_rng, normal_pair, power_law_fields};

/// Grey levels as shares of the full range. Their sum stays below about 0.7, so that a mass can be brighter.
mod level {
    /// Fat of full thickness.
    pub(super) const FAT: f32 = 0.18;
    /// What the densest glandular tissue adds to fat.
    pub(super) const GLAND: f32 = 0.34;
    /// What the skin line adds.
    pub(super) const SKIN: f32 = 0.13;
    /// Standard deviation of the quantum noise.
    pub(super) const NOISE: f32 = 0.012;
}

/// The exponent of strands and ducts, which are smoother than the glandular pattern.
const STRAND_EXPONENT: f32 = 3.6;

/// Makes one slice. `config` has been checked.
pub(super) fn render(config: &PhantomConfig, patient_number: usize, view: View) -> PhantomSlice {
    let frame = Frame { width: config.size[0], height: config.size[1] };
    let patient = Patient::new(config, patient_number);
    let mut rng = keyed_rng(config.seed, patient_number, Stream::Projection(view));
    let tissue = Tissue::new(frame, &patient, view, &mut rng);

    let mut image: Vec<f32> = frame.points().enumerate().map(|(index, point)| tissue.grey(index, point)).collect();
    let mut mask = vec![false; image.len()];
    let mass = patient.mass.as_ref().map(|mass| {
        let footprint = mass.project(patient.project(view, mass.position), &mut rng);
        let mut spicules = Canvas::new(frame);
        mass.draw_spicules(&footprint, &mut spicules, &mut rng);
        let profile = footprint.render(frame);
        for (index, (&core, &spicule)) in profile.iter().zip(&spicules.values).enumerate() {
            image[index] += mass.contrast * core.max(spicule);
            mask[index] = core >= 0.5;
        }
        MassDescription {
            kind: mass.kind,
            contrast: mass.contrast,
            diameter: mass.diameter * frame.unit(),
            centre: frame.pixel(footprint.centre),
            area: mask.iter().filter(|&&inside| inside).count(),
        }
    });
    let mut cluster = vec![false; if config.calcification_share > 0.0 { image.len() } else { 0 }];
    if let Some(found) = cluster::cluster(config, patient_number, &patient, (view, frame)) {
        image.iter_mut().zip(&found.added).for_each(|(grey, added)| *grey += added);
        for (index, inside) in cluster.iter_mut().enumerate() {
            *inside = found.mask[index] && !mask[index];
        }
    }
    for (grey, &depth) in image.iter_mut().zip(&tissue.depth) {
        let noise = level::NOISE * normal_pair(&mut rng).0;
        *grey = if depth <= 0.0 {
            BACKGROUND
        } else {
            // The edge pixels are partly air.
            let cover = (depth * frame.unit() / 1.5).min(1.0);
            (cover * (*grey + noise)).clamp(0.0, 1.0)
        };
    }
    let mut slice = PhantomSlice {
        image,
        mask,
        cluster,
        width: frame.width,
        height: frame.height,
        patient: patient_number,
        view,
        laterality: Laterality::Left,
        density: patient.density,
        mass,
    };
    if patient.right {
        slice.mirror();
    }
    slice
}

/// Everything in a view except the mass.
struct Tissue<'a> {
    patient: &'a Patient,
    view: View,
    frame: Frame,
    outline: Outline,
    /// Distance to the skin of every pixel, positive inside.
    depth: Vec<f32>,
    /// The glandular pattern.
    gland: Field,
    /// A second pattern: used unchanged in fat and muscle, and stretched towards the nipple in the gland.
    second: Field,
    /// Fields whose zero lines are strands: `ducts` is stretched towards the nipple, `septa` is the same in all directions.
    ducts: Field,
    septa: Field,
    lines: Canvas,
}

impl<'a> Tissue<'a> {
    fn new(frame: Frame, patient: &'a Patient, view: View, rng: &mut impl Rng) -> Self {
        let outline = patient.outline(view);
        let [gland, second] = power_law_fields(frame.width, frame.height, GLANDULAR_EXPONENT, rng);
        let [ducts, septa] = power_law_fields(frame.width, frame.height, STRAND_EXPONENT, rng);
        let mut lines = Canvas::new(frame);
        draw_ligaments(&outline, &mut lines, rng);
        draw_fibres(&outline, &mut lines, rng);
        let depth = frame.points().map(|[x, y]| outline.distance(x, y)).collect();
        Self { patient, view, frame, outline, depth, gland, second, ducts, septa, lines }
    }

    /// The grey level of a pixel before noise, as if the pixel were completely inside the breast.
    fn grey(&self, index: usize, [x, y]: [f32; 2]) -> f32 {
        let depth = self.depth[index];
        if depth <= 0.0 {
            return BACKGROUND;
        }
        let (radius, angle) = self.about_nipple(x, y);
        // One part is the same in all directions, the other is stretched towards the nipple like the lobes and ducts.
        let pattern = 0.8 * self.gland.values[index] + 0.6 * self.second.sample(0.55 * radius, 0.6 * angle);
        let share = self.gland_share(x, y, depth, pattern);
        let strands = self.strands(index, radius, angle);
        let density = self.patient.density;
        // Towards the skin, the compressed breast gets thinner in a round edge.
        let rim = 1.0 - (depth / 0.085).min(1.0);
        let thickness = (1.0 - rim * rim).sqrt();
        let fat = level::FAT + 0.025 * self.second.values[index] + 0.085 * strands * (0.3 + 0.7 * share);
        let gland = share * (level::GLAND * (0.55 + 0.45 * density) + 0.037 * pattern);
        let lines = self.lines.values[index];
        let muscle = self.patient.muscle(self.view).map_or(0.0, |muscle| {
            let inside = logistic(muscle.distance(x, y) / 0.012);
            inside * (muscle.brightness + 0.025 * self.second.values[index] - gland - 0.5 * lines)
        });
        let skin = level::SKIN * (-((depth - 0.008) / 0.006).powi(2)).exp();
        thickness * (fat + gland + lines + muscle).max(0.03) + skin
    }

    /// Share of glandular tissue, from 0 to 1: a cone with its tip at the nipple, broken up by the power-law pattern.
    fn gland_share(&self, x: f32, y: f32, depth: f32, pattern: f32) -> f32 {
        let outline = &self.outline;
        let density = self.patient.density;
        let offset = y - outline.nipple_y;
        let half = if offset < 0.0 { outline.up.min(1.2 * outline.down) } else { outline.down };
        let along = x / outline.depth - 0.58;
        let across = offset / half;
        let reach = (along / if along > 0.0 { 0.5 } else { 0.55 }).hypot(across / 0.72);
        let cone = logistic((0.60 + 0.34 * density - reach + 0.13 * pattern) / 0.10);
        // Fat lies under the skin except behind the nipple, and breaks up the gland where it is not dense.
        let behind_nipple = (-(offset / 0.07).powi(2)).exp() * smooth_step(0.6, 0.95, x / outline.depth);
        let under_skin = smooth_step(0.035, 0.10, depth + 0.05 * behind_nipple);
        let lobes = logistic((pattern + 2.2 * (density - 0.42)) / 0.7);
        cone * under_skin * (0.25 + 0.75 * lobes)
    }

    /// Distance and angle as seen from a point outside the nipple, both scaled to pixels.
    fn about_nipple(&self, x: f32, y: f32) -> (f32, f32) {
        let unit = self.frame.unit();
        let (dx, dy) = (self.outline.depth + 0.11 - x, y - self.outline.nipple_y);
        (dx.hypot(dy) * unit, dy.atan2(dx) * unit)
    }

    /// Fibrous strands, from 0 to about 1.
    fn strands(&self, index: usize, radius: f32, angle: f32) -> f32 {
        let duct = self.ducts.sample(0.4 * radius, 0.55 * angle);
        let ridge = |value: f32, width: f32| (-(value / width).powi(2)).exp();
        0.7 * ridge(duct, 0.12) + 0.5 * ridge(self.septa.values[index], 0.08)
    }
}

/// Cooper's ligaments: thin arcs that run from the gland through the fat to the skin.
fn draw_ligaments(outline: &Outline, lines: &mut Canvas, rng: &mut impl Rng) {
    let count = rng.random_range(12..20);
    for k in 0..count {
        let across = -0.92 + 1.84 * (k as f32 + rng.random::<f32>()) / count as f32;
        let skin = outline.skin_point(across);
        let inner_share = rng.random_range(0.55..0.8);
        let root = outline.skin_point((across + rng.random_range(-0.22..0.22)).clamp(-0.95, 0.95));
        let root = [
            0.35 * outline.depth + inner_share * (root[0] - 0.35 * outline.depth),
            outline.nipple_y + inner_share * (root[1] - outline.nipple_y),
        ];
        let bow = rng.random_range(-0.05..0.05);
        let middle = [0.5 * (skin[0] + root[0]) - bow * (skin[1] - root[1]).signum(), 0.5 * (skin[1] + root[1]) + bow];
        let strength = rng.random_range(0.03..0.075);
        lines.stroke([root, middle, skin], 0.003, [0.0, strength, 0.5 * strength]);
    }
}

/// Long faint fibres and vessels that run from the chest wall towards the nipple.
fn draw_fibres(outline: &Outline, lines: &mut Canvas, rng: &mut impl Rng) {
    for _ in 0..rng.random_range(7..12) {
        let half = |across: f32| if across < 0.0 { outline.up } else { outline.down };
        let across: f32 = rng.random_range(-0.8..0.8);
        let start = [rng.random_range(0.0..0.3) * outline.depth, outline.nipple_y + across * half(across)];
        let narrowed = across * rng.random_range(0.1..0.6);
        let end = [rng.random_range(0.6..0.93) * outline.depth, outline.nipple_y + narrowed * half(narrowed)];
        let middle = [
            0.5 * (start[0] + end[0]) + rng.random_range(-0.05..0.05),
            0.5 * (start[1] + end[1]) + rng.random_range(-0.09..0.09),
        ];
        let strength = rng.random_range(0.02..0.07);
        lines.stroke([start, middle, end], rng.random_range(0.0025..0.0055), [0.0, strength, 0.0]);
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// 0 below `low`, 1 above `high`, and a smooth rise in between.
fn smooth_step(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
