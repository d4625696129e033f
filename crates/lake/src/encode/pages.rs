//! The pages of one column chunk, compressed, with their ranges and places.
//!
//! Data pages are taken in order; the dictionary page comes last and is put first. What stands in
//! a page is decided in `text.rs` and `number.rs`; the finished chunk is spliced into a row group
//! by `parquet_file.rs`.

use std::cell::RefCell;
use std::io::Write;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

/// The fastest level that still finds repetitions.
const LEVEL: i32 = 1;

/// A column chunk, ready to become part of a row group.
pub(crate) struct ColumnChunk {
    bytes: Bytes,
    close: ColumnCloseResult,
}

impl ColumnChunk {
    pub(crate) fn append_to<W: Write + Send>(self, row_group: &mut SerializedRowGroupWriter<'_, W>) -> Result<()> {
        row_group.append_column(&self.bytes, self.close)
    }
}

/// Least and greatest value of a page or chunk, as Parquet writes them.
pub(crate) type Range = (Vec<u8>, Vec<u8>);

/// What a data page holds, uncompressed: definition levels and values.
pub(crate) struct DataPage<'a> {
    pub encoding: Encoding,
    pub rows: usize,
    pub nulls: usize,
    pub body: &'a [u8],
    /// `None` where the page has no value, or its values have no useful range.
    pub range: Option<Range>,
}

/// Texts or numbers that codes stand for, in the plain encoding.
pub(crate) struct Dictionary {
    pub entries: usize,
    pub body: Vec<u8>,
}

/// Takes the data pages of a chunk.
pub(crate) struct Pages {
    descriptor: ColumnDescPtr,
    sink: TrackedWrite<Vec<u8>>,
    places: Vec<(u64, usize, usize)>,
    index: ColumnIndexBuilder,
    has_ranges: bool,
    rows: usize,
    /// Data pages by encoding.
    counts: Vec<(Encoding, i32)>,
    uncompressed: usize,
    /// Whether pages are compressed; settled by the first one.
    is_compressed: Option<bool>,
}

impl Pages {
    pub(crate) fn new(descriptor: ColumnDescPtr) -> Self {
        let index = ColumnIndexBuilder::new(descriptor.physical_type());
        Self {
            descriptor,
            sink: TrackedWrite::new(Vec::new()),
            places: Vec::new(),
            index,
            has_ranges: true,
            rows: 0,
            counts: Vec::new(),
            uncompressed: 0,
            is_compressed: None,
        }
    }

    /// Compresses and takes the next data page.
    pub(crate) fn add(&mut self, mut page: DataPage<'_>) -> Result<()> {
        match self.counts.iter_mut().find(|(encoding, _)| *encoding == page.encoding) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((page.encoding, 1)),
        }
        let null_page = page.nulls == page.rows;
        self.has_ranges &= null_page || page.range.is_some();
        let (least, greatest) = page.range.take().unwrap_or_default();
        self.index.append(null_page, least, greatest, page.nulls as i64, None);
        self.rows += page.rows;
        let buf = match self.is_compressed {
            Some(false) => Bytes::copy_from_slice(page.body),
            Some(true) => compress(page.body)?,
            None => self.first_page(&page)?,
        };
        let compressed = Page::DataPage {
            buf,
            num_values: page.rows as u32,
            encoding: page.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec =
            SerializedPageWriter::new(&mut self.sink).write_page(CompressedPage::new(compressed, page.body.len()))?;
        self.uncompressed += spec.uncompressed_size;
        self.places.push((spec.offset, spec.compressed_size, page.rows));
        Ok(())
    }

    /// Packed differences of amounts and instants look like noise: a chunk of them is compressed only where its first
    /// page shows that it repays the work, of which readers do their share each time.
    fn first_page(&mut self, page: &DataPage<'_>) -> Result<Bytes> {
        let compressed = compress(page.body)?;
        let is_noise = page.encoding == Encoding::DELTA_BINARY_PACKED && compressed.len() * 16 > page.body.len() * 15;
        self.is_compressed = Some(!is_noise);
        Ok(if is_noise { Bytes::copy_from_slice(page.body) } else { compressed })
    }

    /// Closes the chunk. `ascending`: every page's range is at or after the one before.
    pub(crate) fn finish(
        mut self,
        dictionary: Option<&Dictionary>,
        statistics: Statistics,
        ascending: bool,
    ) -> Result<ColumnChunk> {
        let mut head = TrackedWrite::new(Vec::new());
        let mut encodings = vec![Encoding::RLE];
        let mut counted = Vec::new();
        if let Some(dictionary) = dictionary {
            let page = Page::DictionaryPage {
                buf: if self.is_compressed == Some(false) {
                    Bytes::copy_from_slice(&dictionary.body)
                } else {
                    compress(&dictionary.body)?
                },
                num_values: dictionary.entries as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let spec =
                SerializedPageWriter::new(&mut head).write_page(CompressedPage::new(page, dictionary.body.len()))?;
            self.uncompressed += spec.uncompressed_size;
            encodings.push(Encoding::PLAIN);
            counted.push(count(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
        }
        for (encoding, pages) in self.counts {
            counted.push(count(PageType::DATA_PAGE, encoding, pages));
            if !encodings.contains(&encoding) {
                encodings.push(encoding);
            }
        }
        let mut bytes = head.into_inner()?;
        let first = bytes.len();
        bytes.extend_from_slice(&self.sink.into_inner()?);
        let mut offsets = OffsetIndexBuilder::new();
        for (offset, size, rows) in &self.places {
            offsets.append_row_count(*rows as i64);
            offsets.append_offset_and_size((first as u64 + offset) as i64, *size as i32);
        }
        if ascending {
            self.index.set_boundary_order(BoundaryOrder::ASCENDING);
        }
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_compression(match self.is_compressed {
                Some(false) => Compression::UNCOMPRESSED,
                _ => Compression::ZSTD(ZstdLevel::try_new(LEVEL)?),
            })
            .set_encodings(encodings)
            .set_page_encoding_stats(counted)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_dictionary_page_offset(dictionary.map(|_| 0))
            .set_data_page_offset(first as i64)
            .set_statistics(statistics)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: if self.has_ranges { Some(self.index.build()?) } else { None },
            offset_index: Some(offsets.build()),
        };
        Ok(ColumnChunk { bytes: bytes.into(), close })
    }
}

fn count(page_type: PageType, encoding: Encoding, count: i32) -> PageEncodingStats {
    PageEncodingStats { page_type, encoding, count }
}

/// Compresses one page; the tables of the compressor and the room for its output are kept by the thread.
fn compress(bytes: &[u8]) -> std::io::Result<Bytes> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<(Compressor<'static>, Vec<u8>)>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        let (compressor, room) = match slot {
            Some(kept) => kept,
            None => slot.insert((Compressor::new(LEVEL)?, Vec::new())),
        };
        room.clear();
        room.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        compressor.compress_to_buffer(bytes, room)?;
        Ok(Bytes::copy_from_slice(room))
    })
}
