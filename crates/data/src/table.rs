//! Writes a manifest as CSV and as Parquet, with the same rows and columns in both.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use crate::error::{DataError, Result};

/// How a column's value is taken from a row.
#[derive(Debug, Clone, Copy)]
pub enum Column<R> {
    /// Text; empty if there is none.
    Text(fn(&R) -> &str),
    /// Text that the row finds by a number; for columns whose names are not known before.
    At(usize, fn(&R, usize) -> &str),
    /// A count.
    Count(fn(&R) -> u64),
    /// A count that the row finds by a number; for columns whose names are not known before.
    CountAt(usize, fn(&R, usize) -> u64),
    /// A count that may be unknown: empty in CSV, null in Parquet.
    MaybeCount(fn(&R) -> Option<u64>),
    /// A number.
    Number(fn(&R) -> f64),
    /// A number that may be unknown: empty in CSV, null in Parquet.
    MaybeNumber(fn(&R) -> Option<f64>),
    /// Yes or no: `true` or `false` in CSV.
    Flag(fn(&R) -> bool),
}

/// The columns of both files in order, each with its name.
pub type Columns<R> = [(&'static str, Column<R>)];

/// Writes the rows as CSV with a header, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_csv<R, N: AsRef<str>>(path: &Path, columns: &[(N, Column<R>)], rows: &[R]) -> Result<()> {
    let encode = || -> std::result::Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns.iter().map(|(name, _)| name.as_ref()))?;
        for row in rows {
            writer.write_record(columns.iter().map(|(_, column)| match column {
                Column::Text(text) => text(row).to_owned(),
                Column::At(number, text) => text(row, *number).to_owned(),
                Column::Count(count) => count(row).to_string(),
                Column::CountAt(number, count) => count(row, *number).to_string(),
                Column::MaybeCount(count) => count(row).map(|count| count.to_string()).unwrap_or_default(),
                Column::Number(number) => number(row).to_string(),
                Column::MaybeNumber(number) => number(row).map(|number| number.to_string()).unwrap_or_default(),
                Column::Flag(flag) => flag(row).to_string(),
            }))?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    };
    let bytes = encode().map_err(|error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() })?;
    Ok(pig_files::write(path, &bytes)?)
}

/// Writes the rows as one Parquet row group, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_parquet<R, N: AsRef<str>>(path: &Path, columns: &[(N, Column<R>)], rows: &[R]) -> Result<()> {
    let bytes = encode_parquet(columns, rows)
        .map_err(|error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() })?;
    Ok(pig_files::write(path, &bytes)?)
}

/// Sets the text column `name` of a Parquet file that [`write_parquet`] wrote, as its last column. Returns false, and leaves the file as it is, if it
/// does not have one row for each value.
///
/// # Errors
/// When the file cannot be read or written, or has columns of other types.
pub(crate) fn set_parquet_text(path: &Path, name: &str, values: &[&str]) -> Result<bool> {
    let file = pig_files::open(path).map_err(DataError::io(path, "read"))?;
    let fail = |error: ParquetError| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() };
    let Some(bytes) = with_text(file, name, values).map_err(fail)? else { return Ok(false) };
    pig_files::write(path, &bytes)?;
    Ok(true)
}

fn with_text(file: File, name: &str, values: &[&str]) -> std::result::Result<Option<Vec<u8>>, ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let head = reader.metadata().file_metadata();
    if head.num_rows() != values.len() as i64 || reader.num_row_groups() > 1 {
        return Ok(None);
    }
    let all = head.schema().get_fields();
    let kept: Vec<usize> = (0..all.len()).filter(|&index| all[index].name() != name).collect();
    let own: Column<()> = Column::Text(|()| "");
    let fields = kept.iter().map(|&index| Arc::clone(&all[index])).chain([field(name, &own)?]).collect();
    let mut writer = new_writer(fields)?;
    if reader.num_row_groups() == 1 {
        let old = reader.get_row_group(0)?;
        let mut new = writer.next_row_group()?;
        for &index in &kept {
            let is_optional = all[index].is_optional();
            match old.get_column_reader(index)? {
                ColumnReader::BoolColumnReader(column) => copy_column(column, values.len(), is_optional, &mut new)?,
                ColumnReader::Int64ColumnReader(column) => copy_column(column, values.len(), is_optional, &mut new)?,
                ColumnReader::DoubleColumnReader(column) => copy_column(column, values.len(), is_optional, &mut new)?,
                ColumnReader::ByteArrayColumnReader(column) => {
                    copy_column(column, values.len(), is_optional, &mut new)?;
                }
                _ => return Err(ParquetError::General(format!("the column {} has another type", all[index].name()))),
            }
        }
        let words: Vec<ByteArray> = values.iter().map(|&word| ByteArray::from(word)).collect();
        let mut column = new.next_column()?.ok_or_else(too_few_columns)?;
        column.typed::<ByteArrayType>().write_batch(&words, None, None)?;
        column.close()?;
        new.close()?;
    }
    Ok(Some(writer.into_inner()?))
}

/// Copies a column from one file to the next column of another.
fn copy_column<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    rows: usize,
    is_optional: bool,
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
) -> std::result::Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    loop {
        let (records, ..) = column.read_records(rows, is_optional.then_some(&mut levels), None, &mut values)?;
        if records == 0 {
            break;
        }
    }
    let mut writer = group.next_column()?.ok_or_else(too_few_columns)?;
    writer.typed::<T>().write_batch(&values, is_optional.then_some(&levels[..]), None)?;
    writer.close()
}

fn too_few_columns() -> ParquetError {
    ParquetError::General("the schema has fewer columns than the table".to_owned())
}

/// A writer of one file in memory.
fn new_writer(fields: Vec<Arc<Type>>) -> std::result::Result<SerializedFileWriter<Vec<u8>>, ParquetError> {
    let schema = Type::group_type_builder("manifest").with_fields(fields).build()?;
    let properties = WriterProperties::builder().set_created_by("pig".to_owned()).build();
    SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))
}

fn encode_parquet<R, N: AsRef<str>>(
    columns: &[(N, Column<R>)],
    rows: &[R],
) -> std::result::Result<Vec<u8>, ParquetError> {
    let fields =
        columns.iter().map(|(name, column)| field(name.as_ref(), column)).collect::<std::result::Result<_, _>>()?;
    let mut writer = new_writer(fields)?;
    if !rows.is_empty() {
        let mut group = writer.next_row_group()?;
        for (_, column) in columns {
            write_column(&mut group, column, rows)?;
        }
        group.close()?;
    }
    writer.into_inner()
}

fn field<R>(name: &str, column: &Column<R>) -> std::result::Result<Arc<Type>, ParquetError> {
    let physical = match column {
        Column::Text(_) | Column::At(..) => PhysicalType::BYTE_ARRAY,
        Column::Count(_) | Column::CountAt(..) | Column::MaybeCount(_) => PhysicalType::INT64,
        Column::Number(_) | Column::MaybeNumber(_) => PhysicalType::DOUBLE,
        Column::Flag(_) => PhysicalType::BOOLEAN,
    };
    let may_be_missing = matches!(column, Column::MaybeCount(_) | Column::MaybeNumber(_));
    let repetition = if may_be_missing { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
    let builder = match column {
        Column::Text(_) | Column::At(..) => {
            builder.with_converted_type(ConvertedType::UTF8).with_logical_type(Some(LogicalType::String))
        }
        Column::Count(_) | Column::CountAt(..) | Column::MaybeCount(_) => {
            builder.with_converted_type(ConvertedType::UINT_64)
        }
        Column::Number(_) | Column::MaybeNumber(_) | Column::Flag(_) => builder,
    };
    builder.build().map(Arc::new)
}

/// The definition levels of a column whose values may be missing; 1 means that the value is present.
fn presence<R>(rows: &[R], is_present: impl Fn(&R) -> bool) -> Vec<i16> {
    rows.iter().map(|row| i16::from(is_present(row))).collect()
}

fn write_column<R>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    column: &Column<R>,
    rows: &[R],
) -> std::result::Result<(), ParquetError> {
    let mut writer = group.next_column()?.ok_or_else(too_few_columns)?;
    match column {
        Column::Text(text) => {
            let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(text(row))).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        }
        Column::At(number, text) => {
            let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(text(row, *number))).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        }
        Column::Count(count) => {
            // The column is annotated as unsigned, so the bits are kept.
            let values: Vec<i64> = rows.iter().map(|row| count(row) as i64).collect();
            writer.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
        Column::CountAt(number, count) => {
            let values: Vec<i64> = rows.iter().map(|row| count(row, *number) as i64).collect();
            writer.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
        Column::MaybeCount(count) => {
            let levels = presence(rows, |row| count(row).is_some());
            let values: Vec<i64> = rows.iter().filter_map(count).map(|count| count as i64).collect();
            writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Number(number) => {
            let values: Vec<f64> = rows.iter().map(number).collect();
            writer.typed::<DoubleType>().write_batch(&values, None, None)?;
        }
        Column::MaybeNumber(number) => {
            let levels = presence(rows, |row| number(row).is_some());
            let values: Vec<f64> = rows.iter().filter_map(number).collect();
            writer.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Flag(flag) => {
            let values: Vec<bool> = rows.iter().map(flag).collect();
            writer.typed::<BoolType>().write_batch(&values, None, None)?;
        }
    }
    writer.close()
}
