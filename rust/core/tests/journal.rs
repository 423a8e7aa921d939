//! The journal's format: what is written comes back, what is damaged is noticed, what is cut is lost and no more.

use proptest::prelude::*;
use tickloom_core::journal::{
    BlockHeader, Fault, FileHeader, IndexEntry, MAX_PAYLOAD, Merge, Pending, Pick, Raw, Record, Stream,
    begins_anew, crc32c, file_header, footer, index, keys, kind, trailer,
};

type Owned = (u8, u8, i64, Vec<u8>);

fn borrowed((kind, connection, time, payload): &Owned) -> Record<'_> {
    Record {
        kind: *kind,
        connection: *connection,
        time: *time,
        payload,
    }
}

fn owned(record: Record<'_>) -> Owned {
    (
        record.kind,
        record.connection,
        record.time,
        record.payload.to_vec(),
    )
}

fn sealed(records: &[Owned]) -> Vec<u8> {
    let mut block = Raw::with_capacity(0);
    records.iter().for_each(|record| block.push(&borrowed(record)));
    let mut out = Vec::new();
    block.seal(&mut out);
    out
}

fn read(block: &[u8]) -> Result<Vec<Owned>, Fault> {
    let mut stream = Stream::new(None);
    stream.load(block)?;
    let mut found = Vec::new();
    while let Some(record) = stream.peek() {
        found.push(owned(record));
        stream.step();
    }
    assert_eq!(stream.damaged(), 0);
    Ok(found)
}

fn records() -> impl Strategy<Value = Vec<Owned>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0..2_000usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    prop::collection::vec((any::<u8>(), any::<u8>(), any::<i64>(), payload), 0..40)
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    // The vectors of RFC 3720, B.4.
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    let rising: Vec<u8> = (0..32).collect();
    assert_eq!(crc32c(&rising), 0x46dd_794e);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(b""), 0);
}

#[test]
fn the_layout_is_the_documented_one() {
    let header = file_header("kite", 7);
    assert_eq!(&header[..12], b"\x89TLJ\r\n\x1a\n\x01\x00\x04\x00");
    assert_eq!(header.len(), 24 + 4 + 4);
    assert_eq!(&header[16..28], b"\x07\0\0\0\0\0\0\0kite");
    // kind, connection, zigzag of 3, length, bytes
    let block = sealed(&[(kind::FRAME, 2, 3, b"ab".to_vec())]);
    assert_eq!(&block[..6], b"TLJB\x00\x00");
    assert_eq!(&block[BlockHeader::LENGTH..], b"\x01\x02\x06\x02ab");
    assert_eq!(&block[24..40], [3i64.to_le_bytes(), 3i64.to_le_bytes()].concat());
}

#[test]
fn a_file_header_comes_back_and_every_damage_of_it_is_noticed() {
    let bytes = file_header("sources.Kite ₹", 1_782_877_500_000_000_000);
    let found = FileHeader::read(&bytes).unwrap();
    assert_eq!(
        (found.created, found.source.as_str()),
        (1_782_877_500_000_000_000, "sources.Kite ₹")
    );
    assert_eq!(found.length, bytes.len());
    for at in 0..bytes.len() {
        assert_eq!(FileHeader::read(&bytes[..at]), Err(Fault::Cut));
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x10;
        assert!(FileHeader::read(&wrong).is_err(), "byte {at}");
    }
    let long = "é".repeat(2_000);
    let cut = FileHeader::read(&file_header(&long, 0)).unwrap();
    assert_eq!(cut.source.len(), 1024);
}

#[test]
fn an_index_comes_back_and_a_trailer_points_to_it() {
    let entries: Vec<_> = (0..100)
        .map(|n| IndexEntry {
            offset: n * 1000,
            first: n as i64,
            last: n as i64 + 5,
            records: n as u32,
            stored: 952,
        })
        .collect();
    let bytes = footer(&entries, 100_000);
    assert_eq!(trailer(&bytes), Some(100_000));
    assert_eq!(index(&bytes).unwrap(), entries);
    for at in 0..bytes.len() {
        assert_eq!(trailer(&bytes[..at]), None);
    }
    for bit in 0..bytes.len() * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(trailer(&wrong).is_none() || index(&wrong).is_err(), "bit {bit}");
    }
    assert_eq!(index(&footer(&[], 32)).unwrap(), []);
}

#[test]
fn a_length_that_lies_costs_no_memory() {
    // A header with its checksum, as only a hostile writer makes it: much out of little.
    let mut block = sealed(&[(1, 0, 0, vec![0; 1000])]);
    block[12..16].copy_from_slice(&0x00ff_ffffu32.to_le_bytes());
    let crc = crc32c(&block[..44]).to_le_bytes();
    block[44..48].copy_from_slice(&crc);
    assert_eq!(read(&block), Err(Fault::Header));
}

#[test]
fn a_block_of_nonsense_with_a_checksum_ends_at_the_nonsense() {
    let mut block = sealed(&[(1, 0, 5, b"good".to_vec()), (1, 0, 6, b"bad".to_vec())]);
    let at = block.len() - 4;
    block[at] = 200;
    let crc = crc32c(&block[48..]).to_le_bytes();
    block[20..24].copy_from_slice(&crc);
    let crc = crc32c(&block[..44]).to_le_bytes();
    block[44..48].copy_from_slice(&crc);
    let mut stream = Stream::new(None);
    stream.load(&block).unwrap();
    assert_eq!(stream.peek().unwrap().payload, b"good");
    stream.step();
    assert_eq!((stream.peek(), stream.damaged()), (None, 1));
}

#[test]
fn journals_are_merged_by_time_and_of_one_time_by_their_order() {
    let blocks = [
        vec![
            sealed(&[(1, 0, 10, vec![0]), (1, 0, 30, vec![1])]),
            sealed(&[(1, 0, 50, vec![2])]),
        ],
        vec![sealed(&[
            (1, 0, 10, vec![3]),
            (1, 0, 20, vec![4]),
            (1, 0, 50, vec![5]),
        ])],
        vec![],
    ];
    let mut left: Vec<_> = blocks.iter().map(|blocks| blocks.iter()).collect();
    let mut merge = Merge::new(3, None);
    let mut found = Vec::new();
    loop {
        match merge.pick() {
            Pick::Wants(journal) => match left[journal].next() {
                Some(block) => merge.streams[journal].load(block).unwrap(),
                None => merge.streams[journal].end(),
            },
            Pick::Record(journal, time) => {
                found.push((time, merge.streams[journal].peek().unwrap().payload[0]));
                merge.streams[journal].step();
            }
            Pick::End => break,
        }
    }
    assert_eq!(found, [(10, 0), (10, 3), (20, 4), (30, 1), (50, 2), (50, 5)]);
}

#[test]
fn a_start_steps_over_what_is_earlier_and_over_nothing_later() {
    let records: Vec<Owned> = [5, 9, 7, 12, 3, 20].map(|time| (1, 0, time, vec![])).into();
    let mut stream = Stream::new(Some(10));
    stream.load(&sealed(&records[..2])).unwrap();
    assert_eq!(stream.peek(), None);
    stream.load(&sealed(&records[2..])).unwrap();
    let mut found = Vec::new();
    while let Some(record) = stream.peek() {
        found.push(record.time);
        stream.step();
    }
    assert_eq!(found, [12, 3, 20]);
}

#[test]
fn what_does_not_fit_is_counted_and_told() {
    let mut pending = Pending::new(100, 250);
    let frame = |time| Record {
        kind: kind::FRAME,
        connection: 0,
        time,
        payload: &[7; 60],
    };
    let kept = (0..10).filter(|time| pending.push(&frame(*time))).count();
    assert_eq!(kept, 3);
    let mut blocks = Vec::new();
    while let Some(block) = pending.take(true) {
        blocks.push(block);
    }
    assert!(pending.push(&frame(11)));
    assert!(!pending.push(&Record {
        payload: &vec![0; MAX_PAYLOAD + 1],
        ..frame(12)
    }));
    pending.finish(13);
    assert!(!pending.push(&frame(14)));
    blocks.extend(pending.take(true));
    let mut found = Vec::new();
    for block in &blocks {
        let mut out = Vec::new();
        block.seal(&mut out);
        found.extend(read(&out).unwrap());
    }
    let told: Vec<_> = found.iter().filter(|record| record.0 == kind::LOST).collect();
    assert_eq!(
        told,
        [
            &(kind::LOST, 0, 11, b"7".to_vec()),
            &(kind::LOST, 0, 13, b"1".to_vec())
        ]
    );
    assert_eq!(found.len() - told.len(), 4);
    let counts = pending.counts();
    assert_eq!((counts.offered, counts.taken, counts.dropped), (13, 4, 9));
    assert!(pending.is_empty());
}

fn taken(pending: &mut Pending) -> Vec<Owned> {
    let mut found = Vec::new();
    while let Some(block) = pending.take(true) {
        let mut out = Vec::new();
        block.seal(&mut out);
        found.extend(read(&out).unwrap());
    }
    found
}

#[test]
fn more_keys_than_a_record_holds_come_back_from_several() {
    let mut pending = Pending::new(1 << 18, usize::MAX).keyed();
    let key = |n: u32| format!("NSE_FO|{n:>0100}").into_bytes();
    for n in 0..30_000 {
        pending.learn(&key(n), n << 8);
    }
    // What no length field holds is left out.
    pending.learn(&vec![b'x'; 1 << 16], 7);
    // With the longest record behind it no block is longer than a reader takes.
    let longest = vec![3; MAX_PAYLOAD];
    let record = Record {
        kind: kind::UPSTOX,
        connection: 1,
        time: 9,
        payload: &longest,
    };
    assert!(pending.push(&record));
    let found = taken(&mut pending);
    assert_eq!(found.last(), Some(&owned(record)));
    let said: Vec<_> = found[..found.len() - 1].iter().collect();
    assert!(said.len() > 2);
    assert!(said.iter().all(|record| (record.0, record.2) == (kind::KEYS, 9)));
    let fresh: Vec<_> = said.iter().map(|record| begins_anew(&record.3)).collect();
    assert_eq!(fresh.iter().filter(|anew| **anew).count(), 1);
    assert!(fresh[0]);
    let told: Vec<_> = said.iter().flat_map(|record| keys(&record.3).unwrap()).collect();
    assert_eq!(told.len(), 30_000);
    assert!((0..).zip(&told).all(|(n, told)| *told == (&key(n)[..], n << 8)));
    assert_eq!(pending.counts().taken, 1);
}

#[test]
fn all_keys_are_said_again_after_so_many_blocks() {
    // Every record is a block of its own.
    let mut pending = Pending::new(1, usize::MAX).keyed();
    for token in 0..3 {
        pending.learn(b"NSE_EQ|INE009A01021", token);
    }
    for time in 0..300 {
        assert!(pending.push(&Record {
            kind: kind::UPSTOX,
            connection: 0,
            time,
            payload: &[7; 400],
        }));
    }
    let found = taken(&mut pending);
    let said: Vec<_> = found.iter().filter(|record| record.0 == kind::KEYS).collect();
    assert_eq!(said.len(), 300 / 64 + 1);
    assert!(said.iter().all(|record| keys(&record.3).unwrap().len() == 3));
    assert_eq!(pending.counts().taken, 300);
}

proptest! {
    #[test]
    fn any_bytes_are_keys_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(found) = keys(&bytes) {
            let length: usize = found.iter().map(|(key, _)| key.len() + 6).sum();
            prop_assert_eq!(length + 4, bytes.len());
        }
        let _ = begins_anew(&bytes);
    }

    #[test]
    fn whoever_begins_at_keys_that_begin_anew_knows_all_that_come(
        records in records(), learned in prop::collection::vec(0..400_usize, 0..40), target in 1..400_usize,
    ) {
        let mut pending = Pending::new(target, usize::MAX).keyed();
        let kept: Vec<_> = records.into_iter().filter(|record| record.0 != kind::KEYS).cycle().take(400).collect();
        for (n, record) in kept.iter().enumerate() {
            for (token, _) in learned.iter().enumerate().filter(|(_, at)| **at == n) {
                pending.learn(token.to_string().as_bytes(), token as u32);
            }
            prop_assert!(pending.push(&borrowed(record)));
        }
        let found = taken(&mut pending);
        prop_assert_eq!(found.iter().filter(|record| record.0 != kind::KEYS).count(), kept.len());
        prop_assert_eq!(pending.counts().taken, kept.len() as u64);
        for start in (0..found.len()).filter(|n| found[*n].0 == kind::KEYS && begins_anew(&found[*n].3)) {
            let said = found[start..].iter().filter(|record| record.0 == kind::KEYS);
            let mut tokens: Vec<_> = said.flat_map(|record| keys(&record.3).unwrap()).map(|(_, token)| token).collect();
            tokens.sort_unstable();
            tokens.dedup();
            prop_assert_eq!(tokens.len(), if kept.is_empty() { 0 } else { learned.len() });
        }
    }

    #[test]
    fn every_record_comes_back(records in records()) {
        prop_assert_eq!(read(&sealed(&records)).unwrap(), records);
    }

    #[test]
    fn a_block_that_is_cut_anywhere_is_seen_to_be_cut(records in records(), at in any::<prop::sample::Index>()) {
        let block = sealed(&records);
        prop_assert_eq!(read(&block[..at.index(block.len())]), Err(Fault::Cut));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed(records in records(), at in any::<prop::sample::Index>()) {
        let mut block = sealed(&records);
        let bit = at.index(block.len() * 8);
        block[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(read(&block).is_err());
    }

    #[test]
    fn pending_gives_everything_back_in_order(records in records(), target in 1..3_000usize) {
        let mut pending = Pending::new(target, usize::MAX);
        let mut found = Vec::new();
        for (n, record) in records.iter().enumerate() {
            prop_assert!(pending.push(&borrowed(record)));
            while let Some(block) = pending.take(n % 7 == 0) {
                let mut out = Vec::new();
                block.seal(&mut out);
                found.extend(read(&out).unwrap());
                pending.give_back(block);
            }
        }
        while let Some(block) = pending.take(true) {
            let mut out = Vec::new();
            block.seal(&mut out);
            found.extend(read(&out).unwrap());
        }
        prop_assert_eq!(&found, &records);
        prop_assert_eq!(pending.counts().taken, records.len() as u64);
        prop_assert_eq!((pending.len(), pending.is_empty()), (0, true));
    }
}
