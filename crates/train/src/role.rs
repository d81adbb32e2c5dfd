//! The networks of the methods: their names, what they read and predict, and which network they learn from.

use crate::config::train::TrainConfig;

/// A network of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The guider of `pig`: [x_t, y_t] to x.
    ModelX,
    /// The conditional model of `pig`: [y_t, condition] to y.
    ModelY,
    /// The one network of `joint`: [x_t, y_t] to [x, y].
    Joint,
    /// Images without masks: y_t to y. The network of `ddpm` and `ddim`, and the base of `controlnet`.
    Unconditional,
    /// The network of `seg-guided`: [y_t, mask] to y.
    SegGuided,
    /// The control network of `controlnet`.
    Control,
    /// The autoencoder of `ldm`.
    Autoencoder,
    /// The U-Net of `ldm`: [z_t, mask] to z.
    Latent,
}

/// The kind of network that a role has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// [`pig_nn::unet::UNet`].
    UNet,
    /// [`pig_nn::control::ControlNet`].
    ControlNet,
    /// [`pig_nn::autoencoder::Autoencoder`].
    Autoencoder,
}

/// The section of the configuration that describes a U-Net, or the base of a control network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[model_x]`.
    ModelX,
    /// `[model_y]`.
    ModelY,
}

impl Section {
    /// The section's key.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::ModelX => "model_x",
            Self::ModelY => "model_y",
        }
    }
}

/// The network that another one learns from. It is trained first, and frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Teacher {
    /// The network.
    pub role: Role,
    /// Its name in messages.
    pub words: &'static str,
}

/// Everything that is fixed for a role.
struct Description {
    name: &'static str,
    kind: NetworkKind,
    section: Section,
    steps: fn(&TrainConfig) -> Option<usize>,
    channels: fn(usize, usize) -> [usize; 2],
    is_on_image_grid: bool,
    takes_unlabelled: bool,
    teacher: Option<Teacher>,
}

const GUIDER: Description = Description {
    name: "model_x",
    kind: NetworkKind::UNet,
    section: Section::ModelX,
    steps: |train| train.model_x_steps,
    channels: |mask, image| [mask + image, mask],
    is_on_image_grid: true,
    takes_unlabelled: false,
    teacher: Some(Teacher { role: Role::Autoencoder, words: "the guider's frozen autoencoder" }),
};
/// A U-Net that predicts an image from its noisy version and a mask.
const IMAGE_FOR_MASK: Description = Description {
    name: "",
    kind: NetworkKind::UNet,
    section: Section::ModelY,
    steps: |_| None,
    channels: |mask, image| [mask + image, image],
    is_on_image_grid: false,
    takes_unlabelled: true,
    teacher: None,
};
const CONDITIONAL: Description = Description {
    name: "model_y",
    is_on_image_grid: true,
    teacher: Some(Teacher { role: Role::ModelX, words: "model_y's frozen model_x" }),
    ..IMAGE_FOR_MASK
};
const JOINT: Description = Description {
    name: "joint",
    section: Section::ModelX,
    channels: |mask, image| [mask + image, mask + image],
    takes_unlabelled: false,
    ..IMAGE_FOR_MASK
};
const UNCONDITIONAL: Description = Description {
    name: "unconditional",
    steps: |train| train.base_steps,
    channels: |_, image| [image, image],
    ..IMAGE_FOR_MASK
};
const SEG_GUIDED: Description = Description { name: "seg_guided", ..IMAGE_FOR_MASK };
const CONTROL: Description = Description {
    name: "control",
    kind: NetworkKind::ControlNet,
    channels: |_, image| [image, image],
    takes_unlabelled: false,
    teacher: Some(Teacher { role: Role::Unconditional, words: "the control's frozen base" }),
    ..IMAGE_FOR_MASK
};
const AUTOENCODER: Description = Description {
    name: "autoencoder",
    kind: NetworkKind::Autoencoder,
    steps: |train| train.autoencoder_steps,
    channels: |_, image| [image, image],
    ..IMAGE_FOR_MASK
};
const LATENT: Description = Description {
    name: "latent",
    is_on_image_grid: true,
    teacher: Some(Teacher { role: Role::Autoencoder, words: "the latent network's frozen autoencoder" }),
    ..IMAGE_FOR_MASK
};

impl Role {
    fn description(self) -> &'static Description {
        match self {
            Self::ModelX => &GUIDER,
            Self::ModelY => &CONDITIONAL,
            Self::Joint => &JOINT,
            Self::Unconditional => &UNCONDITIONAL,
            Self::SegGuided => &SEG_GUIDED,
            Self::Control => &CONTROL,
            Self::Autoencoder => &AUTOENCODER,
            Self::Latent => &LATENT,
        }
    }

    /// The name in files, logs and messages.
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// The kind of network.
    pub fn kind(self) -> NetworkKind {
        self.description().kind
    }

    /// The section of the configuration that describes the U-Net, or the base of a control network.
    pub(crate) fn section(self) -> Section {
        self.description().section
    }

    /// Optimiser steps, if `[train]` has a key for this network alone and the key is set.
    pub(crate) fn own_steps(self, train: &TrainConfig) -> Option<usize> {
        (self.description().steps)(train)
    }

    /// Input and output channels of the U-Net; for a control network, those of its base. The mask has a channel for each class, the image
    /// (or its latent) has `image_channels`.
    pub fn channels(self, mask_channels: usize, image_channels: usize) -> [usize; 2] {
        (self.description().channels)(mask_channels, image_channels)
    }

    /// Whether the network works on latents if images are decoded from latents. The other networks always work on pixels.
    pub(crate) fn is_on_image_grid(self) -> bool {
        self.description().is_on_image_grid
    }

    /// Whether the network learns from images without masks, with the null condition if it has a condition. A control learns from pairs
    /// alone; its base does not.
    pub fn takes_unlabelled(self) -> bool {
        self.description().takes_unlabelled
    }

    /// The network that this one may learn from. Whether it does can depend on the configuration.
    pub fn teacher(self) -> Option<Teacher> {
        self.description().teacher
    }

    /// The name of the frozen network that this one learned from, in messages.
    pub(crate) fn teacher_words(self) -> &'static str {
        self.teacher().map_or("a frozen network", |teacher| teacher.words)
    }
}
