use super::contents::TimestampOffset;
use super::error::ReadError;
use super::segment::{Extent, Located, Segment};
use crate::env::{Disk, FileSlice};
use crate::epochs::Epochs;
use crate::ids::Offset;
use crate::sync::Arc;
use crate::time::Timestamp;

/// What readers hold of a log: its segments, its start and its epochs, as of one moment; appends show through it.
///
/// Reading takes no lock that an append holds while it writes batches; index entries are written under one.
pub struct View<D: Disk> {
    segments: Vec<Arc<Segment<D>>>,
    log_start: Offset,
    epochs: Arc<Epochs>,
}

/// Batches that were found: whole ones, from one segment.
#[derive(Clone, Debug)]
pub struct Slice<F> {
    /// Where their bytes are, or `None` when there is nothing to read.
    pub bytes: Option<FileSlice<F>>,
    /// Offset of the first record of the first batch, which may be smaller than what was asked for.
    pub first_offset: Offset,
    /// Where the next read goes on.
    pub next_offset: Offset,
}

/// A batch and the segment that it is in.
type FoundBatch<F> = (Extent<F>, Located);

impl<F> Slice<F> {
    fn empty(at: Offset) -> Self {
        Self { bytes: None, first_offset: at, next_offset: at }
    }

    /// How many bytes.
    pub fn len(&self) -> u32 {
        self.bytes.as_ref().map_or(0, |slice| slice.len)
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<D: Disk> View<D> {
    pub(super) fn new(segments: &[Arc<Segment<D>>], log_start: Offset, epochs: Arc<Epochs>) -> Arc<Self> {
        Arc::new(Self { segments: segments.to_vec(), log_start, epochs })
    }

    /// The first readable offset.
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// One past the last record that was appended.
    pub fn log_end(&self) -> Offset {
        self.segments.last().expect("a log has an active segment").end_offset()
    }

    /// Which epoch begins where.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    pub(super) fn shared_epochs(&self) -> Arc<Epochs> {
        self.epochs.clone()
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size()).sum()
    }

    /// Finds whole batches from the one that holds `from` on, all of whose records lie below `bound`: at most
    /// `bytes_max` bytes, but the first batch whatever its size if `at_least_one_batch`. Nothing is found at or
    /// above the bound.
    ///
    /// Who takes the bound from a watermark loads the watermark first and the view after it, as the appender
    /// publishes them in the other order.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(
        &self,
        from: Offset,
        bound: Offset,
        bytes_max: u32,
        at_least_one_batch: bool,
    ) -> Result<Slice<D::File>, ReadError> {
        let log_end = self.log_end();
        if log_end < from && from <= bound {
            return Err(ReadError::CutMeanwhile);
        }
        if from < self.log_start || from > log_end {
            return Err(ReadError::OutOfRange { from, log_start: self.log_start, log_end });
        }
        if from >= bound.min(log_end) {
            return Ok(Slice::empty(from));
        }
        let first = self.segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
        for segment in &self.segments[first..] {
            let extent = segment.extent()?;
            if extent.end_offset <= from {
                continue;
            }
            if let Some(start) = segment.locate(&extent, from)? {
                return read_segment(segment, extent, start, bound, bytes_max, at_least_one_batch);
            }
        }
        Ok(Slice::empty(from))
    }

    /// The first batch with a timestamp of at least `target`: the header's largest timestamp, and the offset of its
    /// first record. Which record of the batch it is, only the records say.
    ///
    /// # Errors
    /// See [`ReadError`].
    #[cfg(any(test, feature = "contract"))]
    pub(crate) fn offset_for_timestamp(
        &self,
        target: Timestamp,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        Ok(self.batch_for_timestamp(target, self.log_start)?.map(|(_, located)| TimestampOffset {
            timestamp: located.header.max_timestamp,
            offset: located.header.base_offset.max(self.log_start),
        }))
    }

    /// The first batch with a timestamp of at least `target` by its header; which record it is, only the records say. Of
    /// the batches that end behind `from`, so that a search can go on where a batch did not hold what its header
    /// promised.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn slice_for_timestamp(
        &self,
        target: Timestamp,
        from: Offset,
    ) -> Result<Option<Slice<D::File>>, ReadError> {
        let Some((extent, located)) = self.batch_for_timestamp(target, from)? else { return Ok(None) };
        Ok(Some(batch_slice(extent, &located)))
    }

    fn batch_for_timestamp(
        &self,
        target: Timestamp,
        from: Offset,
    ) -> Result<Option<FoundBatch<D::File>>, ReadError> {
        let from = from.max(self.log_start);
        for segment in self.segments.iter().filter(|segment| segment.largest().timestamp >= target) {
            let extent = segment.extent()?;
            if let Some(located) = segment.locate_timestamp(&extent, target, from)? {
                return Ok(Some((extent, located)));
            }
        }
        Ok(None)
    }

    /// The batch with the largest timestamp of the log, the first if several have it.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn slice_of_max_timestamp(&self) -> Result<Option<Slice<D::File>>, ReadError> {
        match self.max_timestamp() {
            Some(largest) => self.slice_for_timestamp(largest.timestamp, self.log_start),
            None => Ok(None),
        }
    }

    /// The largest timestamp of the log, and the last offset of the first batch that has it.
    pub fn max_timestamp(&self) -> Option<TimestampOffset> {
        let larger = |best: Option<TimestampOffset>, segment: &Arc<Segment<D>>| {
            let largest = segment.largest();
            match best {
                Some(best) if best.timestamp >= largest.timestamp => Some(best),
                _ => Some(largest).filter(|largest| largest.timestamp > Timestamp::NONE),
            }
        };
        self.segments.iter().fold(None, larger)
    }
}

fn read_segment<D: Disk>(
    segment: &Segment<D>,
    extent: Extent<D::File>,
    start: Located,
    bound: Offset,
    bytes_max: u32,
    at_least_one_batch: bool,
) -> Result<Slice<D::File>, ReadError> {
    let first_offset = start.header.base_offset;
    let (end, next_offset) = match bound < extent.end_offset {
        false => (extent.size, extent.end_offset),
        // Bounds lie between batches; one inside a batch must hide all of it.
        true => match segment.locate(&extent, bound)? {
            Some(located) => (located.position, located.header.base_offset),
            None => (extent.size, extent.end_offset),
        },
    };
    if end <= start.position {
        return Ok(Slice::empty(first_offset));
    }
    let limit = start.position + u64::from(bytes_max);
    if end <= limit {
        return Ok(slice(extent, start.position, end, first_offset, next_offset));
    }
    if let Some(boundary) = segment.boundary(&extent, start.position, limit)? {
        let next_offset = boundary.header.base_offset;
        return Ok(slice(extent, start.position, boundary.position, first_offset, next_offset));
    }
    match at_least_one_batch {
        true => Ok(batch_slice(extent, &start)),
        false => Ok(Slice::empty(first_offset)),
    }
}

fn batch_slice<F>(extent: Extent<F>, located: &Located) -> Slice<F> {
    let header = &located.header;
    let next_offset = header.next_offset().unwrap_or(extent.end_offset);
    let end = located.position + header.size_bytes() as u64;
    slice(extent, located.position, end, header.base_offset, next_offset)
}

fn slice<F>(
    extent: Extent<F>,
    position: u64,
    end: u64,
    first_offset: Offset,
    next_offset: Offset,
) -> Slice<F> {
    let len = u32::try_from(end - position).expect("a segment has at most i32::MAX bytes");
    Slice { bytes: Some(FileSlice { file: extent.file, position, len }), first_offset, next_offset }
}
