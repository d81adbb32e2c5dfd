//! Generated pairs in the formats of other tools: nnU-Net, MONAI, COCO, NIfTI, DICOM SEG, WebDataset.
