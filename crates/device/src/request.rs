//! Parses the text that requests a device.

use crate::{DeviceError, DeviceKind};
use std::{
    fmt::{self, Display},
    str::FromStr,
};

/// A requested device: `auto`, `cpu`, or a kind with an optional number, such as `cuda` or `vulkan:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The best device that this build supports and that works; the CPU if there is no other.
    Auto,
    /// The device of this kind with this number; the first one without a number.
    Kind(DeviceKind, Option<usize>),
}

impl FromStr for Request {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { found: text.to_owned() };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let kind = DeviceKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)?;
        match (kind, index) {
            (DeviceKind::Cpu, Some(_)) => Err(unknown()),
            _ => Ok(Self::Kind(kind, index)),
        }
    }
}

/// As [`FromStr`] reads it.
impl Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Kind(kind, None) => f.write_str(kind.name()),
            Self::Kind(kind, Some(index)) => write!(f, "{}:{index}", kind.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        assert_eq!("auto".parse(), Ok(Request::Auto));
        assert_eq!("cpu".parse(), Ok(Request::Kind(DeviceKind::Cpu, None)));
        assert_eq!("cuda".parse(), Ok(Request::Kind(DeviceKind::Cuda, None)));
        assert_eq!("vulkan:12".parse(), Ok(Request::Kind(DeviceKind::Vulkan, Some(12))));
        for word in ["auto", "cpu", "cuda", "vulkan:12"] {
            assert_eq!(word.parse::<Request>().unwrap().to_string(), word);
        }
        for wrong in ["", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:0:1", "cpu:0", "auto:0"] {
            let error = wrong.parse::<Request>().unwrap_err();
            assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
        }
    }
}
