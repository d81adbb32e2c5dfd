//! The manifest of generated pairs as CSV and as Parquet, the same rows and columns in both.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use crate::atomic;
use crate::error::{DataError, Result};

/// One finished pair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) seed: u64,
    pub(crate) image: String,
    pub(crate) mask: String,
    pub(crate) mask_pixels: u64,
    pub(crate) mask_fraction: f64,
    pub(crate) version: String,
    pub(crate) model_hash: String,
    pub(crate) settings_hash: String,
    pub(crate) settings: String,
}

/// How a column's value is taken from a row.
enum Column {
    Text(fn(&Row) -> &str),
    Count(fn(&Row) -> u64),
    Number(fn(&Row) -> f64),
    Flag(fn(&Row) -> bool),
}

/// The columns in the order of both files.
const COLUMNS: [(&str, Column); 11] = [
    ("id", Column::Text(|row| &row.id)),
    ("seed", Column::Count(|row| row.seed)),
    ("image", Column::Text(|row| &row.image)),
    ("mask", Column::Text(|row| &row.mask)),
    ("mask_pixels", Column::Count(|row| row.mask_pixels)),
    ("mask_fraction", Column::Number(|row| row.mask_fraction)),
    ("empty_mask", Column::Flag(|row| row.mask_pixels == 0)),
    ("version", Column::Text(|row| &row.version)),
    ("model_hash", Column::Text(|row| &row.model_hash)),
    ("settings_hash", Column::Text(|row| &row.settings_hash)),
    ("settings", Column::Text(|row| &row.settings)),
];

/// Writes the rows as CSV with a header, whole or not at all.
pub(crate) fn write_csv(path: &Path, rows: &[Row]) -> Result<()> {
    let encode = || -> std::result::Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(COLUMNS.map(|(name, _)| name))?;
        for row in rows {
            writer.write_record(COLUMNS.map(|(_, column)| match column {
                Column::Text(text) => text(row).to_owned(),
                Column::Count(count) => count(row).to_string(),
                Column::Number(number) => number(row).to_string(),
                Column::Flag(flag) => flag(row).to_string(),
            }))?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    };
    let bytes = encode().map_err(|error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() })?;
    atomic::write(path, &bytes)
}

/// Writes the rows as one Parquet row group, whole or not at all.
pub(crate) fn write_parquet(path: &Path, rows: &[Row]) -> Result<()> {
    let bytes = encode_parquet(rows)
        .map_err(|error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() })?;
    atomic::write(path, &bytes)
}

fn encode_parquet(rows: &[Row]) -> std::result::Result<Vec<u8>, ParquetError> {
    let fields = COLUMNS.iter().map(|(name, column)| field(name, column)).collect::<std::result::Result<_, _>>()?;
    let schema = Type::group_type_builder("manifest").with_fields(fields).build()?;
    let properties = WriterProperties::builder().set_created_by("pig".to_owned()).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    if !rows.is_empty() {
        let mut group = writer.next_row_group()?;
        for (_, column) in COLUMNS {
            write_column(&mut group, &column, rows)?;
        }
        group.close()?;
    }
    writer.into_inner()
}

fn field(name: &str, column: &Column) -> std::result::Result<Arc<Type>, ParquetError> {
    let physical = match column {
        Column::Text(_) => PhysicalType::BYTE_ARRAY,
        Column::Count(_) => PhysicalType::INT64,
        Column::Number(_) => PhysicalType::DOUBLE,
        Column::Flag(_) => PhysicalType::BOOLEAN,
    };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
    let builder = match column {
        Column::Text(_) => {
            builder.with_converted_type(ConvertedType::UTF8).with_logical_type(Some(LogicalType::String))
        }
        Column::Count(_) => builder.with_converted_type(ConvertedType::UINT_64),
        Column::Number(_) | Column::Flag(_) => builder,
    };
    builder.build().map(Arc::new)
}

fn write_column(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    column: &Column,
    rows: &[Row],
) -> std::result::Result<(), ParquetError> {
    let Some(mut writer) = group.next_column()? else {
        return Err(ParquetError::General("the schema has fewer columns than the table".to_owned()));
    };
    match column {
        Column::Text(text) => {
            let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(text(row))).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        }
        Column::Count(count) => {
            // The column is annotated as unsigned: the bits are kept.
            let values: Vec<i64> = rows.iter().map(|row| count(row) as i64).collect();
            writer.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
        Column::Number(number) => {
            let values: Vec<f64> = rows.iter().map(number).collect();
            writer.typed::<DoubleType>().write_batch(&values, None, None)?;
        }
        Column::Flag(flag) => {
            let values: Vec<bool> = rows.iter().map(flag).collect();
            writer.typed::<BoolType>().write_batch(&values, None, None)?;
        }
    }
    writer.close()
}
