//! Any bytes as a journal, and a journal of any records that is cut and damaged anywhere.

use tickloom_core::journal::{
    BlockHeader, FileHeader, IndexEntry, Merge, Pending, Pick, Record, Stream, file_header, footer, index,
    keys, trailer,
};

/// As many records as one input makes. Each may become a block with a header, an entry of the index and so some thirty
/// times its bytes here: that is the price of a small block, not of reading one.
const MOST_RECORDS: usize = 1 << 15;

/// The first byte chooses between the two; see the functions.
///
/// # Panics
/// When a record comes back that was not written, or one does not that was.
pub fn journal(bytes: &[u8]) {
    match bytes.split_first() {
        Some((choice, rest)) if choice % 2 == 1 => written(rest),
        Some((_, rest)) => foreign(rest),
        None => {}
    }
}

/// Reads what somebody else wrote: whatever it is, it ends, and in little memory.
fn foreign(bytes: &[u8]) {
    let _ = FileHeader::read(bytes);
    let _ = trailer(bytes);
    let _ = index(bytes);
    let mut merge = Merge::new(2, Some(0));
    let mut left = bytes;
    loop {
        match merge.pick() {
            Pick::Wants(journal) => {
                let stream = &mut merge.streams[journal];
                match BlockHeader::read(left) {
                    Ok(header) => {
                        let _ = stream.load(left);
                        left = left.get(BlockHeader::LENGTH + header.stored..).unwrap_or(&[]);
                    }
                    Err(_) => stream.end(),
                }
            }
            Pick::Record(journal, time) => {
                let stream = &mut merge.streams[journal];
                let record = stream.peek().expect("it was picked");
                assert_eq!(record.time, time);
                let _ = keys(record.payload);
                stream.step();
            }
            Pick::End => break,
        }
    }
}

/// Writes the records that the bytes tell of, reads them back, then cuts and damages the blocks.
fn written(bytes: &[u8]) {
    let [target, cut, damage, rest @ ..] = bytes else {
        return;
    };
    let mut records = Vec::new();
    let (mut left, mut time) = (rest, 0i64);
    while records.len() < MOST_RECORDS
        && let [kind, connection, step, length, payload @ ..] = left
    {
        // Steps of all sizes, and back.
        time = time.wrapping_add(i64::from(step.cast_signed()) << (step % 64));
        let length = usize::from(*length).min(payload.len());
        let record = Record {
            kind: *kind,
            connection: *connection,
            time,
            payload: &payload[..length],
        };
        records.push(record);
        left = &payload[length..];
    }
    let mut pending = Pending::new(16 * usize::from(*target), usize::MAX);
    records.iter().for_each(|record| assert!(pending.push(record)));
    let mut file = file_header("fuzz", time);
    let header = FileHeader::read(&file).expect("it was just written");
    let mut entries = Vec::new();
    while let Some(block) = pending.take(true) {
        let offset = file.len();
        block.seal(&mut file);
        let (first, last) = block.times();
        entries.push(IndexEntry {
            offset: offset as u64,
            first,
            last,
            records: block.records(),
            stored: (file.len() - offset - BlockHeader::LENGTH) as u32,
        });
    }
    let end = file.len();
    file.extend(footer(&entries, end as u64));
    assert_eq!(trailer(&file), Some(end as u64));
    assert_eq!(index(&file[end..]).as_ref(), Ok(&entries));
    assert_eq!(read(&file[header.length..end], &records), records.len());

    // A cut loses the block that it hits and those behind it.
    let at = header.length + usize::from(*cut) * (end - header.length) / 256;
    let whole: u32 = entries
        .iter()
        .filter(|entry| entry.offset as usize + BlockHeader::LENGTH + entry.stored as usize <= at)
        .map(|entry| entry.records)
        .sum();
    assert_eq!(read(&file[header.length..at], &records), whole as usize);

    // A flipped bit loses the block that it hits, and no record comes back that was not written.
    let Some(entry) = entries.get(usize::from(*damage) % entries.len().max(1)) else {
        return;
    };
    let start = entry.offset as usize;
    let size = BlockHeader::LENGTH + entry.stored as usize;
    file[start + usize::from(*cut) * size / 256] ^= 1 << (damage % 8);
    assert!(Stream::new(None).load(&file[start..start + size]).is_err());
}

/// How many records all whole blocks have; they are the first of those that were written. Compared one by one, so that
/// an input near the limit needs little more memory than its own.
fn read(mut blocks: &[u8], written: &[Record<'_>]) -> usize {
    let mut found = 0;
    while let Ok(header) = BlockHeader::read(blocks) {
        let mut stream = Stream::new(None);
        if stream.load(blocks).is_err() {
            break;
        }
        while let Some(record) = stream.peek() {
            assert_eq!(Some(&record), written.get(found));
            found += 1;
            stream.step();
        }
        assert_eq!(stream.damaged(), 0);
        blocks = &blocks[BlockHeader::LENGTH + header.stored..];
    }
    found
}
