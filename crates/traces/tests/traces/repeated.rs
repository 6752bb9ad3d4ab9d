//! Traces played again and again, `BurstGPT` and Parquet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kendall_serving::scenario::{OnEmpty, TraceColumns};
use kendall_traces::{TraceFormat, TraceOptions, TraceSource, open_length_table};
use parquet::basic::Compression;
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the directory can be written");
    path
}

/// Arrival (s), prompt and output of each request, or the first error.
fn requests(
    path: &Path,
    columns: TraceColumns,
    options: &TraceOptions,
) -> Result<Vec<(f64, u32, u32)>, String> {
    let source = TraceSource::new(path, None, columns);
    let stream = source.requests(options).map_err(|error| error.to_string())?;
    let row = |spec: kendall_serving::RequestSpec| {
        (spec.arrival.as_ps() as f64 / 1e12, spec.num_prompt_tokens, spec.max_tokens)
    };
    stream.map(|spec| spec.map(row).map_err(|error| error.to_string())).collect()
}

const THREE: &str = "arrival_s,prompt_tokens,output_tokens\n1,10,1\n2,20,2\n5,30,3\n";

#[test]
fn a_round_follows_one_mean_gap_after_the_last_arrival() {
    let path = file("three.csv", THREE);
    let options = TraceOptions { repeat: Some(3), start_s: Some(1.0), ..TraceOptions::default() };
    let arrivals: Vec<_> =
        requests(&path, TraceColumns::default(), &options).unwrap().iter().map(|row| row.0).collect();
    // Two gaps of 2 s on average: a round lasts 6 s.
    assert_eq!(arrivals, [0.0, 1.0, 4.0, 6.0, 7.0, 10.0, 12.0, 13.0, 16.0]);
    let options =
        TraceOptions { repeat: Some(2), end_s: Some(10.0), time_scale: 0.5, ..TraceOptions::default() };
    let arrivals: Vec<_> =
        requests(&path, TraceColumns::default(), &options).unwrap().iter().map(|row| row.0).collect();
    assert_eq!(arrivals, [0.5, 1.0, 2.5, 5.5, 6.0, 7.5], "with an end, a round lasts up to it");
}

#[test]
fn rounds_go_on_until_a_time() {
    let path = file("until.csv", THREE);
    let options = TraceOptions { repeat_for_s: Some(13.0), start_s: Some(1.0), ..TraceOptions::default() };
    let rows = requests(&path, TraceColumns::default(), &options).unwrap();
    assert_eq!(rows.last(), Some(&(12.0, 10, 1)));
    assert_eq!(rows.len(), 7);
    let options = TraceOptions { max_requests: Some(5), ..options };
    assert_eq!(requests(&path, TraceColumns::default(), &options).unwrap().len(), 5);
}

#[test]
fn what_cannot_be_repeated_is_an_error() {
    let path = file("at-once.csv", "arrival_s,prompt_tokens,output_tokens\n0,10,1\n0,20,2\n");
    let twice = TraceOptions { repeat: Some(2), ..TraceOptions::default() };
    let message = requests(&path, TraceColumns::default(), &twice).unwrap_err();
    assert!(message.contains("give end_s"), "{message}");
    for options in [
        TraceOptions { repeat: Some(0), ..TraceOptions::default() },
        TraceOptions { repeat_for_s: Some(0.0), ..TraceOptions::default() },
        TraceOptions { repeat: Some(2), repeat_for_s: Some(5.0), ..TraceOptions::default() },
    ] {
        assert!(requests(&path, TraceColumns::default(), &options).unwrap_err().contains("repeat"));
    }
}

const BURSTGPT: &str = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                        5,ChatGPT,472,18,490,Conversation log\n\
                        45,GPT-4,1087,0,1087,API log\n\
                        118.5,GPT-4,417,276,693,Conversation log\n";

#[test]
fn burstgpt_begins_with_its_first_row() {
    let path = file("burst.csv", BURSTGPT);
    assert_eq!(TraceFormat::detect(BURSTGPT.lines().next().unwrap()), Some(TraceFormat::BurstGpt));
    let options = TraceOptions { on_empty: OnEmpty::Skip, ..TraceOptions::default() };
    let rows = requests(&path, TraceColumns::default(), &options).unwrap();
    assert_eq!(rows, [(0.0, 472, 18), (113.5, 417, 276)]);
    let message = requests(&path, TraceColumns::default(), &TraceOptions::default()).unwrap_err();
    assert!(message.contains("burst.csv:3: Response tokens is 0"), "{message}");
    let source = TraceSource::new(&path, None, TraceColumns::default());
    assert_eq!(source.count_empty(None, None).unwrap(), 1);
}

/// A Parquet file of three columns: arrivals in milliseconds, prompts that may be null, outputs as floating-point numbers.
fn parquet_file(name: &str, rows: u32, compression: Compression) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    write_parquet(&path, rows, compression).expect("a Parquet file in the directory for tests");
    path
}

fn write_parquet(path: &Path, rows: u32, compression: Compression) -> Result<(), Box<dyn std::error::Error>> {
    let schema = "message trace {
        required int64 sent (TIMESTAMP(MILLIS,true));
        optional int32 prompt_tokens;
        required double n_out;
        optional binary text (STRING);
    }";
    let properties = WriterProperties::builder().set_compression(compression).build();
    let out = std::fs::File::create(path)?;
    let schema = Arc::new(parse_message_type(schema)?);
    let mut writer = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    for group in 0..2 {
        let numbers: Vec<_> = (group * rows..(group + 1) * rows).collect();
        let mut columns = writer.next_row_group()?;
        let mut column = columns.next_column()?.ok_or("no column")?;
        let sent: Vec<_> = numbers.iter().map(|&i| 1_700_000_000_000 + 250 * i64::from(i)).collect();
        column.typed::<Int64Type>().write_batch(&sent, None, None)?;
        column.close()?;
        let mut column = columns.next_column()?.ok_or("no column")?;
        let present: Vec<_> =
            numbers.iter().filter(|&&i| i != 7).map(|&i| i32::try_from(i + 1)).collect::<Result<_, _>>()?;
        let levels: Vec<_> = numbers.iter().map(|&i| i16::from(i != 7)).collect();
        column.typed::<Int32Type>().write_batch(&present, Some(&levels), None)?;
        column.close()?;
        let mut column = columns.next_column()?.ok_or("no column")?;
        let outputs: Vec<_> = numbers.iter().map(|&i| f64::from(i % 5 + 1)).collect();
        column.typed::<DoubleType>().write_batch(&outputs, None, None)?;
        column.close()?;
        let mut column = columns.next_column()?.ok_or("no column")?;
        let levels = vec![0; numbers.len()];
        column.typed::<parquet::data_type::ByteArrayType>().write_batch(&[], Some(&levels), None)?;
        column.close()?;
        columns.close()?;
    }
    writer.close()?;
    Ok(())
}

#[test]
fn parquet_columns_are_found_by_name() {
    // 5,000 rows a group: more than a batch.
    for (name, compression) in [
        ("plain.parquet", Compression::UNCOMPRESSED),
        ("snappy.parquet", Compression::SNAPPY),
        ("lz4.parquet", Compression::LZ4_RAW),
        ("gzip.parquet", Compression::GZIP(parquet::basic::GzipLevel::default())),
        ("brotli.parquet", Compression::BROTLI(parquet::basic::BrotliLevel::default())),
    ] {
        let path = parquet_file(name, 5_000, compression);
        let columns =
            TraceColumns { arrival: Some("sent".into()), prompt: None, output: Some("n_out".into()) };
        let source = TraceSource::new(&path, None, columns.clone());
        assert_eq!(source.format().unwrap(), TraceFormat::Parquet);
        let message = requests(&path, columns.clone(), &TraceOptions::default()).unwrap_err();
        assert!(message.contains(":8: prompt_tokens is empty"), "{message}");
        let options = TraceOptions { start_s: Some(2.0), ..TraceOptions::default() };
        // The null stands before the slice, and is read nevertheless: a trace is checked from its start.
        assert!(requests(&path, columns, &options).is_err());
    }
}

#[test]
fn parquet_rows_come_back_in_order() {
    let path = parquet_file("small.parquet", 5, Compression::SNAPPY);
    let columns = TraceColumns {
        arrival: Some("sent".into()),
        prompt: Some("n_out".into()),
        output: Some("n_out".into()),
    };
    let rows = requests(&path, columns.clone(), &TraceOptions::default()).unwrap();
    let expected: Vec<_> = (0..10_u32).map(|i| (f64::from(i) * 0.25, i % 5 + 1, i % 5 + 1)).collect();
    assert_eq!(rows, expected);
    let twice = TraceOptions { repeat: Some(2), ..TraceOptions::default() };
    let rows = requests(&path, columns, &twice).unwrap();
    assert_eq!((rows.len(), rows[10].0), (20, 2.5));
}

#[test]
fn bad_parquet_is_an_error() {
    let path = parquet_file("names.parquet", 5, Compression::UNCOMPRESSED);
    let of = |columns| requests(&path, columns, &TraceOptions::default()).unwrap_err();
    let message = of(TraceColumns::default());
    assert!(message.contains("columns.arrival") && message.contains("`sent`"), "{message}");
    let message = of(TraceColumns { arrival: Some("when".into()), ..TraceColumns::default() });
    assert!(message.contains("there is no column `when`"), "{message}");
    let text = TraceColumns {
        arrival: Some("sent".into()),
        prompt: Some("text".into()),
        output: Some("n_out".into()),
    };
    assert!(of(text).contains("no numbers"));
    let bytes = std::fs::read(&path).unwrap();
    for cut in [4, 10, bytes.len() / 2, bytes.len() - 1] {
        let damaged = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cut.parquet");
        std::fs::write(&damaged, &bytes[..cut]).unwrap();
        assert!(
            requests(&damaged, TraceColumns::default(), &TraceOptions::default()).is_err(),
            "{cut} bytes"
        );
    }
}

#[test]
fn a_table_of_lengths_is_read_with_its_weights() {
    let table = |text: &str| open_length_table(&file("lengths.csv", text)).map_err(|error| error.to_string());
    assert_eq!(table("tokens,weight\n# a comment\n5,0.5\n7, 2\n").unwrap(), [(5, 0.5), (7, 2.0)]);
    assert_eq!(table("5\n5\n\n9\n").unwrap(), [(5, 1.0), (5, 1.0), (9, 1.0)]);
    assert!(table("5\nx\n").unwrap_err().contains("lengths.csv:2: the length is `x`"));
    assert!(table("5,-1\n").unwrap_err().contains("the weight is `-1`"));
    assert!(table("tokens\n").unwrap_err().contains("no requests"));
}
