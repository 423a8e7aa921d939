//! Runs a target on mutated seeds with nothing but cargo: `plain TARGET RUNS [SEED]`.
//!
//! It sees no coverage, so it finds less than libFuzzer does; it is what every test run can afford. The same
//! seed does the same runs.

use std::{env, fs, process::ExitCode};

const MAX_LENGTH: usize = 4096;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next() as u8),
            4 => {
                let end = (at + random.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let other = &seeds[random.below(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
            }
            _ if bytes.len() >= 2 => {
                // The count and the lengths are what a parser believes.
                let value = [0, 1, 8, 44, 184, 492, 0x7fff, 0xffff][random.below(8)];
                let at = random.below(bytes.len() - 1);
                bytes[at..at + 2].copy_from_slice(&u16::to_be_bytes(value));
            }
            _ => {}
        }
    }
    bytes.truncate(MAX_LENGTH);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let [_, name, runs, rest @ ..] = &arguments[..] else {
        eprintln!("usage: plain TARGET RUNS [SEED]");
        return ExitCode::FAILURE;
    };
    let (Some(target), Ok(runs)) = (tickloom_fuzz::target(name), runs.parse::<u64>()) else {
        eprintln!("unknown target or number of runs: {name} {runs}");
        return ExitCode::FAILURE;
    };
    let seed = rest.first().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/").to_owned() + name;
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the corpus is checked in")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| fs::read(path).expect("a seed is a file"))
        .collect();
    seeds.iter().for_each(|seed| target(seed));
    let mut random = Random(seed);
    for _ in 0..runs {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        mutate(&mut bytes, &seeds, &mut random);
        target(&bytes);
    }
    println!(
        "{name}: {} seeds and {runs} runs, no invariant broken",
        seeds.len()
    );
    ExitCode::SUCCESS
}
