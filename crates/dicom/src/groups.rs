//! Functional groups: the attributes of one frame of a multi-frame object, from its per-frame groups, else from the shared groups,
//! else from the object itself.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::attributes::laterality;
use crate::dataset::Dataset;
use crate::shape::Shape;
use crate::voi::{self, Lut, Modality, Pipeline};
use crate::{FrameInfo, Plane, Result, Spacing, SpacingSource};

/// What could be read; nothing, with a mark in `unusable`, if it cannot be used.
fn or_none<T>(found: Result<Option<T>>, unusable: &mut bool) -> Option<T> {
    found.unwrap_or_else(|_| {
        *unusable = true;
        None
    })
}

/// The data sets that may hold an attribute of one frame: per-frame groups, shared groups, object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Groups<'a> {
    frame: Option<Dataset<'a>>,
    shared: Option<Dataset<'a>>,
    root: Dataset<'a>,
}

impl<'a> Groups<'a> {
    /// `frame` is the frame's item of the Per-frame Functional Groups Sequence, `shared` is the item of the Shared
    /// Functional Groups Sequence.
    pub(crate) fn new(root: Dataset<'a>, frame: Option<Dataset<'a>>, shared: Option<Dataset<'a>>) -> Self {
        Self { frame, shared, root }
    }

    /// The item of a functional group macro that holds `wanted`; the object's own data set if only that holds it.
    fn holder(&self, group: Tag, wanted: Tag) -> Option<Dataset<'a>> {
        let inside = [self.frame, self.shared].into_iter().flatten().filter_map(|groups| groups.item(group));
        inside.chain([self.root]).find(|dataset| dataset.get(wanted).is_some())
    }

    fn vector<const N: usize>(&self, group: Tag, wanted: Tag) -> Result<Option<[f64; N]>> {
        self.holder(group, wanted).map_or(Ok(None), |dataset| dataset.vector(wanted))
    }

    fn number(&self, group: Tag, wanted: Tag) -> Result<Option<f64>> {
        self.holder(group, wanted).map_or(Ok(None), |dataset| dataset.number(wanted))
    }

    /// The first spacing that can be used; others set `unusable`.
    fn spacing(&self, unusable: &mut bool) -> Option<Spacing> {
        let sources = [
            (tags::PIXEL_SPACING, SpacingSource::PixelSpacing),
            (tags::IMAGER_PIXEL_SPACING, SpacingSource::ImagerPixelSpacing),
            (tags::NOMINAL_SCANNED_PIXEL_SPACING, SpacingSource::NominalScannedPixelSpacing),
        ];
        for (tag, source) in sources {
            let Some(holder) = self.holder(tags::PIXEL_MEASURES_SEQUENCE, tag) else { continue };
            match holder.vector::<2>(tag) {
                Ok(None) => {}
                Ok(Some([row, column])) if row > 0.0 && column > 0.0 => return Some(Spacing { row, column, source }),
                Ok(Some(_)) | Err(_) => *unusable = true,
            }
        }
        None
    }

    fn position(&self) -> Result<Option<[f64; 3]>> {
        self.vector(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)
    }

    fn orientation(&self) -> Result<Option<[f64; 6]>> {
        self.vector(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT)
    }

    /// Where the frame lies. What the file says in a way that cannot be used counts as not said.
    pub(crate) fn plane(&self) -> Plane {
        Plane {
            position: self.position().unwrap_or_default(),
            orientation: self.orientation().unwrap_or_default(),
            spacing: self.spacing(&mut false).map(|spacing| [spacing.row, spacing.column]),
        }
    }

    /// Geometry and laterality; `object` is the laterality of the whole object.
    pub(crate) fn frame_info(&self, object: Option<crate::Laterality>, pipeline: &Pipeline) -> FrameInfo {
        let anatomy = self.holder(tags::FRAME_ANATOMY_SEQUENCE, tags::FRAME_LATERALITY);
        let (slope, intercept) = match &pipeline.modality {
            Modality::Rescale { slope, intercept, .. } => (*slope, *intercept),
            Modality::Lut(_) => (1.0, 0.0),
        };
        let measures = tags::PIXEL_MEASURES_SEQUENCE;
        let mut unusable = false;
        let spacing = self.spacing(&mut unusable);
        let slice_thickness = or_none(self.number(measures, tags::SLICE_THICKNESS), &mut unusable);
        let spacing_between_slices = or_none(self.number(measures, tags::SPACING_BETWEEN_SLICES), &mut unusable);
        let position = or_none(self.position(), &mut unusable);
        let orientation = or_none(self.orientation(), &mut unusable);
        FrameInfo {
            spacing,
            slice_thickness,
            spacing_between_slices,
            position,
            orientation,
            unusable_geometry: unusable,
            laterality: anatomy.and_then(|item| laterality(&item, tags::FRAME_LATERALITY)).or(object),
            windows: pipeline.windows.clone(),
            voi_luts: pipeline.luts.len(),
            slope,
            intercept,
            modality_lut: matches!(pipeline.modality, Modality::Lut(_)),
        }
    }

    /// The value transformations of the frame.
    pub(crate) fn pipeline(&self, shape: &Shape) -> Result<Pipeline> {
        let modality = self.modality(shape)?;
        // A VOI LUT has signed inputs if the modality values can be below 0.
        let (low, high) = modality.range(shape.bits_stored, shape.signed);
        let signed = low.min(high) < 0.0;
        let frame_voi = tags::FRAME_VOILUT_SEQUENCE;
        let windows = match self.holder(frame_voi, tags::WINDOW_CENTER) {
            Some(holder) => voi::windows(&holder)?,
            None => Vec::new(),
        };
        let luts = match self.holder(frame_voi, tags::VOILUT_SEQUENCE) {
            Some(holder) => holder
                .items(tags::VOILUT_SEQUENCE)
                .iter()
                .map(|item| Lut::read(item, tags::LUT_DESCRIPTOR, tags::LUT_DATA, signed))
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        Ok(Pipeline { modality, windows, luts })
    }

    fn modality(&self, shape: &Shape) -> Result<Modality> {
        let group = tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE;
        if let Some(item) = self.root.item(tags::MODALITY_LUT_SEQUENCE) {
            return Lut::read(&item, tags::LUT_DESCRIPTOR, tags::LUT_DATA, shape.signed).map(Modality::Lut);
        }
        let slope = self.number(group, tags::RESCALE_SLOPE)?;
        let intercept = self.number(group, tags::RESCALE_INTERCEPT)?;
        // One without the other is ignored, as in pydicom.
        Ok(match (slope, intercept) {
            (Some(slope), Some(intercept)) => Modality::Rescale { slope, intercept, stated: true },
            _ => Modality::Rescale { slope: 1.0, intercept: 0.0, stated: false },
        })
    }
}
