//! The names that a pickle may use: tensors, their storages and plain containers.

use crate::array::Dtype;

/// The meaning of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch.Size`: a call gives its argument, a tuple.
    Size,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_parameter`: a call gives its first argument.
    Parameter,
    /// TorchScript's lists of one type, and its type tags: a call gives its first argument.
    Tagged,
    /// A storage of numbers of this type.
    Storage(Dtype),
    /// `torch.storage.UntypedStorage`.
    Bytes,
    /// A TorchScript class: a bag of attributes.
    Class,
    /// A number type such as `torch.float32`, as a value.
    NumberType,
}

impl Global {
    /// The meaning of `module.name`. The names of TorchScript are allowed only in its archives (`script`).
    pub(crate) fn find(module: &str, name: &str, script: bool) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "Size") => Self::Size,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::Tensor,
            ("torch._utils", "_rebuild_parameter") => Self::Parameter,
            ("torch.storage", "UntypedStorage") => Self::Bytes,
            ("torch", storage) if storage.ends_with("Storage") => Self::Storage(storage_type(storage)?),
            (
                "torch",
                "float64" | "float32" | "float16" | "bfloat16" | "int64" | "int32" | "int16" | "int8" | "uint8",
            ) => Self::NumberType,
            (
                "torch.jit._pickle",
                "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist" | "restore_type_tag",
            ) if script => Self::Tagged,
            (module, _) if script && (module == "__torch__" || module.starts_with("__torch__.")) => Self::Class,
            _ => return None,
        })
    }
}

fn storage_type(name: &str) -> Option<Dtype> {
    Some(match name {
        "DoubleStorage" => Dtype::F64,
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::Bf16,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::Bool,
        _ => return None,
    })
}
