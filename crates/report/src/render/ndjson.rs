//! One JSON object per line, for streams and log tools.

use std::io::Write;

use dealframe_model::frame::Frame;

use super::json::{FrameObjects, listing_keys, listing_object};
use crate::{Listing, ReportError};

pub(super) fn frame(frame: &Frame, out: &mut dyn Write) -> Result<(), ReportError> {
    let objects = FrameObjects::new(frame);
    lines(frame.rows.len(), out, |index, buffer| objects.write(index, buffer))
}

pub(super) fn listing(listing: &Listing, out: &mut dyn Write) -> Result<(), ReportError> {
    let keys = listing_keys(listing);
    lines(listing.rows.len(), out, |index, buffer| listing_object(listing, &keys, index, buffer))
}

fn lines(count: usize, out: &mut dyn Write, mut write: impl FnMut(usize, &mut Vec<u8>)) -> Result<(), ReportError> {
    let mut buffer = Vec::new();
    for index in 0..count {
        write(index, &mut buffer);
        buffer.push(b'\n');
        if buffer.len() > 1 << 16 {
            out.write_all(&buffer).map_err(ReportError::Write)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer).map_err(ReportError::Write)
}
