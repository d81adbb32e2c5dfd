//! DICOM images and segmentations in: frames one at a time, bounded memory, no panic.
