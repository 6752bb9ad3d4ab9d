//! Traces in Parquet: three flat columns, found by name, read in batches.

use std::fs::File;
use std::path::Path;

use kendall_des::SimDuration;
use kendall_serving::PromptContent;
use kendall_serving::scenario::{OnEmpty, TraceColumns};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use crate::TraceRecord;
use crate::error::{TraceError, TraceErrorKind, shown};

/// Usual names of the columns, from this program's format, the Azure, `BurstGPT` and Mooncake traces, and Vidur.
const ARRIVAL: &[&str] =
    &["arrival_s", "arrival_time", "arrived_at", "arrival", "timestamp", "TIMESTAMP", "Timestamp"];
const PROMPT: &[&str] = &[
    "prompt_tokens",
    "num_prompt_tokens",
    "input_tokens",
    "input_length",
    "num_prefill_tokens",
    "ContextTokens",
    "Request tokens",
    "prompt_len",
];
const OUTPUT: &[&str] = &[
    "output_tokens",
    "num_output_tokens",
    "output_length",
    "num_decode_tokens",
    "GeneratedTokens",
    "Response tokens",
    "output_len",
];

/// Rows read at a time.
const BATCH: usize = 4096;

/// Reads a Parquet trace row group by row group, in batches. Rows are numbered from 1 in messages.
pub(crate) struct ParquetReader {
    file: String,
    reader: SerializedFileReader<File>,
    columns: [Column; 3],
    on_empty: OnEmpty,
    row_group: usize,
    open: Vec<ColumnReader>,
    left_in_group: usize,
    batch: Vec<[Option<Number>; 3]>,
    next_in_batch: usize,
    row: u64,
    origin_ps: Option<i128>,
    previous_ps: Option<i128>,
    num_skipped: u64,
    has_ended: bool,
}

/// One of the columns that are read.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    index: usize,
    /// Picoseconds in one of its units, where it is whole numbers of time.
    ps_per_unit: i128,
    is_nullable: bool,
}

/// A value of a column.
#[derive(Debug, Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl ParquetReader {
    /// Opens a file and finds its columns.
    pub(crate) fn open(path: &Path, columns: &TraceColumns) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let of_file = |kind| TraceError::of_file(&name, kind);
        let file = File::open(path).map_err(|error| of_file(TraceErrorKind::Open(error)))?;
        let reader = SerializedFileReader::new(file).map_err(|error| of_file(unreadable(&error)))?;
        let found = [
            find(&reader, "arrival", columns.arrival.as_deref(), ARRIVAL),
            find(&reader, "prompt", columns.prompt.as_deref(), PROMPT),
            find(&reader, "output", columns.output.as_deref(), OUTPUT),
        ];
        let [arrival, prompt, output] = found;
        let columns = [
            arrival.map_err(|message| of_file(TraceErrorKind::Parquet(message)))?,
            prompt.map_err(|message| of_file(TraceErrorKind::Parquet(message)))?,
            output.map_err(|message| of_file(TraceErrorKind::Parquet(message)))?,
        ];
        Ok(Self {
            file: name,
            reader,
            columns,
            on_empty: OnEmpty::default(),
            row_group: 0,
            open: Vec::new(),
            left_in_group: 0,
            batch: Vec::new(),
            next_in_batch: 0,
            row: 0,
            origin_ps: None,
            previous_ps: None,
            num_skipped: 0,
            has_ended: false,
        })
    }

    /// Sets what to do with requests of no tokens.
    pub(crate) fn on_empty(mut self, on_empty: OnEmpty) -> Self {
        self.on_empty = on_empty;
        self
    }

    /// Name of the file in messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Requests left out so far because they have no tokens.
    pub(crate) const fn num_skipped(&self) -> u64 {
        self.num_skipped
    }

    /// Number of the row read last; 0 before the first.
    pub(crate) const fn row(&self) -> u64 {
        self.row
    }

    /// Names of the columns for arrival, prompt and output.
    pub(crate) fn column_names(&self) -> [&str; 3] {
        [&self.columns[0].name, &self.columns[1].name, &self.columns[2].name]
    }

    /// Fills the batch; false at the end of the file.
    fn fill(&mut self) -> Result<bool, ParquetError> {
        self.next_in_batch = 0;
        self.batch.clear();
        while self.left_in_group == 0 {
            if self.row_group == self.reader.num_row_groups() {
                return Ok(false);
            }
            let group = self.reader.get_row_group(self.row_group)?;
            self.row_group += 1;
            self.left_in_group = usize::try_from(group.metadata().num_rows())
                .map_err(|_| ParquetError::General("a row group of fewer than 0 rows".into()))?;
            let columns = self.columns.iter().map(|column| group.get_column_reader(column.index));
            self.open = columns.collect::<Result<_, _>>()?;
        }
        let wanted = self.left_in_group.min(BATCH);
        self.batch.resize(wanted, [None; 3]);
        for (at, (reader, column)) in self.open.iter_mut().zip(&self.columns).enumerate() {
            let values = values(reader, column.is_nullable, wanted)?;
            if values.len() != wanted {
                return Err(ParquetError::General(format!("the column `{}` ends too early", column.name)));
            }
            for (row, value) in self.batch.iter_mut().zip(values) {
                row[at] = value;
            }
        }
        self.left_in_group -= wanted;
        Ok(true)
    }

    fn advance(&mut self) -> Result<Option<TraceRecord>, TraceError> {
        loop {
            if self.next_in_batch == self.batch.len() {
                let filled = self.fill();
                if !filled.map_err(|error| TraceError::of_file(&self.file, unreadable(&error)))? {
                    return Ok(None);
                }
            }
            let row = self.batch[self.next_in_batch];
            self.next_in_batch += 1;
            self.row += 1;
            let record = self.record(row).map_err(|kind| TraceError::at_line(&self.file, self.row, kind))?;
            if let Some(record) = record {
                return Ok(Some(record));
            }
        }
    }

    /// The request of a row; `None` if it is left out.
    fn record(&mut self, row: [Option<Number>; 3]) -> Result<Option<TraceRecord>, TraceErrorKind> {
        let [arrival, prompt, output] = &self.columns;
        let clock_ps = picoseconds(arrival, row[0])?;
        let (prompt_tokens, output_tokens) = (tokens(prompt, row[1])?, tokens(output, row[2])?);
        if self.previous_ps.is_some_and(|previous| clock_ps < previous) {
            let message = format!("{} decreases; sort the file by it", shown(&arrival.name));
            return Err(TraceErrorKind::Parquet(message));
        }
        self.previous_ps = Some(clock_ps);
        let since_origin = clock_ps - *self.origin_ps.get_or_insert(clock_ps);
        let arrival = u64::try_from(since_origin).map(SimDuration::from_ps).map_err(|_| {
            TraceErrorKind::BeyondHorizon {
                field: "arrival",
                value: format!("{since_origin} ps after the first row"),
            }
        })?;
        let empty =
            if prompt_tokens == 0 { Some("prompt") } else { (output_tokens == 0).then_some("output") };
        match (empty, self.on_empty) {
            (Some(field), OnEmpty::Error) => Err(TraceErrorKind::EmptyRequest { field }),
            (Some(_), OnEmpty::Skip) => {
                self.num_skipped += 1;
                Ok(None)
            }
            (None, _) => Ok(Some(TraceRecord {
                arrival,
                num_prompt_tokens: prompt_tokens,
                num_output_tokens: output_tokens,
                prompt: PromptContent::Unique,
                priority: 0,
                abort: None,
            })),
        }
    }
}

impl Iterator for ParquetReader {
    type Item = Result<TraceRecord, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.advance();
        self.has_ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

fn unreadable(error: &ParquetError) -> TraceErrorKind {
    let remedy = match error {
        ParquetError::General(message) if message.contains("ZSTD") || message.contains("zstd") => {
            "; kendall reads no Zstandard: write it with Snappy, LZ4, Gzip, Brotli or no compression"
        }
        _ => "; expected a Parquet file with flat columns",
    };
    TraceErrorKind::Parquet(format!("{}{remedy}", shown(&error.to_string())))
}

/// The column of this name, or of the first usual name that there is.
fn find(
    reader: &SerializedFileReader<File>,
    what: &str,
    given: Option<&str>,
    usual: &[&str],
) -> Result<Column, String> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    let place = |name: &str| names.iter().position(|other| other == name);
    let index = match given {
        Some(name) => place(name),
        None => usual.iter().find_map(|name| place(name)),
    };
    let index = index.ok_or_else(|| {
        let there: Vec<_> = names.iter().take(20).map(|name| format!("`{}`", shown(name))).collect();
        let there = there.join(", ");
        match given {
            Some(name) => format!("there is no column `{}` for {what}; the file has {there}", shown(name)),
            None => format!(
                "no column has a usual name for {what}; name one in `columns.{what}`: the file has {there}"
            ),
        }
    })?;
    let column = schema.column(index);
    if column.max_rep_level() > 0 || column.max_def_level() > 1 {
        return Err(format!("the column `{}` is nested; expected one number a row", shown(&names[index])));
    }
    Ok(Column {
        name: names[index].clone(),
        index,
        ps_per_unit: ps_per_unit(&column),
        is_nullable: column.max_def_level() > 0,
    })
}

/// Picoseconds in a unit of the column: of a timestamp as its type says, of a plain number a second.
fn ps_per_unit(column: &ColumnDescriptor) -> i128 {
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(timestamp)), _) => match timestamp.unit {
            TimeUnit::MILLIS => 1_000_000_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000,
        },
        (_, ConvertedType::TIMESTAMP_MILLIS) => 1_000_000_000,
        (_, ConvertedType::TIMESTAMP_MICROS) => 1_000_000,
        _ => 1_000_000_000_000,
    }
}

fn values(
    reader: &mut ColumnReader,
    is_nullable: bool,
    wanted: usize,
) -> Result<Vec<Option<Number>>, ParquetError> {
    match reader {
        ColumnReader::Int32ColumnReader(reader) => {
            typed(reader, is_nullable, wanted, |v| Number::Whole(i64::from(v)))
        }
        ColumnReader::Int64ColumnReader(reader) => typed(reader, is_nullable, wanted, Number::Whole),
        ColumnReader::FloatColumnReader(reader) => {
            typed(reader, is_nullable, wanted, |v| Number::Real(f64::from(v)))
        }
        ColumnReader::DoubleColumnReader(reader) => typed(reader, is_nullable, wanted, Number::Real),
        _ => Err(ParquetError::General("a column that is read holds no numbers".into())),
    }
}

fn typed<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    is_nullable: bool,
    wanted: usize,
    number: impl Fn(T::T) -> Number,
) -> Result<Vec<Option<Number>>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut rows = 0;
    // A read stops at the end of a page.
    while rows < wanted {
        let levels = is_nullable.then_some(&mut levels);
        let (read, ..) = reader.read_records(wanted - rows, levels, None, &mut values)?;
        if read == 0 {
            break;
        }
        rows += read;
    }
    let mut values = values.into_iter().map(number);
    if !is_nullable {
        return Ok(values.map(Some).collect());
    }
    Ok(levels.into_iter().map(|level| if level > 0 { values.next() } else { None }).collect())
}

const EXPECTED_TIME: &str = "a number of seconds or a timestamp";
const EXPECTED_TOKENS: &str = "a whole number from 0 to 4294967295";

fn picoseconds(column: &Column, number: Option<Number>) -> Result<i128, TraceErrorKind> {
    let bad = |value: &str| TraceErrorKind::value(column.name.clone(), value, EXPECTED_TIME);
    match number {
        None => Err(bad("")),
        Some(Number::Whole(units)) => Ok(i128::from(units) * column.ps_per_unit),
        // Beyond 2^126 no sum of two overflows.
        Some(Number::Real(seconds)) if seconds.abs() < 1e20 => {
            Ok(libm::round(seconds * column.ps_per_unit as f64) as i128)
        }
        Some(Number::Real(seconds)) => Err(bad(&seconds.to_string())),
    }
}

fn tokens(column: &Column, number: Option<Number>) -> Result<u32, TraceErrorKind> {
    let bad = |value: &str| TraceErrorKind::value(column.name.clone(), value, EXPECTED_TOKENS);
    match number {
        None => Err(bad("")),
        Some(Number::Whole(tokens)) => u32::try_from(tokens).map_err(|_| bad(&tokens.to_string())),
        Some(Number::Real(tokens)) => {
            let is_whole = tokens >= 0.0
                && tokens <= f64::from(u32::MAX)
                && libm::floor(tokens).total_cmp(&tokens).is_eq();
            if is_whole { Ok(tokens as u32) } else { Err(bad(&tokens.to_string())) }
        }
    }
}
