//! Values of interest: windows and look-up tables, as PS3.3 C.11 defines them.

/// VOI LUT Function (0028,1056).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFunction {
    /// LINEAR, PS3.3 C.11.2.1.2.1: centre less 0.5, width less 1.
    Linear,
    /// LINEAR_EXACT, PS3.3 C.11.2.1.3.2.
    LinearExact,
    /// SIGMOID, PS3.3 C.11.2.1.3.1.
    Sigmoid,
}

/// A window over modality values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Centre, in modality units.
    pub center: f64,
    /// Width, in modality units; at least 1 for `Linear`, above 0 for the others.
    pub width: f64,
    /// How values go through it.
    pub function: WindowFunction,
}

/// Which window or look-up table to apply.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Voi {
    /// The file's first VOI LUT, else its first window, else none: pydicom's `apply_voi_lut`.
    #[default]
    Default,
    /// The file's first window, whether it has LUTs or not; none where it has no window.
    FirstWindow,
    /// The file's window of this number, counted from 0.
    Window(usize),
    /// The file's VOI LUT of this number, counted from 0.
    Lut(usize),
    /// A window that the caller chose.
    Given(Window),
    /// No window: the range of modality values that the stored bits can hold.
    FullRange,
}
