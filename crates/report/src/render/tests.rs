#![allow(clippy::unwrap_used)]
use dealframe_model::calendar::Grain;
use dealframe_model::frame::{FrameKpi, Number, Period, Row};
use dealframe_model::kpi::{Better, Unit};

use super::*;
use crate::listing::ColumnKind;

fn number(value: i128, scale: u32) -> Option<Number> {
    Some(Number { value, scale })
}

fn row(kpi: u32, period: u32, segment: Option<u32>, value: Option<Number>, unit: u32) -> Row {
    Row {
        kpi,
        period,
        segments: [segment].into(),
        value,
        unit,
        numerator: value,
        denominator: None,
        rows: 7,
        base: None,
    }
}

/// Two KPIs by region over a whole and a running month.
pub(crate) fn sample() -> Frame {
    let kpi = |id: &str, name: &str, unit| FrameKpi {
        id: id.to_owned(),
        name: name.to_owned(),
        unit,
        better: Better::Higher,
    };
    let period = |label: &str, start, partial| Period {
        grain: Grain::Month,
        start: Some(start),
        label: label.to_owned(),
        partial,
    };
    let mut rate = row(1, 0, Some(1), number(631_500_521_532, 12), 1);
    (rate.numerator, rate.denominator) = (number(4_238, 0), number(6_711, 0));
    Frame {
        kpis: vec![kpi("revenue", "Revenue", Unit::Money), kpi("win_rate", "Win rate", Unit::Ratio)],
        periods: vec![period("2017-01", 17_167, false), period("2017-02", 17_198, true)],
        segments: vec!["region".to_owned()],
        labels: vec!["<North>, \"cold\"".to_owned(), "East".to_owned()],
        units: vec!["USD".to_owned(), "ratio".to_owned()],
        rows: vec![
            row(0, 0, Some(0), number(12_345_678_900, 4), 0),
            row(0, 1, None, number(-5_000, 4), 0),
            rate,
            row(1, 1, Some(1), None, 1),
        ],
        compared: false,
        intervals: None,
        notes: vec![],
    }
}

/// Deals by region against the quarter before: 100 to 120 and 50 to 40.
pub(crate) fn compared() -> Frame {
    let line = |segment, value, base| Row { base: number(base, 0), ..row(0, 0, Some(segment), number(value, 0), 0) };
    Frame {
        kpis: vec![FrameKpi {
            id: "deals_won".to_owned(),
            name: "Deals won".to_owned(),
            unit: Unit::Count,
            better: Better::Higher,
        }],
        periods: vec![Period {
            grain: Grain::Quarter,
            start: Some(17_167),
            label: "2017-Q1".to_owned(),
            partial: false,
        }],
        segments: vec!["region".to_owned()],
        labels: vec!["East".to_owned(), "West".to_owned()],
        units: vec!["count".to_owned()],
        rows: vec![line(0, 120, 100), line(1, 40, 50)],
        compared: true,
        intervals: None,
        notes: vec![],
    }
}

fn text(frame: &Frame, format: Format) -> String {
    String::from_utf8(bytes(frame, format)).unwrap()
}

fn bytes(frame: &Frame, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    render(frame, format, &mut out).unwrap();
    out
}

#[test]
fn csv_is_exact() {
    assert_eq!(
        text(&sample(), Format::Csv),
        "kpi,grain,period_start,period,region,value,unit,numerator,denominator,rows\n\
         revenue,month,2017-01-01,2017-01,\"<North>, \"\"cold\"\"\",1234567.89,USD,1234567.89,,7\n\
         revenue,month,2017-02-01,2017-02,,-0.5,USD,-0.5,,7\n\
         win_rate,month,2017-01-01,2017-01,East,0.631500521532,ratio,4238,6711,7\n\
         win_rate,month,2017-02-01,2017-02,East,,ratio,,,7\n"
    );
    assert_eq!(
        text(&compared(), Format::Csv),
        "kpi,grain,period_start,period,region,value,unit,numerator,denominator,rows,base_value,change,change_ratio\n\
         deals_won,quarter,2017-01-01,2017-Q1,East,120,count,120,,7,100,20,0.2\n\
         deals_won,quarter,2017-01-01,2017-Q1,West,40,count,40,,7,50,-10,-0.2\n"
    );
    assert_eq!(
        text(&Frame::default(), Format::Csv),
        "kpi,grain,period_start,period,value,unit,numerator,denominator,rows\n"
    );
}

#[test]
fn json_is_exact_and_ndjson_has_the_same_objects() {
    let json = text(&sample(), Format::Json);
    assert!(
        json.starts_with(
            "[\n{\"kpi\":\"revenue\",\"grain\":\"month\",\"period_start\":\"2017-01-01\",\"period\":\"2017-01\",\
         \"region\":\"<North>, \\\"cold\\\"\",\"value\":1234567.89,\"unit\":\"USD\",\"numerator\":1234567.89,\
         \"denominator\":null,\"rows\":7},\n"
        ),
        "{json}"
    );
    let array: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let lines = text(&sample(), Format::Ndjson);
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(array, lines);
    assert_eq!(array[0].as_object().unwrap().keys().collect::<Vec<_>>(), sample().columns());
    assert_eq!(array[1]["region"], serde_json::Value::Null);
    assert_eq!(text(&Frame::default(), Format::Json), "[]\n");
}

#[test]
fn people_get_rounded_figures_and_the_running_period_marked() {
    let table = text(&sample(), Format::Table);
    for part in ["1,234,567.89", "63.15%", "2017-02*", "–", "* period still running"] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
    assert!(!text(&compared(), Format::Table).contains('*'));
    assert_eq!(text(&Frame::default(), Format::Table), "no rows\n");
    assert_eq!(
        text(&compared(), Format::Markdown),
        "| kpi | period | region | value | unit | numerator | denominator | rows | base | change | change % |\n\
         | --- | --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n\
         | deals\\_won | 2017-Q1 | East | 120 | count | 120 | – | 7 | 100 | +20 | +20.0% |\n\
         | deals\\_won | 2017-Q1 | West | 40 | count | 40 | – | 7 | 50 | -10 | -20.0% |\n"
    );
    assert!(text(&sample(), Format::Html).contains("&lt;North&gt;"));
}

#[test]
fn parquet_and_arrow_hold_the_exact_values() {
    use ::arrow::array::{Array, Decimal128Array};
    let check = |batch: &::arrow::array::RecordBatch| {
        let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, sample().columns());
        let values = batch.column(5).as_any().downcast_ref::<Decimal128Array>().unwrap();
        assert_eq!(values.value(0), 1_234_567_890_000_000_000);
        assert_eq!(values.value(2), 631_500_521_532);
        assert!(values.is_null(3) && batch.column(4).is_null(1));
    };
    let parquet = bytes(&sample(), Format::Parquet);
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), &parquet).unwrap();
    let file = std::fs::File::open(path.path()).unwrap();
    let reader =
        ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.for_each(|batch| check(&batch.unwrap()));
    let arrow = std::io::Cursor::new(bytes(&sample(), Format::Arrow));
    ::arrow::ipc::reader::FileReader::try_new(arrow, None).unwrap().for_each(|batch| check(&batch.unwrap()));
    assert_eq!(parquet, bytes(&sample(), Format::Parquet));
}

#[test]
fn a_value_with_too_many_digits_is_refused_not_rounded() {
    let mut frame = sample();
    frame.rows[0].value = number(1, 13);
    let error = render(&frame, Format::Parquet, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, ReportError::TooLarge { .. }), "{error}");
}

#[test]
fn excel_is_a_zip_and_the_same_every_time() {
    let first = bytes(&sample(), Format::Xlsx);
    assert_eq!(&first[..2], b"PK");
    assert_eq!(first, bytes(&sample(), Format::Xlsx));
}

#[test]
fn listings_in_every_format() {
    let mut listing = Listing::new(&[
        ("id", ColumnKind::Text),
        ("rows", ColumnKind::Integer),
        ("sum", ColumnKind::Decimal),
        ("x", ColumnKind::Float),
    ]);
    let cell = |text: &str| Some(text.to_owned());
    listing.rows.push(vec![cell("a,b"), cell("12"), cell("1234567890.1200"), cell("NaN")]);
    listing.rows.push(vec![cell(""), None, None, cell("1.5")]);
    let text = |format| {
        let mut out = Vec::new();
        render_listing(&listing, format, &mut out).unwrap();
        out
    };
    assert_eq!(text(Format::Csv), b"id,rows,sum,x\n\"a,b\",12,1234567890.1200,NaN\n\"\",,,1.5\n");
    assert_eq!(
        String::from_utf8(text(Format::Ndjson)).unwrap(),
        "{\"id\":\"a,b\",\"rows\":12,\"sum\":1234567890.1200,\"x\":null}\n{\"id\":\"\",\"rows\":null,\"sum\":null,\"x\":1.5}\n"
    );
    for name in Format::NAMES {
        assert!(!text(Format::from_name(name).unwrap()).is_empty(), "{name}");
    }
    let arrow = std::io::Cursor::new(text(Format::Arrow));
    let batch = ::arrow::ipc::reader::FileReader::try_new(arrow, None).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.column(2).data_type(), &::arrow::datatypes::DataType::Decimal128(38, 12));
}

/// Not a bench, but a guard: printing must not become the slow part of a report.
#[test]
fn csv_of_many_rows_is_fast() {
    let mut frame = sample();
    let rows = frame.rows.clone();
    frame.rows = (0..400_000).map(|index| rows[index % rows.len()].clone()).collect();
    let started = std::time::Instant::now();
    let mut out = Vec::with_capacity(64 << 20);
    render(&frame, Format::Csv, &mut out).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 400_001);
    // Generous, because debug builds and busy machines run the tests as well.
    assert!(seconds < if cfg!(debug_assertions) { 10.0 } else { 0.5 }, "{seconds} s");
    if std::env::var_os("DEALFRAME_TIMES").is_some() {
        std::io::Write::write_all(&mut std::io::stderr(), format!("csv of 400k rows: {seconds:.3} s\n").as_bytes())
            .unwrap();
    }
}
