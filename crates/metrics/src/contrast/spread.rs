//! How much trainings of one kind vary: between them, and by patient.

/// Rows: trainings; columns: patients.
pub(super) type Matrix = Vec<Vec<f64>>;

/// Variances within groups of trainings that differ by nothing but their seeds.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread {
    /// Deviations of the trainings' means from the mean of their group, whose mean square is `variance`.
    pub(super) residuals: Vec<f64>,
    /// The variance of a training's mean over its patients.
    pub(super) variance: f64,
    /// Its degrees of freedom.
    pub(super) degrees: f64,
    /// The mean square of what varies by training and patient together.
    pub(super) interaction: f64,
    /// Its degrees of freedom.
    pub(super) interaction_degrees: f64,
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean of the rows.
pub(super) fn mean_row(rows: &Matrix) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|column| mean(&rows.iter().map(|row| row[column]).collect::<Vec<_>>())).collect()
}

impl Spread {
    /// Pools groups. A group of one training shows nothing.
    pub(super) fn of<'m>(groups: impl Iterator<Item = &'m Matrix>) -> Self {
        let mut found = Self::default();
        for rows in groups.filter(|rows| rows.len() > 1) {
            let by_patient = mean_row(rows);
            let (all, units, patients) = (mean(&by_patient), rows.len() as f64, by_patient.len() as f64);
            for row in rows {
                let own = mean(row) - all;
                found.variance += own * own;
                found.residuals.push(own * (units / (units - 1.0)).sqrt());
                let rest = row.iter().zip(&by_patient).map(|(value, usual)| value - usual - own);
                found.interaction += rest.map(|rest| rest * rest).sum::<f64>();
            }
            found.degrees += units - 1.0;
            found.interaction_degrees += (units - 1.0) * (patients - 1.0);
        }
        if found.degrees > 0.0 {
            found.variance /= found.degrees;
        }
        if found.interaction_degrees > 0.0 {
            found.interaction /= found.interaction_degrees;
        }
        // Groups of different sizes weigh differently in the two.
        let square = found.residuals.iter().map(|residual| residual * residual).sum::<f64>();
        if square > 0.0 {
            let scale = (found.variance * found.residuals.len() as f64 / square).sqrt();
            found.residuals.iter_mut().for_each(|residual| *residual *= scale);
        }
        found
    }
}
