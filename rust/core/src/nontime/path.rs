//! Bars that close when the price has gone far enough: range and renko.
//!
//! Between two updates the price is taken to have moved straight from one known point to the next: the
//! last price, the recovered extremes, the new price. A bar that lies on the way closes though no trade
//! in it was seen, and says so; the volume of an update belongs to the bar in which the update ends, as
//! a time bar's belongs to the bar of its trade time (R2).

use core::num::NonZeroU64;

use super::{Bar, MAX_BARS_PER_UPDATE, Update, flags};

/// Where a bar closes.
trait Rule: Copy {
    /// The price at which the forming bar closes on the way to `price`, if it does.
    fn close(&self, forming: &Bar, price: i64) -> Option<i64>;
    /// Finishes a bar that closes at its `close`, and remembers what the next one depends on.
    fn finish(&mut self, bar: &mut Bar);
    /// The price that the very first bar opens at.
    fn first_open(&self, price: i64) -> i64;
    /// Where the bar that takes all of the way from `close` to `price` ends.
    fn rest(&self, close: i64, price: i64) -> i64;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Walk<R> {
    rule: R,
    forming: Option<Bar>,
    /// The close of the last bar, where the next one opens.
    edge: Option<i64>,
    last_price: Option<i64>,
}

impl<R: Rule> Walk<R> {
    const fn new(rule: R) -> Self {
        Self {
            rule,
            forming: None,
            edge: None,
            last_price: None,
        }
    }

    fn push(&mut self, update: &Update, mut emit: impl FnMut(Bar)) {
        let (points, ambiguous) = way(self.last_price, update);
        self.last_price = Some(update.price);
        let volume = update.volume.max(0);
        let mark = if ambiguous { flags::AMBIG } else { 0 };
        let mut made = 0;
        for (index, &price) in points.iter().enumerate() {
            loop {
                let mut bar = self.forming.take().unwrap_or_else(|| self.open(price, update));
                let Some(close) = self.rule.close(&bar, price) else {
                    bar.move_to(price);
                    self.forming = Some(bar);
                    break;
                };
                made += 1;
                bar.move_to(close);
                bar.end = bar.end.max(update.time);
                bar.flags |= mark;
                let left = &points[index..];
                let capped = made == MAX_BARS_PER_UPDATE;
                if capped {
                    left.iter().for_each(|point| bar.move_to(*point));
                    bar.close = self.rule.rest(close, update.price);
                    bar.flags |= flags::CAPPED;
                }
                let ends = capped || left == [close];
                if ends {
                    bar.credit(update, volume);
                }
                emit(self.sealed(bar));
                if ends {
                    return;
                }
                if close == price {
                    break;
                }
            }
        }
        if let Some(bar) = &mut self.forming {
            bar.credit(update, volume);
            bar.flags |= if made > 0 { mark } else { 0 };
        }
    }

    /// A bar as it closes; the next one opens at its close.
    fn sealed(&mut self, mut bar: Bar) -> Bar {
        if bar.updates == 0 {
            bar.flags |= flags::FILLED;
        }
        self.edge = Some(bar.close);
        self.rule.finish(&mut bar);
        bar
    }

    fn open(&self, price: i64, update: &Update) -> Bar {
        Bar::opened(
            self.edge.unwrap_or_else(|| self.rule.first_open(price)),
            update.time,
        )
    }
}

/// The points that the price went through, and whether their order is a guess.
///
/// With both extremes the shorter way is taken. At first contact the extremes are not used (R18).
fn way(from: Option<i64>, update: &Update) -> (Points, bool) {
    let price = update.price;
    match (from, update.high, update.low) {
        (Some(from), Some(high), Some(low)) => {
            let high_first = u128::from(from.abs_diff(high)) + u128::from(low.abs_diff(price));
            let low_first = u128::from(from.abs_diff(low)) + u128::from(high.abs_diff(price));
            let order = if high_first <= low_first {
                [high, low]
            } else {
                [low, high]
            };
            (
                Points {
                    at: [order[0], order[1], price],
                    first: 0,
                },
                true,
            )
        }
        (Some(_), Some(extreme), None) | (Some(_), None, Some(extreme)) => (
            Points {
                at: [extreme, extreme, price],
                first: 1,
            },
            false,
        ),
        _ => (
            Points {
                at: [price; 3],
                first: 2,
            },
            false,
        ),
    }
}

/// One to three points without an allocation.
struct Points {
    at: [i64; 3],
    first: usize,
}

impl core::ops::Deref for Points {
    type Target = [i64];

    fn deref(&self) -> &[i64] {
        &self.at[self.first..]
    }
}

/// `from + by`, where it is known to lie between `from` and a price.
fn moved(from: i64, by: i128) -> i64 {
    i64::try_from(i128::from(from) + by).unwrap_or(from)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    size: i128,
}

impl Rule for Range {
    fn close(&self, forming: &Bar, price: i64) -> Option<i64> {
        let price = i128::from(price);
        if price - i128::from(forming.low) >= self.size {
            return Some(moved(forming.low, self.size));
        }
        if i128::from(forming.high) - price >= self.size {
            return Some(moved(forming.high, -self.size));
        }
        None
    }

    fn finish(&mut self, _: &mut Bar) {}

    fn first_open(&self, price: i64) -> i64 {
        price
    }

    fn rest(&self, _: i64, price: i64) -> i64 {
        price
    }
}

/// Bars whose high and low are a fixed distance apart. Each opens where the one before closed, at one of
/// its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeBars(Walk<Range>);

impl RangeBars {
    /// Bars of a height of `size` in the instrument's price unit.
    #[must_use]
    pub const fn new(size: NonZeroU64) -> Self {
        Self(Walk::new(Range {
            size: size.get() as i128,
        }))
    }

    /// The height.
    #[must_use]
    pub const fn size(&self) -> i128 {
        self.0.rule.size
    }

    /// Takes an update and hands each bar that it closes to `emit`.
    pub fn push(&mut self, update: &Update, emit: impl FnMut(Bar)) {
        self.0.push(update, emit);
    }

    /// The bar that has begun and not closed.
    #[must_use]
    pub const fn forming(&self) -> Option<Bar> {
        self.0.forming
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Renko {
    brick: i128,
    /// The last brick's direction: 1 up, -1 down, 0 before the first.
    direction: i8,
}

impl Rule for Renko {
    fn close(&self, forming: &Bar, price: i64) -> Option<i64> {
        let way = i128::from(price) - i128::from(forming.open);
        // Against the last brick the price must cross that brick first.
        let up = if self.direction < 0 {
            2 * self.brick
        } else {
            self.brick
        };
        let down = if self.direction > 0 {
            2 * self.brick
        } else {
            self.brick
        };
        if way >= up {
            return Some(moved(forming.open, up));
        }
        if -way >= down {
            return Some(moved(forming.open, -down));
        }
        None
    }

    fn finish(&mut self, bar: &mut Bar) {
        let way = i128::from(bar.close) - i128::from(bar.open);
        // A brick against the last one opens at that brick's far side.
        if way.abs() == 2 * self.brick {
            bar.open = moved(bar.open, way / 2);
        }
        if way != 0 {
            self.direction = if way > 0 { 1 } else { -1 };
        }
    }

    /// The nearest multiple of the brick, so that bricks do not depend on where a run begins.
    fn first_open(&self, price: i64) -> i64 {
        let nearest = (i128::from(price) + self.brick / 2).div_euclid(self.brick) * self.brick;
        i64::try_from(nearest).unwrap_or(price)
    }

    fn rest(&self, close: i64, price: i64) -> i64 {
        let way = i128::from(price) - i128::from(close);
        moved(close, way / self.brick * self.brick)
    }
}

/// Bricks of a fixed height between multiples of it. One against the direction of the last needs twice
/// the way; high and low tell how far the price really went while the brick formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenkoBars(Walk<Renko>);

impl RenkoBars {
    /// Bricks of a height of `brick` in the instrument's price unit.
    #[must_use]
    pub const fn new(brick: NonZeroU64) -> Self {
        Self(Walk::new(Renko {
            brick: brick.get() as i128,
            direction: 0,
        }))
    }

    /// The height of a brick.
    #[must_use]
    pub const fn size(&self) -> i128 {
        self.0.rule.brick
    }

    /// Takes an update and hands each brick that it closes to `emit`.
    pub fn push(&mut self, update: &Update, emit: impl FnMut(Bar)) {
        self.0.push(update, emit);
    }

    /// The brick that has begun and not closed; its open is where the last one closed.
    #[must_use]
    pub const fn forming(&self) -> Option<Bar> {
        self.0.forming
    }
}
