//! A decimal number and its unit, exactly.

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text is empty or begins with something else than a digit.
    #[error("{0:?} does not begin with a number")]
    NoNumber(String),
    /// A number stands without a unit.
    #[error("{0:?} has no unit")]
    NoUnit(String),
    /// The unit is none of those known.
    #[error("{0:?} is not a unit here")]
    UnknownUnit(String),
    /// A unit stands after one that is not larger, as in `1m2h`.
    #[error("{0:?} stands after a smaller unit")]
    Order(String),
    /// The value is finer than the smallest unit.
    #[error("{0:?} is finer than can be kept")]
    TooFine(String),
    /// The value is larger than can be kept.
    #[error("{0:?} is larger than can be kept")]
    TooLarge(String),
}

/// One number and unit off the front of `text`: its value in the smallest unit, its unit's size, and the rest.
/// `units` are names and their sizes in the smallest unit.
pub(super) fn split<'a>(text: &'a str, units: &[(&str, u64)]) -> Result<(u64, u64, &'a str), QuantityError> {
    let number_len = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at(number_len);
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(QuantityError::NoNumber(shorten(text)));
    }
    let rest = rest.trim_start();
    let unit_len = rest.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_len);
    if unit.is_empty() {
        return Err(QuantityError::NoUnit(shorten(text)));
    }
    let Some(&(_, size)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(QuantityError::UnknownUnit(shorten(unit)));
    };
    Ok((scale(number, size)?, size, rest))
}

/// `number` (digits, perhaps a point and more digits) times `size`, if that is whole.
fn scale(number: &str, size: u64) -> Result<u64, QuantityError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
        return Err(QuantityError::NoNumber(shorten(number)));
    }
    let too_large = || QuantityError::TooLarge(shorten(number));
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let mut value = u128::from(whole) * u128::from(size);
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        // Eighteen digits times the largest size stay far below 2^128.
        if fraction.len() > 18 {
            return Err(QuantityError::TooFine(shorten(number)));
        }
        let digits: u128 = fraction.parse().map_err(|_| too_large())?;
        let (product, divisor) = (digits * u128::from(size), 10u128.pow(fraction.len() as u32));
        if product % divisor != 0 {
            return Err(QuantityError::TooFine(shorten(number)));
        }
        value += product / divisor;
    }
    u64::try_from(value).map_err(|_| too_large())
}

/// The shortest single number and unit for `value`: the largest unit it is a whole multiple of.
/// `units` run from the largest to the smallest, which has size 1.
pub(super) fn render(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |&&(_, size): &&(&str, u64)| size == 1 || (value != 0 && value.is_multiple_of(size));
    let &(name, size) = units.iter().find(fits).unwrap_or(&("", 1));
    format!("{}{name}", value / size)
}

/// As much of a text as belongs into a message.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}
