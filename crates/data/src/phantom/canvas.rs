//! The grid of a slice in breast coordinates, and soft curves drawn on it.

/// The pixel grid of a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Frame {
    /// Pixels in one unit of length: the shorter side.
    pub(super) fn unit(self) -> f32 {
        self.width.min(self.height) as f32
    }

    /// The centre of a pixel in breast coordinates.
    pub(super) fn point(self, column: usize, row: usize) -> [f32; 2] {
        [(column as f32 + 0.5) / self.unit(), (row as f32 + 0.5 - 0.5 * self.height as f32) / self.unit()]
    }

    /// The centres of all pixels, row by row.
    pub(super) fn points(self) -> impl Iterator<Item = [f32; 2]> {
        (0..self.height).flat_map(move |row| (0..self.width).map(move |column| self.point(column, row)))
    }

    /// Column and row, as real numbers, of a point in breast coordinates; whole numbers are pixel centres.
    pub(super) fn pixel(self, [x, y]: [f32; 2]) -> [f32; 2] {
        [x * self.unit() - 0.5, y * self.unit() + 0.5 * self.height as f32 - 0.5]
    }
}

/// A layer of curves; where curves cross, the brighter one shows.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    frame: Frame,
    pub(super) values: Vec<f32>,
}

impl Canvas {
    pub(super) fn new(frame: Frame) -> Self {
        Self { frame, values: vec![0.0; frame.width * frame.height] }
    }

    /// Draws a quadratic Bezier curve with a Gaussian cross-section of standard deviation `thickness`. `strength` gives
    /// its brightness at the start, the middle and the end.
    pub(super) fn stroke(&mut self, curve: [[f32; 2]; 3], thickness: f32, strength: [f32; 3]) {
        let [start, middle, end] = curve.map(|point| self.frame.pixel(point));
        let sigma = (thickness * self.frame.unit()).max(0.45);
        let length =
            (middle[0] - start[0]).hypot(middle[1] - start[1]) + (end[0] - middle[0]).hypot(end[1] - middle[1]);
        let steps = (2.0 * length).ceil().max(1.0) as usize;
        for step in 0..=steps {
            let t = step as f32 / steps as f32;
            let blend = |axis: usize| {
                (1.0 - t) * (1.0 - t) * start[axis] + 2.0 * t * (1.0 - t) * middle[axis] + t * t * end[axis]
            };
            let (from, to, share) =
                if t < 0.5 { (strength[0], strength[1], 2.0 * t) } else { (strength[1], strength[2], 2.0 * t - 1.0) };
            self.dab([blend(0), blend(1)], sigma, from + (to - from) * share);
        }
    }

    fn dab(&mut self, [x, y]: [f32; 2], sigma: f32, strength: f32) {
        let reach = 2.5 * sigma;
        let range = |centre: f32, count: usize| {
            let low = (centre - reach).ceil().max(0.0) as usize;
            let high = (centre + reach).floor() + 1.0;
            low..(high.max(0.0) as usize).min(count)
        };
        for row in range(y, self.frame.height) {
            for column in range(x, self.frame.width) {
                let squared = (column as f32 - x).powi(2) + (row as f32 - y).powi(2);
                let value = strength * (-0.5 * squared / (sigma * sigma)).exp();
                let pixel = &mut self.values[row * self.frame.width + column];
                *pixel = pixel.max(value);
            }
        }
    }
}
