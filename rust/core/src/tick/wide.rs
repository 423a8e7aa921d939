//! Stage 2, tick: a full packet as a row with 256-bit vectors.
//!
//! A 184-byte packet is 46 integers to turn round, sixteen of them prices. Byte shuffles turn eight round
//! at once, and a price needs no conversion instruction: an integer below 2^32 in the low bits of the
//! float 2^52 is the float 2^52 plus that integer. The shuffles' masks below name source bytes; 0x80 gives
//! a zero byte.

use core::arch::x86_64::{__m128d, __m128i, __m256d, __m256i};

use pulp::cast;
use pulp::x86::V3;
use zerocopy::{transmute_mut, transmute_ref};

use crate::wire::kite::packet::Full;
use crate::wire::kite::{Census, Scale, ScaleTable};

use super::{Decoder, Mode, TickRow, flags, scalar, seconds};

const Z: i8 = -128;

/// Every 32-bit word turned round.
const WORDS: [i8; 16] = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
/// Words 0 and 2 turned round, each with zeros above it.
const WORDS_0_2: [i8; 16] = [3, 2, 1, 0, Z, Z, Z, Z, 11, 10, 9, 8, Z, Z, Z, Z];
/// Words 0 and 3 turned round, each with zeros above it: two prices, as levels lie 12 bytes apart.
const WORDS_0_3: [i8; 16] = [3, 2, 1, 0, Z, Z, Z, Z, 15, 14, 13, 12, Z, Z, Z, Z];
/// Of the orders of levels 2, 5, 0, 3, the part that levels 0 to 7 in a row have of them.
const ORDERS_2_5_0_3: [i8; 16] = [9, 8, Z, Z, 1, 0, 13, 12, Z, Z, 5, 4, Z, Z, Z, Z];
/// The same of levels 6, 1, 4, 7.
const ORDERS_6_1_4_7: [i8; 16] = [Z, Z, 5, 4, Z, Z, Z, Z, 9, 8, Z, Z, 1, 0, 13, 12];

/// The instructions of x86-64-v3, if this processor has them.
#[inline(always)]
pub(super) fn available() -> Option<V3> {
    V3::try_new()
}

/// Decodes with the instructions of x86-64-v3.
#[derive(Clone, Copy)]
struct Wide(V3);

impl Decoder for Wide {
    #[inline(always)]
    fn full(self, packet: &Full, scale: &Scale, row: &mut TickRow) {
        full(self.0, packet, scale, row);
    }
}

pub(super) fn decode_rows(
    simd: V3,
    bytes: &[u8],
    census: &Census,
    scales: &ScaleTable,
    rows: &mut [TickRow],
) -> usize {
    struct Walk<'a> {
        simd: V3,
        bytes: &'a [u8],
        census: &'a Census,
        scales: &'a ScaleTable,
        rows: &'a mut [TickRow],
    }
    impl pulp::NullaryFnOnce for Walk<'_> {
        type Output = usize;
        #[inline(always)]
        fn call(self) -> usize {
            let Self {
                simd,
                bytes,
                census,
                scales,
                rows,
            } = self;
            super::walk(bytes, census, scales, rows, Wide(simd))
        }
    }
    simd.vectorize(Walk {
        simd,
        bytes,
        census,
        scales,
        rows,
    })
}

type Bytes = [u8; size_of::<Full>()];

/// Sixteen bytes from each of two places, one in each half.
#[inline(always)]
fn load<const LOW: usize, const HIGH: usize>(simd: V3, bytes: &Bytes) -> __m256i {
    fn sixteen(bytes: &[u8]) -> __m128i {
        cast(*bytes.first_chunk::<16>().expect("the packet goes on"))
    }
    simd.avx
        ._mm256_set_m128i(sixteen(&bytes[HIGH..]), sixteen(&bytes[LOW..]))
}

#[inline(always)]
fn word<const AT: usize>(bytes: &Bytes) -> u32 {
    u32::from_be_bytes([bytes[AT], bytes[AT + 1], bytes[AT + 2], bytes[AT + 3]])
}

#[inline(always)]
fn half<const AT: usize>(bytes: &Bytes) -> u16 {
    u16::from_be_bytes([bytes[AT], bytes[AT + 1]])
}

#[inline(always)]
fn shuffle(simd: V3, vector: __m256i, low: [i8; 16], high: [i8; 16]) -> __m256i {
    simd.avx2._mm256_shuffle_epi8(vector, cast([low, high]))
}

/// Four integers below 2^32 in 64-bit lanes as prices: [`Scale::to_f64`], four at once. The first product
/// is exact, so fusing it with the sum changes nothing.
#[inline(always)]
fn prices(simd: V3, raw: __m256i, scale: &Scale) -> __m256d {
    const TWO_TO_52: f64 = 4_503_599_627_370_496.0;
    let biased = simd.avx2._mm256_or_si256(raw, cast([TWO_TO_52; 4]));
    let raw = simd.avx._mm256_sub_pd(cast(biased), cast([TWO_TO_52; 4]));
    let low = simd.avx._mm256_mul_pd(raw, simd.avx._mm256_set1_pd(scale.low));
    simd.fma
        ._mm256_fmadd_pd(raw, simd.avx._mm256_set1_pd(scale.high), low)
}

/// [`super::change`] without a branch, and the NaN that stands behind it in the row.
#[inline(always)]
fn change(simd: V3, last_price: f64, close: f64) -> __m128d {
    let change: __m128d = cast([(last_price - close) * 100.0 / close, f64::NAN]);
    let defined = simd
        .sse2
        ._mm_cmpneq_sd(cast([close, f64::NAN]), cast([0.0, f64::NAN]));
    simd.sse2._mm_and_pd(change, defined)
}

/// One field of eight levels, out of three vectors of their words and in the order that they come in:
/// field n of the levels' three lies in words n, n + 3, n + 6 ... of the 24, which never collide.
#[inline(always)]
fn field<const FIRST: i32, const SECOND: i32>(simd: V3, words: [__m256i; 3]) -> __m256i {
    let two = simd.avx2._mm256_blend_epi32::<SECOND>(words[0], words[1]);
    simd.avx2._mm256_blend_epi32::<FIRST>(words[2], two)
}

#[inline(always)]
fn full(simd: V3, packet: &Full, scale: &Scale, row: &mut TickRow) {
    if !scale.multiplies() {
        return scalar::full(packet, scale, row);
    }
    let bytes: &Bytes = transmute_ref!(packet);
    let slots: &mut [[u8; 32]; 8] = transmute_mut!(row);

    // Words 0 to 7 and words 7 to 14. The second starts at word 7 so that the open interest already lies
    // where the row wants it, and open, high, low, close fill the lower half.
    let head = shuffle(simd, load::<0, 16>(simd, bytes), WORDS, WORDS);
    let tail = shuffle(simd, load::<28, 44>(simd, bytes), WORDS, WORDS);
    let picked = simd
        .avx2
        ._mm256_permutevar8x32_epi32(head, cast([0u32, 2, 4, 5, 6, 0, 0, 0]));
    slots[0] = cast(simd.avx2._mm256_blend_epi32::<0b1110_0000>(picked, tail));

    // Bids and asks follow each other on the wire and in the row, so that they are one book of ten levels
    // here: level n begins at byte 64 + 12 n with its quantity, then its price, then its orders.
    let first = shuffle(simd, load::<4, 68>(simd, bytes), WORDS_0_2, WORDS_0_3);
    let first = prices(simd, first, scale);
    slots[1] = cast(first);
    let second = shuffle(simd, load::<92, 116>(simd, bytes), WORDS_0_3, WORDS_0_3);
    slots[2] = cast(prices(simd, second, scale));
    let third = shuffle(simd, load::<140, 164>(simd, bytes), WORDS_0_3, WORDS_0_3);
    slots[3] = cast(prices(simd, third, scale));
    let day = simd
        .avx2
        ._mm256_cvtepu32_epi64(simd.avx._mm256_castsi256_si128(tail));
    let day = prices(simd, day, scale);
    slots[4] = cast(day);

    let book = [
        load::<64, 80>(simd, bytes),
        load::<96, 112>(simd, bytes),
        load::<128, 144>(simd, bytes),
    ];
    let quantities = field::<0b1101_1011, 0b1001_0010>(simd, book);
    let quantities = simd
        .avx2
        ._mm256_permutevar8x32_epi32(quantities, cast([0u32, 3, 6, 1, 4, 7, 2, 5]));
    slots[5] = cast(shuffle(simd, quantities, WORDS, WORDS));
    let orders = field::<0b0110_1101, 0b0100_1001>(simd, book);
    let low = simd
        .ssse3
        ._mm_shuffle_epi8(simd.avx._mm256_castsi256_si128(orders), cast(ORDERS_2_5_0_3));
    let high = simd.avx2._mm256_extracti128_si256::<1>(orders);
    let high = simd.ssse3._mm_shuffle_epi8(high, cast(ORDERS_6_1_4_7));
    let orders: [u8; 16] = cast(simd.sse2._mm_or_si128(low, high));

    let quantities = u64::from(word::<160>(bytes)) | u64::from(word::<172>(bytes)) << 32;
    slots[6][..8].copy_from_slice(&quantities.to_le_bytes());
    slots[6][8..24].copy_from_slice(&orders);
    let rest = u64::from(half::<168>(bytes))
        | u64::from(half::<180>(bytes)) << 16
        | (Mode::Full as u64) << 32
        | u64::from(flags(packet.instrument_token.get(), 0)) << 40;
    slots[6][24..].copy_from_slice(&rest.to_le_bytes());

    slots[7][..8].copy_from_slice(&seconds(word::<44>(bytes)).to_le_bytes());
    slots[7][8..16].copy_from_slice(&seconds(word::<60>(bytes)).to_le_bytes());
    let [last_price, ..]: [f64; 4] = cast(first);
    let [.., close]: [f64; 4] = cast(day);
    slots[7][16..].copy_from_slice(&cast::<_, [u8; 16]>(change(simd, last_price, close)));
}
