//! Metadata.

use model::{Metadata, MetricType};

use super::{Cursor, Malformed, put_bytes};

/// Writes an entry of a metadata section.
pub(crate) fn write_metadata(out: &mut Vec<u8>, metadata: &Metadata) {
    out.push(metadata.metric_type.to_wire() as u8);
    for text in [&metadata.family, &metadata.help, &metadata.unit] {
        put_bytes(out, text.as_bytes());
    }
}

/// Reads an entry of a metadata section.
pub(crate) fn read_metadata(content: &mut Cursor<'_>) -> Result<Metadata, Malformed> {
    let metric_type = MetricType::from_wire(i32::from(content.u8()?));
    let mut text = || content.str().map(str::to_owned);
    Ok(Metadata { metric_type, family: text()?, help: text()?, unit: text()? })
}
